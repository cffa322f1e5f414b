// What people read: numbers with units, colours, aligned tables and lists of fields. Plain values;
// any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::cli {

// 1234567 -> "1,234,567"
std::string with_commas(std::uint64_t number);
// Three digits and a unit: "850 ns", "12.3 us", "4.56 ms", "1.23 s"; longer ones "3 h 2 min".
std::string duration_text(std::uint64_t ns);
// Local time "2026-11-20 10:00:01" of nanoseconds since the Unix epoch; "never" for 0.
std::string time_text(std::uint64_t ns);
// "1.23 M"; for rates and other measured numbers.
std::string scaled_text(double number);
// "4.50 MiB"
std::string bytes_text(std::uint64_t bytes);
std::string percent_text(std::uint64_t part, std::uint64_t whole);
std::string yes_no(bool value);
// The name where there is one, else the whole id: what can be typed again.
std::string name_or_id(std::string_view name, std::string_view id_bytes);
// "no_route" -> "no route"
std::string words(std::string_view label);
// Control characters of foreign text as '?', so that it cannot drive the terminal.
std::string printable(std::string_view text);
// The same for text of several lines, such as the mistakes of a configuration.
std::string printable_lines(std::string_view text);
// Very long lines without their middle, so that they can be read.
std::string shortened_lines(std::string_view text);

// Colours, or none.
class Paint {
 public:
  explicit Paint(bool on = false) : on_(on) {}
  std::string good(std::string_view text) const { return with("32", text); }
  std::string bad(std::string_view text) const { return with("31", text); }
  std::string warn(std::string_view text) const { return with("33", text); }
  std::string strong(std::string_view text) const { return with("1", text); }
  std::string faint(std::string_view text) const { return with("2", text); }

 private:
  std::string with(std::string_view code, std::string_view text) const;
  bool on_;
};

// Columns as wide as their widest cell, two blanks between them. A heading that begins with '>' is
// aligned to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const noexcept { return rows_.empty(); }
  std::string text(const Paint& paint) const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

// "label   value" lines with aligned values.
class Fields {
 public:
  void add(std::string label, std::string value) {
    lines_.emplace_back(std::move(label), std::move(value));
  }
  std::string text(const Paint& paint) const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

}  // namespace sluice::cli
