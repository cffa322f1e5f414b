// Text for manual pages, which the build makes from the tables of keys and of commands, so that
// both escape alike. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace sluice::config {

// With what roff would take for more than text made harmless: a backslash, a hyphen, a dot or quote
// that would begin a request.
inline std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  return out;
}

}  // namespace sluice::config
