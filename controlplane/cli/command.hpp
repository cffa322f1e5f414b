// The shape of the command table (commands.cpp): one row per command with its typed arguments and
// options. Parser, help, completion and manual page all read it, so they cannot disagree. Plain
// constants; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/base/result.hpp"

namespace sluice::cli {

struct Context;

// What a value is: decides how it is checked (values.cpp) and completed (complete.cpp).
enum class Kind : std::uint8_t {
  kText,        // not empty, without control characters; the same of all others but kAnyText
  kAnyText,     // of the user's own
  kAgent,       // name or id of an agent
  kAgentName,   // name of an agent
  kId,          // 128-bit id
  kTarget,      // agent, capability or id of either
  kCapability,  // name
  kPort,        // name of a port
  kPeer,        // name of a peer
  kNode,        // name of a member of the cluster
  kTenant,      // 0 to 65535
  kEndpoint,    // address, UDP port optional
  kRouter,      // address with UDP port
  kFile,
  kCount,     // 1 upwards, with k, M or G
  kRate,      // per second, with k, M or G, 0: as fast as possible
  kSize,      // bytes of payload
  kBytes,     // of memory or disk, with K, M, G or T, which are powers of 1024
  kDuration,  // "2", "2s", "500ms", "1.5m"
  kClass,     // 0 to 7
  kOrigin,    // static, registered, peer
  kToken,     // 64 hexadecimal digits
  kNumber,    // any 64-bit number
  kKeyStep,   // list, add, use, remove
  kShell,     // "bash"
};

struct Parameter {
  std::string_view name;  // "AGENT"
  Kind kind = Kind::kText;
  std::string_view help;
  bool optional = false;
};

enum class Form : std::uint8_t {
  kFlag,           // takes no value
  kValue,          // takes one
  kRequired,       // takes one and must be there
  kRepeated,       // may be given several times
  kOptionalValue,  // the value may be left out; the fallback is used then
};

struct Option {
  std::string_view name;   // without the dashes
  std::string_view value;  // "SECONDS"; empty for a flag
  Form form = Form::kFlag;
  Kind kind = Kind::kText;
  std::string_view help;
  std::string_view fallback = {};  // value when not given; empty: none
};

// Exit status of the process, or an error: local invalid arguments end with status 2, others
// with 1.
using Outcome = Result<int>;
using Handler = Outcome (*)(Context&);

struct Command {
  std::string_view noun;
  std::string_view verb;  // empty: the noun stands alone
  std::string_view help;
  std::span<const Parameter> parameters;
  std::span<const Option> options;
  Handler run = nullptr;
  bool hidden = false;
};

// The table, in the order of the help.
std::span<const Command> commands() noexcept;
// Understood by every command, before or after its name; an option of the command itself wins.
std::span<const Option> global_options() noexcept;

}  // namespace sluice::cli
