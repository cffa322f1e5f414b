// The kinds of text that keys may have. Conservative sets: names end up in file names, metric
// labels, log lines and command lines.
#include <algorithm>

#include "config/value.hpp"
#include "sluice/base/names.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::config {
namespace {

constexpr std::size_t kMaxTextBytes = 1024;

bool alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

template <class Allowed>
bool all_of(std::string_view text, std::size_t max_bytes, Allowed allowed) noexcept {
  return !text.empty() && text.size() <= max_bytes &&
         std::all_of(text.begin(), text.end(), allowed);
}

bool printable(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte != 0x7f;
}

bool any_text(std::string_view text) {
  return all_of(text, kMaxTextBytes, printable);
}

bool plain_name(std::string_view text) {
  return all_of(text, 63,
                [](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

bool port_name(std::string_view text) {
  return all_of(text, 11, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// dev_valid_name() of the kernel, less what needs quoting in a shell.
bool interface_name(std::string_view text) {
  return text != "." && text != ".." && all_of(text, 15, [](char c) {
           return alphanumeric(c) || c == '.' || c == '_' || c == '-';
         });
}

bool device_args(std::string_view text) {
  return all_of(text, kMaxTextBytes, [](char c) { return c > 0x20 && c < 0x7f; });
}

bool any_path(std::string_view text) {
  return any_text(text);
}
bool absolute_path(std::string_view text) {
  return any_text(text) && text.starts_with('/');
}
bool log_file(std::string_view text) {
  return text.empty() || absolute_path(text);
}

bool unix_group(std::string_view text) {
  return text.empty() || (plain_name(text) && text.size() <= 32 && !text.starts_with('-'));
}

bool host_name(std::string_view text) {
  return all_of(text, 253,
                [](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}
bool join_target(std::string_view text) {
  if (parse_endpoint(text, 1)) return true;
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return host_name(text);
  const auto port = text.substr(colon + 1);
  return host_name(text.substr(0, colon)) && parse_endpoint("0.0.0.0:" + std::string(port));
}

bool label(std::string_view text) {
  return text.empty() || (any_text(text) && text.size() <= 255);
}
bool zone(std::string_view text) {
  return text.empty() || plain_name(text);
}

bool agent_name(std::string_view text) {
  return check_agent_name(text).has_value();
}
bool capability_name(std::string_view text) {
  return check_capability_name(text).has_value();
}

}  // namespace

const Syntax kAnyText{any_text, "text of 1 to 1024 bytes without control characters"};
const Syntax kPlainName{plain_name, "1 to 63 letters, digits and . _ -"};
const Syntax kPortName{port_name, "1 to 11 small letters, digits and -"};
const Syntax kInterfaceName{interface_name, "1 to 15 letters, digits and . _ -"};
const Syntax kDeviceArgs{device_args,
                         "DPDK device arguments without blanks: 0000:3b:00.0, net_tap0,iface=tap0"};
const Syntax kAbsolutePath{absolute_path, "a path that begins with /"};
const Syntax kLogFile{log_file, "a path that begins with /, or \"\" for standard error"};
const Syntax kAnyPath{any_path, "the path of a file"};
const Syntax kUnixGroup{unix_group, "the name of a Unix group, or \"\" for none"};
const Syntax kJoinTarget{join_target,
                         "a name or an address, with :port unless it is the usual one"};
const Syntax kLabel{label,
                    "text of at most 255 bytes without control characters, or \"\" for none"};
const Syntax kZone{zone, "1 to 63 letters, digits and . _ -, or \"\" for none"};
const Syntax kAgentName{agent_name,
                        "an agent name: organisation/namespace/service/instance, each of letters, "
                        "digits and - _ . :"};
const Syntax kCapabilityName{capability_name,
                             "a capability name: 1 to 8 parts between slashes, each of letters, "
                             "digits and - _ . :"};

std::optional<std::string> decode_key(std::string_view hex) {
  if (hex.size() < 32 || hex.size() > 128 || hex.size() % 2 != 0) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

}  // namespace sluice::config
