// Collects what is wrong with a configuration: places in files, key paths and sentences. One per
// check, one thread. Never more than a bounded amount is kept, however bad the input is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace sluice::config {

// A place in a file, counted from 1; 0 is "the file as a whole".
struct Mark {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// The path of a key while the tree is walked: a chain on the stack, made into text only for a
// mistake.
struct Path {
  static constexpr std::size_t kNoIndex = ~std::size_t{0};

  const Path* parent = nullptr;
  std::string_view name;
  std::size_t index = kNoIndex;

  Path in(std::string_view key) const noexcept { return {this, key, kNoIndex}; }
  Path at(std::size_t item) const noexcept { return {this, {}, item}; }
};
// "ports[0].mtu"
std::string to_string(const Path& path);

class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  void add(Mark mark, std::string key, std::string message);
  void add(Mark mark, const Path& path, std::string message);
  // Something wrong in another file that the configuration names.
  void add_in(const std::string& file, Mark mark, std::string message);

  // Something that works and should not stay so.
  void warn(Mark mark, std::string key, std::string message);

  std::size_t count() const noexcept { return found_.size() + dropped_; }
  const std::string& file() const noexcept { return file_; }
  // Hands over at most kMaxDiagnostics, in the order of the file, and the number of the others.
  void finish(Checked& checked);

 private:
  void keep(Diagnostic diagnostic);

  std::string file_;
  std::vector<Diagnostic> found_;
  std::vector<Diagnostic> warnings_;
  std::size_t dropped_ = 0;
};

// A piece of the input as it may be shown to a person: in quotes, without control characters,
// short.
std::string quoted(std::string_view text);

}  // namespace sluice::config
