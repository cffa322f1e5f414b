#include "config/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace sluice::config {
namespace {
constexpr std::size_t kMaxQuotedBytes = 48;
}  // namespace

std::string to_string(const Path& path) {
  std::string text = path.parent == nullptr ? std::string() : to_string(*path.parent);
  if (path.index != Path::kNoIndex) return text += fmt::format("[{}]", path.index);
  if (!text.empty() && !path.name.empty()) text += '.';
  return text += path.name;
}

void Report::keep(Diagnostic diagnostic) {
  if (found_.size() >= kMaxDiagnostics) {
    ++dropped_;
    return;
  }
  found_.push_back(std::move(diagnostic));
}

void Report::add(Mark mark, std::string key, std::string message) {
  keep({file_, mark.line, mark.column, std::move(key), std::move(message)});
}

void Report::add(Mark mark, const Path& path, std::string message) {
  add(mark, to_string(path), std::move(message));
}

void Report::add_in(const std::string& file, Mark mark, std::string message) {
  keep({file, mark.line, mark.column, {}, std::move(message)});
}

void Report::warn(Mark mark, std::string key, std::string message) {
  if (warnings_.size() >= kMaxDiagnostics) return;
  warnings_.push_back({file_, mark.line, mark.column, std::move(key), std::move(message)});
}

void Report::finish(Checked& checked) {
  checked.warnings = std::move(warnings_);
  // The configuration's own mistakes first, then those of the files it names.
  std::stable_sort(found_.begin(), found_.end(), [&](const Diagnostic& a, const Diagnostic& b) {
    return std::tuple(a.file != file_, std::string_view(a.file), a.line, a.column) <
           std::tuple(b.file != file_, std::string_view(b.file), b.line, b.column);
  });
  checked.more = dropped_;
  checked.diagnostics = std::move(found_);
}

std::string to_string(const Diagnostic& diagnostic) {
  std::string text = diagnostic.file;
  if (diagnostic.line != 0) text += fmt::format(":{}", diagnostic.line);
  if (diagnostic.column != 0) text += fmt::format(":{}", diagnostic.column);
  if (!diagnostic.key.empty()) text += ": " + diagnostic.key;
  return text += ": " + diagnostic.message;
}

std::string quoted(std::string_view text) {
  std::string shown = "'";
  for (const char c : text.substr(0, kMaxQuotedBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  // Not in the middle of a UTF-8 sequence.
  if (text.size() > kMaxQuotedBytes) {
    std::size_t end = kMaxQuotedBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
      --end;
      shown.pop_back();
    }
    shown += "...";
  }
  return shown += '\'';
}

}  // namespace sluice::config
