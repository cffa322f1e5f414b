#include "controlplane/cli/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "controlplane/cli/text.hpp"
#include "sluice/base/names.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::cli {
namespace {

constexpr std::string_view kOrigins[] = {"static", "registered", "peer"};
constexpr std::string_view kKeySteps[] = {"list", "add", "use", "remove"};
constexpr std::string_view kShells[] = {"bash"};

std::unexpected<Error> wrong(std::string_view text, std::string_view expected) {
  return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is not {}", text, expected));
}

Status in_range(std::string_view text, std::uint64_t least, std::uint64_t most,
                std::string_view what) {
  const auto number = parse_count(text);
  if (number && *number >= least && *number <= most) return {};
  if (most == UINT64_MAX) return wrong(text, fmt::format("{}, at least {}", what, least));
  return wrong(text, fmt::format("{} ({} to {})", what, least, most));
}

Status one_of(std::string_view text, std::span<const std::string_view> allowed) {
  if (std::ranges::find(allowed, text) != allowed.end()) return {};
  return wrong(text, fmt::format("one of {}", fmt::join(allowed, ", ")));
}

Status check_target(std::string_view text) {
  if (parse_id(text) || check_agent_name(text) || check_capability_name(text)) return {};
  return wrong(text, "the name of an agent or capability, nor an id");
}

Status check_endpoint(std::string_view text, std::uint16_t default_port) {
  if (parse_endpoint(text, default_port)) return {};
  return wrong(text, default_port == 0 ? "an address with UDP port, like 10.0.0.1:7600"
                                       : "an address, like 10.0.0.1 or [fd00::1]:7600");
}

Status without_value(const auto& result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

Status check_word(std::string_view text, std::string_view what) {
  const bool ok = !text.empty() && text.size() <= 64 &&
                  std::ranges::none_of(text, [](char c) { return c <= ' ' || c == 0x7f; });
  return ok ? Status{} : wrong(text, what);
}

// Number and unit of "1.5M"; nothing else may stand there.
struct Scaled {
  double number = 0;
  std::string_view unit;
};

std::optional<Scaled> scaled(std::string_view text) {
  Scaled s;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), s.number, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(s.number) || s.number < 0 || text.starts_with('-')) {
    return std::nullopt;
  }
  s.unit = {end, static_cast<std::size_t>(text.data() + text.size() - end)};
  return s;
}

struct Unit {
  std::string_view name;
  double factor;
};
constexpr Unit kCounts[] = {{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}};
constexpr Unit kBytes[] = {{"", 1},         {"K", 0x1p10},   {"M", 0x1p20},
                           {"G", 0x1p30},   {"T", 0x1p40},   {"KiB", 0x1p10},
                           {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
constexpr Unit kTimes[] = {{"", 1e9},   {"s", 1e9},  {"ms", 1e6},   {"us", 1e3},
                           {"ns", 1.0}, {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}};

std::optional<double> in_units(std::string_view text, std::span<const Unit> units) {
  const auto s = scaled(text);
  if (!s) return std::nullopt;
  const auto unit = std::ranges::find(units, s->unit, &Unit::name);
  if (unit == units.end()) return std::nullopt;
  const double value = s->number * unit->factor;
  return value < 9e18 ? std::optional(value) : std::nullopt;
}

// Edits (insert, delete, replace, swap of neighbours) that make one word into the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

Result<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t whole = 0;  // exact where a double is not
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error == std::errc{} && end == text.data() + text.size()) return whole;
  const auto value = in_units(text, kCounts);
  if (!value || *value != std::floor(*value)) return wrong(text, "a number, like 1000, 10k or 2M");
  return static_cast<std::uint64_t>(*value);
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto value = in_units(text, kBytes);
  if (!value) return wrong(text, "a size, like 512M, 24G or 1T");
  return static_cast<std::uint64_t>(*value);
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto value = in_units(text, kTimes);
  if (!value) return wrong(text, "a time, like 2, 2s, 500ms or 1.5m");
  return std::chrono::nanoseconds(std::llround(*value));
}

