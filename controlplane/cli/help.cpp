#include "controlplane/cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "controlplane/cli/parse.hpp"

namespace sluice::cli {
namespace {

using Lines = std::vector<std::pair<std::string, std::string_view>>;

std::string columns(const Lines& lines) {
  std::size_t widest = 0;
  for (const auto& [left, right] : lines)
    widest = std::max(widest, left.size());
  std::string text;
  for (const auto& [left, right] : lines)
    text += fmt::format("  {:{}}  {}\n", left, widest, right);
  return text;
}

std::string options_text(std::string_view title, std::span<const Option> options) {
  if (options.empty()) return {};
  Lines lines;
  for (const auto& option : options)
    lines.emplace_back(heading_of(option), option.help);
  return fmt::format("\n{}:\n{}", title, columns(lines));
}

std::string listed(std::string_view noun) {
  Lines lines;
  for (const auto& command : commands()) {
    const bool wanted = !command.hidden && (noun.empty() || command.noun == noun);
    if (wanted) lines.emplace_back(name_of(command), command.help);
  }
  return columns(lines);
}

}  // namespace

std::string heading_of(const Option& option) {
  std::string text = fmt::format("--{}", option.name);
  if (option.form == Form::kOptionalValue) return text + fmt::format(" [{}]", option.value);
  if (!option.value.empty()) text += fmt::format(" {}", option.value);
  if (!option.fallback.empty()) text += fmt::format(" (default {})", option.fallback);
  if (option.form == Form::kRequired) text += " (required)";
  return text;
}

std::string synopsis(const Command& command) {
  std::string text = name_of(command);
  for (const auto& p : command.parameters)
    text += fmt::format(fmt::runtime(p.optional ? " [{}]" : " {}"), p.name);
  return command.options.empty() ? text : text + " [options]";
}

std::string help_overview() {
  return "usage: sluice COMMAND [arguments] [options]\n\nCommands:\n" + listed({}) +
         options_text("Options of all commands", global_options()) +
         "\n'sluice COMMAND --help' says more.\n";
}

std::string help_of_noun(std::string_view noun) {
  return fmt::format("usage: sluice {} COMMAND [arguments] [options]\n\nCommands:\n{}", noun,
                     listed(noun));
}

std::string help_of(const Command& command) {
  std::string text = fmt::format("usage: sluice {}\n\n{}\n", synopsis(command), command.help);
  Lines lines;
  for (const auto& p : command.parameters)
    lines.emplace_back(std::string(p.name), p.help);
  if (!lines.empty()) text += "\nArguments:\n" + columns(lines);
  return text + options_text("Options", command.options) +
         options_text("Options of all commands", global_options());
}

}  // namespace sluice::cli
