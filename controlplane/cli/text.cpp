#include "controlplane/cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "controlplane/cli/json.hpp"

namespace sluice::cli {
namespace {

// Columns on the terminal: code points of UTF-8, escape sequences not counted.
std::size_t width(std::string_view text) {
  std::size_t columns = 0;
  bool escape = false;
  for (const char c : text) {
    if (c == '\x1b') escape = true;
    if (!escape && (c & 0xc0) != 0x80) ++columns;
    if (escape && c == 'm') escape = false;
  }
  return columns;
}

std::string three_digits(double number) {
  return fmt::format("{:.{}f}", number, number < 9.995 ? 2 : number < 99.95 ? 1 : 0);
}

std::string each_line(std::string_view text, std::string (*change)(std::string_view line)) {
  std::string changed;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    changed += change(text.substr(0, end)) + '\n';
    text.remove_prefix(end + 1);
  }
  return changed + change(text);
}

std::string shortened(std::string_view line) {
  constexpr std::size_t kEnd = 400;  // bytes that stay at either end
  if (line.size() <= 2 * kEnd) return std::string(line);
  const auto within = [&](std::size_t at) { return (line[at] & 0xc0) == 0x80; };  // UTF-8
  std::size_t begin = kEnd;
  std::size_t end = line.size() - kEnd;
  while (begin > 0 && within(begin))
    --begin;
  while (end < line.size() && within(end))
    ++end;
  return fmt::format("{} ... {}", line.substr(0, begin), line.substr(end));
}

struct Scale {
  double factor;
  std::string_view unit;
};

template <std::size_t N>
std::string scaled(double number, const std::array<Scale, N>& scales) {
  for (const auto& scale : scales) {
    if (number >= scale.factor * 0.9995) {
      return fmt::format("{} {}", three_digits(number / scale.factor), scale.unit);
    }
  }
  return fmt::format("{} {}", three_digits(number), scales.back().unit);
}

constexpr std::array<Scale, 4> kShortTimes = {{{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}}};

struct LongTime {
  std::uint64_t seconds;
  std::string_view unit;
};
constexpr LongTime kLongTimes[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};

}  // namespace

std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string duration_text(std::uint64_t ns) {
  const std::uint64_t seconds = ns / 1'000'000'000;
  if (ns < 1000) return fmt::format("{} ns", ns);
  if (seconds < 60) return scaled(static_cast<double>(ns), kShortTimes);
  std::string text;
  std::uint64_t rest = seconds;
  for (const auto& [size, unit] : kLongTimes) {
    const std::uint64_t count = rest / size;
    rest %= size;
    if (count == 0 && text.empty()) continue;
    if (!text.empty()) return count == 0 ? text : fmt::format("{} {} {}", text, count, unit);
    text = fmt::format("{} {}", count, unit);
  }
  return text;
}

std::string time_text(std::uint64_t ns) {
  if (ns == 0) return "never";
  const auto seconds = static_cast<std::time_t>(ns / 1'000'000'000);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%F %T", &parts)};
}

std::string scaled_text(double number) {
  if (number < 999.5) {
    return number == static_cast<double>(static_cast<std::uint64_t>(number))
               ? fmt::format("{:.0f}", number)
               : three_digits(number);
  }
  static constexpr std::array<Scale, 3> kScales = {{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  return scaled(number, kScales);
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  static constexpr std::array<Scale, 4> kScales = {
      {{0x1p40, "TiB"}, {0x1p30, "GiB"}, {0x1p20, "MiB"}, {0x1p10, "KiB"}}};
  return scaled(static_cast<double>(bytes), kScales);
}

std::string percent_text(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  const double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  return part != 0 && percent < 0.001 ? "<0.001 %" : fmt::format("{:.3g} %", percent);
}

std::string yes_no(bool value) {
  return value ? "yes" : "no";
}

std::string name_or_id(std::string_view name, std::string_view id_bytes) {
  return name.empty() ? bytes_as_text(id_bytes) : printable(name);
}

std::string words(std::string_view label) {
  std::string text(label);
  std::ranges::replace(text, '_', ' ');
  return text;
}

std::string printable(std::string_view text) {
  std::string safe(text);
  std::ranges::replace_if(safe, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return safe;
}

std::string printable_lines(std::string_view text) {
  return each_line(text, printable);
}

std::string shortened_lines(std::string_view text) {
  return each_line(text, shortened);
}

std::string Paint::with(std::string_view code, std::string_view text) const {
  return on_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string Table::text(const Paint& paint) const {
  std::vector<std::size_t> widths;
  std::vector<bool> right;
  std::vector<std::string> headings;
  for (const auto& heading : headings_) {
    right.push_back(heading.starts_with('>'));
    headings.push_back(right.back() ? heading.substr(1) : heading);
    widths.push_back(headings.back().size());
  }
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], width(row[i]));
  }
  const auto line = [&](const std::vector<std::string>& cells, bool heading) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string blanks(widths[i] - width(cells[i]), ' ');
      const std::string cell = heading ? paint.strong(cells[i]) : cells[i];
      text += i == 0 ? "" : "  ";
      text += right[i] ? blanks + cell : cell + blanks;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + '\n';
  };
  std::string text = line(headings, true);
  for (const auto& row : rows_)
    text += line(row, false);
  return text;
}

std::string Fields::text(const Paint& paint) const {
  std::size_t widest = 0;
  for (const auto& [label, value] : lines_)
    widest = std::max(widest, label.size());
  std::string text;
  for (const auto& [label, value] : lines_) {
    text += paint.faint(label) + std::string(widest - label.size() + 2, ' ') + value + '\n';
  }
  return text;
}

}  // namespace sluice::cli
