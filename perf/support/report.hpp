// What a benchmark program prints: one JSON object per result on stdout, progress for people on
// stderr. scripts/bench starts the program, collects the objects and adds commit, CPU and compiler
// around them, so a program never writes anything else to stdout. Not thread safe: the thread that
// measures also reports.
//
//   Measurement m("hash_cycles_per_key", "cycles");
//   m.param("kernel", "vaes").param("burst", 32);
//   for (int run = 0; run < runs; ++run) m.add(one_run());
//   m.print();
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::perf {

// CONVENTIONS §11: at least nine runs; a smoke run only proves that the program works.
inline constexpr int kRuns = 9;
inline constexpr int kSmokeRuns = 3;

inline std::string json_quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

// One named figure: its parameters, its unit and one sample per run. The order of samples is kept,
// so that two measurements taken in turns can be compared run by run.
class Measurement {
 public:
  Measurement(std::string name, std::string unit)
      : name_(std::move(name)), unit_(std::move(unit)) {}

  Measurement& param(std::string_view key, std::string_view value) {
    return raw_param(key, json_quote(value));
  }
  Measurement& param(std::string_view key, const char* value) {
    return param(key, std::string_view(value));
  }
  Measurement& param(std::string_view key, bool value) {
    return raw_param(key, value ? "true" : "false");
  }
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  Measurement& param(std::string_view key, T value) {
    return raw_param(key, fmt::format("{}", value));
  }
  Measurement& param(std::string_view key, double value) {
    return raw_param(key, fmt::format("{:g}", value));
  }

  void add(double sample) { samples_.push_back(sample); }

  const std::vector<double>& samples() const { return samples_; }
  double min() const { return samples_.empty() ? 0 : *std::ranges::min_element(samples_); }
  double max() const { return samples_.empty() ? 0 : *std::ranges::max_element(samples_); }
  double median() const {
    if (samples_.empty()) return 0;
    std::vector<double> sorted = samples_;
    std::ranges::sort(sorted);
    const std::size_t mid = sorted.size() / 2;
    return sorted.size() % 2 != 0 ? sorted[mid] : (sorted[mid - 1] + sorted[mid]) / 2;
  }

  std::string json() const {
    return fmt::format(R"({{"name":{},"params":{{{}}},"unit":{},)"
                       R"("min":{:.10g},"median":{:.10g},"max":{:.10g},"runs":{}}})",
                       json_quote(name_), params_, json_quote(unit_), min(), median(), max(),
                       samples_.size());
  }

  // Flushes, so that a figure is not lost when a later one crashes.
  void print() const {
    fmt::print(stdout, "{}\n", json());
    std::fflush(stdout);
  }

 private:
  Measurement& raw_param(std::string_view key, std::string_view value) {
    if (!params_.empty()) params_ += ',';
    params_ += json_quote(key);
    params_ += ':';
    params_ += value;
    return *this;
  }

  std::string name_;
  std::string unit_;
  std::string params_;
  std::vector<double> samples_;
};

// A line for the person who waits.
template <typename... Args>
void progress(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print(stderr, "{}\n", fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sluice::perf
