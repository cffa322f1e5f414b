#include "config/join_token.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "sluice/base/base64.hpp"
#include "sluice/hash/crc32c.hpp"

namespace sluice::config {
namespace {

constexpr std::string_view kMark = "sluice1.";
constexpr std::string_view kCheck = "check ";

std::string check_line(std::string_view lines) {
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(lines.data()), lines.size());
  return fmt::format("{}{:08x}\n", kCheck, crc32c(bytes));
}

std::unexpected<Error> wrong(std::string_view what) {
  return fail(ErrorCode::kInvalidArgument, std::string(what), ErrorOrigin::kConfig);
}

// The lines without the check; the end of the text is where tokens get lost.
Result<std::string> checked_lines(std::string_view text) {
  if (!text.starts_with(kMark))
    return wrong("not one that 'sluice cluster join-token' prints: it begins with 'sluice1.'");
  auto lines = from_base64(text.substr(kMark.size()));
  const auto check_bytes = check_line({}).size();
  if (!lines || lines->size() < check_bytes)
    return wrong("a part of it is missing or changed; copy the whole line again");
  const auto rest = std::string_view(*lines).substr(0, lines->size() - check_bytes);
  if (!lines->ends_with(check_line(rest)))
    return wrong("a part of it is missing or changed; copy the whole line again");
  lines->resize(rest.size());
  return std::move(*lines);
}

}  // namespace

std::string to_text(const JoinToken& token) {
  std::string lines;
  for (const auto& address : token.join)
    lines += "join " + address + "\n";
  if (!token.label.empty()) lines += "label " + token.label + "\n";
  for (const auto& key : token.keys)
    lines += "key " + key + "\n";
  return std::string(kMark) + to_base64(lines + check_line(lines));
}

Result<JoinToken> parse_join_token(std::string_view text) {
  const auto lines = checked_lines(text);
  if (!lines) return std::unexpected(lines.error());
  JoinToken token;
  for (std::string_view rest = *lines; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.starts_with("join ")) token.join.emplace_back(line.substr(5));
    if (line.starts_with("label ")) token.label = line.substr(6);
    if (line.starts_with("key ")) token.keys.emplace_back(line.substr(4));
  }
  if (token.join.empty()) return wrong("it names nobody to join");
  return token;
}

}  // namespace sluice::config