Result<agent::Token> parse_token(std::string_view text) {
  agent::Token token;
  const bool digits = std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c); });
  if (text.size() != 2 * token.size() || !digits) {
    return fail(ErrorCode::kInvalidArgument,
                "a token has 64 hexadecimal digits; 'sluice agent token AGENT' prints it");
  }
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, token[i], 16);
  }
  return token;
}

Result<std::uint8_t> lifetime_code(std::chrono::nanoseconds lifetime) {
  if (lifetime.count() == 0) return 0;
  for (std::uint8_t code = 1; code <= 31; ++code) {
    if (lifetime_ns(code) >= static_cast<std::uint64_t>(lifetime.count())) return code;
  }
  return fail(ErrorCode::kInvalidArgument, "the longest lifetime is 2^30 ms, about 12 days");
}

std::span<const std::string_view> choices(Kind kind) noexcept {
  if (kind == Kind::kOrigin) return kOrigins;
  if (kind == Kind::kKeyStep) return kKeySteps;
  if (kind == Kind::kShell) return kShells;
  return {};
}

Status check_value(Kind kind, std::string_view text) {
  // A value that got lost, as of `--token "$(ssh ...)"`, must not pass for one that was not given.
  if (kind != Kind::kAnyText && text.empty()) {
    return fail(ErrorCode::kInvalidArgument, "must not be empty");
  }
  if (kind != Kind::kAnyText && printable(text) != text) {
    return fail(ErrorCode::kInvalidArgument, "must not have control characters");
  }
  switch (kind) {
    case Kind::kAgent:
      return without_value(parse_agent(text));
    case Kind::kAgentName:
      return check_agent_name(text);
    case Kind::kId:
      return parse_id(text) ? Status{} : wrong(text, "an id (UUID)");
    case Kind::kTarget:
      return check_target(text);
    case Kind::kCapability:
      return check_capability_name(text);
    case Kind::kPort:
    case Kind::kPeer:
      return check_word(text, "a name");
    case Kind::kTenant:
      return in_range(text, 0, 65535, "a tenant");
    case Kind::kEndpoint:
      return check_endpoint(text, kDefaultMessagePort);
    case Kind::kRouter:
      return check_endpoint(text, kDefaultMessagePort);
    case Kind::kCount:
      return in_range(text, 1, UINT64_MAX, "a count");
    case Kind::kRate:
    case Kind::kNumber:
      return without_value(parse_count(text));
    case Kind::kSize:
      return in_range(text, 0, 65423, "a payload size in bytes");
    case Kind::kBytes:
      return without_value(parse_bytes(text));
    case Kind::kDuration:
      return without_value(parse_duration(text));
    case Kind::kClass:
      return in_range(text, 0, kTrafficClasses - 1, "a class");
    case Kind::kToken:
      return without_value(parse_token(text));
    case Kind::kOrigin:
    case Kind::kKeyStep:
    case Kind::kShell:
      return one_of(text, choices(kind));
    case Kind::kText:
    case Kind::kAnyText:
    case Kind::kNode:
    case Kind::kFile:
      break;
  }
  return {};
}

std::vector<std::string_view> nearest(std::string_view text,
                                      std::span<const std::string_view> known) {
  constexpr std::size_t kMost = 3;
  constexpr std::size_t kLongest = 255;
  std::vector<std::pair<std::size_t, std::string_view>> near;
  if (text.size() > kLongest) return {};
  for (const auto word : known) {
    if (word.size() > kLongest) continue;
    const bool begins = text.size() >= 2 && word.starts_with(text);
    const std::size_t far = begins ? 0 : distance(text, word);
    if (far <= std::max<std::size_t>(1, std::min(text.size(), word.size()) / 3)) {
      near.emplace_back(far, word);
    }
  }
  std::ranges::stable_sort(near, {}, &std::pair<std::size_t, std::string_view>::first);
  std::vector<std::string_view> words;
  for (const auto& [far, word] : near) {
    if (words.size() < kMost) words.push_back(word);
  }
  return words;
}

std::string did_you_mean(std::string_view text, std::span<const std::string_view> known) {
  const auto words = nearest(text, known);
  if (words.empty()) return {};
  return fmt::format(". Did you mean '{}'?", fmt::join(words, "' or '"));
}

}  // namespace sluice::cli
