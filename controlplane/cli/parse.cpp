#include "controlplane/cli/parse.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/cli/text.hpp"
#include "controlplane/cli/values.hpp"

namespace sluice::cli {
namespace {

class Parser {
 public:
  explicit Parser(std::span<const std::string> words) : words_(words) {}

  std::expected<Invocation, UsageError> run() {
    while (at_ < words_.size() && error_.empty()) {
      const std::string_view word = words_[at_++];
      if (only_parameters_ || !word.starts_with('-') || word == "-") {
        plain(word);
      } else if (word == "--") {
        only_parameters_ = true;
      } else {
        option(word);
      }
    }
    if (error_.empty()) complete();
    if (!error_.empty()) return std::unexpected(UsageError{printable(error_), help_command()});
    return std::move(result_);
  }

 private:
  void plain(std::string_view word) {
    if (result_.noun.empty()) return noun(word);
    if (result_.command == nullptr) return verb(word);
    const auto parameters = result_.command->parameters;
    if (position_ == parameters.size()) {
      error_ =
          fmt::format("'{}' is one argument too many for '{}'", word, name_of(*result_.command));
      return;
    }
    const auto& parameter = parameters[position_++];
    keep(parameter.name, parameter.kind, word, parameter.name);
  }

  void noun(std::string_view word) {
    if (!is_noun(word) && find_command(word, {}) == nullptr) {
      const auto known = nouns();
      error_ = fmt::format("there is no command '{}'{}", word, did_you_mean(word, known));
      return;
    }
    result_.noun = word;
    result_.command = find_command(word, {});
  }

  void verb(std::string_view word) {
    result_.command = find_command(result_.noun, word);
    if (result_.command != nullptr) return;
    const auto known = verbs(result_.noun);
    error_ = fmt::format("'{}' has no '{}', but {}{}", result_.noun, word, fmt::join(known, ", "),
                         did_you_mean(word, known));
  }

  void option(std::string_view word) {
    if (word == "-h" || word == "--help") {
      result_.help = true;
      return;
    }
    const auto equals = word.find('=');
    const bool joined = equals != std::string_view::npos;
    const auto name = word.substr(0, equals);
    const Option* known =
        name.starts_with("--") ? find_option(result_.command, name.substr(2)) : nullptr;
    if (known == nullptr) return unknown_option(name);
    if (known->form == Form::kFlag) {
      if (joined) {
        error_ = fmt::format("{} takes no value", name);
      } else {
        result_.values[known->name];
      }
    } else if (joined) {
      keep(known->name, known->kind, word.substr(equals + 1), name);
    } else if (known->form == Form::kOptionalValue) {
      const bool here = at_ < words_.size() && check_value(known->kind, words_[at_]);
      keep(known->name, known->kind, here ? std::string_view(words_[at_++]) : known->fallback,
           name);
    } else if (at_ == words_.size()) {
      error_ = fmt::format("{} needs a value, {}", name, known->value);
    } else {
      keep(known->name, known->kind, words_[at_++], name);
    }
  }

  void unknown_option(std::string_view name) {
    std::vector<std::string> known;
    if (result_.command != nullptr) {
      for (const auto& option : result_.command->options)
        known.push_back("--" + std::string(option.name));
    }
    for (const auto& option : global_options())
      known.push_back("--" + std::string(option.name));
    known.emplace_back("--help");
    const std::vector<std::string_view> views(known.begin(), known.end());
    error_ = fmt::format("there is no option '{}'{}{}", name,
                         result_.command != nullptr ? " for '" + name_of(*result_.command) + "'"
                                                    : " before the command",
                         did_you_mean(name, views));
  }

  void keep(std::string_view name, Kind kind, std::string_view value, std::string_view shown) {
    if (auto ok = check_value(kind, value); !ok) {
      error_ = fmt::format("{}: {}", shown, ok.error().message());
      return;
    }
    auto& values = result_.values[name];
    const Option* option = find_option(result_.command, name);
    if (!values.empty() && (option == nullptr || option->form != Form::kRepeated)) {
      error_ = fmt::format("{} was given twice", shown);
      return;
    }
    values.emplace_back(value);
  }

