// What the tests of the configuration share: a smallest valid file, one more key put into it, and
// the diagnostics as text.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace sluice::config {

inline const std::string kSmallest =
    "dataplane:\n  workers: [1]\nports:\n  - name: one\n    device: net_null0\n";

// The smallest file with a line added to the end of the dataplane section, to the port, or at the
// top level.
inline std::string with_dataplane(const std::string& line) {
  return "dataplane:\n  workers: [1]\n  " + line +
         "\nports:\n  - name: one\n    device: net_null0\n";
}
inline std::string with_port(const std::string& line) {
  return kSmallest + "    " + line + "\n";
}
inline std::string with_top(const std::string& text) {
  return kSmallest + text + "\n";
}

inline std::vector<std::string> mistakes(std::string_view text) {
  std::vector<std::string> out;
  for (const auto& diagnostic : check_text(text, "f").diagnostics) {
    out.push_back(to_string(diagnostic));
  }
  return out;
}

inline std::string only_mistake(std::string_view text) {
  const auto all = mistakes(text);
  if (all.size() == 1) return all[0];
  std::string joined = std::to_string(all.size()) + " mistakes";
  for (const auto& one : all)
    joined += "\n" + one;
  return joined;
}

inline Config good(std::string_view text) {
  auto config = parse(text, "f");
  if (!config) {
    ADD_FAILURE() << config.error().message();
    return {};
  }
  return *config;
}

}  // namespace sluice::config
