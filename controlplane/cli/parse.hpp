// Turns the words of a command line into an Invocation, by the command table, or says what is wrong
// with them. Any thread; no state.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "controlplane/cli/command.hpp"

namespace sluice::cli {

// A checked command line: all values fit their kinds, everything required is there.
class Invocation {
 public:
  const Command* command = nullptr;  // null: only `help` (of everything, or of `noun`)
  std::string noun;                  // as far as it was recognised, for help
  bool help = false;
  std::map<std::string_view, std::vector<std::string>> values;  // by option or parameter name

  // Given at all; what is given is not empty, but of Kind::kAnyText.
  bool has(std::string_view name) const { return values.contains(name); }
  // The value, the option's fallback, or nothing.
  std::string text(std::string_view name) const;
  const std::vector<std::string>& all(std::string_view name) const;
  std::uint64_t number(std::string_view name) const;
  std::chrono::nanoseconds duration(std::string_view name) const;
};

// A wrong command line: what is wrong and how to get help.
struct UsageError {
  std::string message;
  std::string help;  // "sluice agent list --help"
};

std::expected<Invocation, UsageError> parse(std::span<const std::string> words);

// The option of that name the command understands, its own before the global one, or null.
const Option* find_option(const Command* command, std::string_view name) noexcept;
// The command, or null. A noun with verbs is not a command without one.
const Command* find_command(std::string_view noun, std::string_view verb) noexcept;
bool is_noun(std::string_view word) noexcept;  // of a command that is not hidden
bool needs_verb(std::string_view noun) noexcept;
std::vector<std::string_view> nouns();                       // without repetitions and hidden ones
std::vector<std::string_view> verbs(std::string_view noun);  // none for a noun that stands alone
// "agent list"
std::string name_of(const Command& command);

}  // namespace sluice::cli