  void complete() {
    if (result_.help) return;
    if (result_.noun.empty()) {
      error_ = "a command is missing";
      return;
    }
    if (result_.command == nullptr) {
      error_ =
          fmt::format("'{}' needs one of {}", result_.noun, fmt::join(verbs(result_.noun), ", "));
      return;
    }
    for (const auto& parameter : result_.command->parameters.subspan(position_)) {
      if (parameter.optional) continue;
      error_ = fmt::format("{} is missing: {}", parameter.name, parameter.help);
      return;
    }
    for (const auto& option : result_.command->options) {
      if (option.form == Form::kRequired && !result_.has(option.name)) {
        error_ = fmt::format("--{} {} is missing: {}", option.name, option.value, option.help);
        return;
      }
    }
  }

  std::string help_command() const {
    if (result_.command != nullptr && !result_.command->hidden) {
      return fmt::format("sluice {} --help", name_of(*result_.command));
    }
    return result_.noun.empty() ? "sluice --help" : fmt::format("sluice {} --help", result_.noun);
  }

  std::span<const std::string> words_;
  std::size_t at_ = 0;
  std::size_t position_ = 0;
  bool only_parameters_ = false;
  Invocation result_;
  std::string error_;
};

}  // namespace

std::expected<Invocation, UsageError> parse(std::span<const std::string> words) {
  return Parser(words).run();
}

std::string Invocation::text(std::string_view name) const {
  const auto found = values.find(name);
  if (found != values.end() && !found->second.empty()) return found->second.front();
  const Option* option = find_option(command, name);
  return option != nullptr && option->form != Form::kOptionalValue ? std::string(option->fallback)
                                                                   : std::string();
}

const std::vector<std::string>& Invocation::all(std::string_view name) const {
  static const std::vector<std::string> kNone;
  const auto found = values.find(name);
  return found == values.end() ? kNone : found->second;
}

std::uint64_t Invocation::number(std::string_view name) const {
  return parse_count(text(name)).value_or(0);
}

std::chrono::nanoseconds Invocation::duration(std::string_view name) const {
  return parse_duration(text(name)).value_or(std::chrono::nanoseconds(0));
}

const Option* find_option(const Command* command, std::string_view name) noexcept {
  const auto in = [&](std::span<const Option> options) -> const Option* {
    const auto found = std::ranges::find(options, name, &Option::name);
    return found == options.end() ? nullptr : &*found;
  };
  const Option* own = command == nullptr ? nullptr : in(command->options);
  return own != nullptr ? own : in(global_options());
}

const Command* find_command(std::string_view noun, std::string_view verb) noexcept {
  for (const auto& command : commands()) {
    if (command.noun == noun && command.verb == verb) return &command;
  }
  return nullptr;
}

bool is_noun(std::string_view word) noexcept {
  return std::ranges::any_of(
      commands(), [&](const Command& command) { return command.noun == word && !command.hidden; });
}

bool needs_verb(std::string_view noun) noexcept {
  return is_noun(noun) && find_command(noun, {}) == nullptr;
}

std::vector<std::string_view> nouns() {
  std::vector<std::string_view> found;
  for (const auto& command : commands()) {
    if (!command.hidden && std::ranges::find(found, command.noun) == found.end()) {
      found.push_back(command.noun);
    }
  }
  return found;
}

std::vector<std::string_view> verbs(std::string_view noun) {
  std::vector<std::string_view> found;
  for (const auto& command : commands()) {
    if (command.noun == noun && !command.verb.empty() && !command.hidden) {
      found.push_back(command.verb);
    }
  }
  return found;
}

std::string name_of(const Command& command) {
  return command.verb.empty() ? std::string(command.noun)
                              : fmt::format("{} {}", command.noun, command.verb);
}

}  // namespace sluice::cli
