// The errors of FaultFs, worded as PosixFs words them, so that tests of texts hold for both. For
// fault_fs*.cpp only. Any thread; no state.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "sluice/base/result.hpp"

namespace sluice::test {

inline std::unexpected<Error> broken(ErrorCode code, std::string_view name, const std::string& path,
                                     std::string_view text, bool retryable = false) {
  return fail(code, fmt::format("{} {}: {}", name, path, text), ErrorOrigin::kStore, retryable);
}

inline std::unexpected<Error> missing(std::string_view name, const std::string& path) {
  return broken(ErrorCode::kNotFound, name, path, "No such file or directory");
}

inline std::unexpected<Error> existing(std::string_view name, const std::string& path) {
  return broken(ErrorCode::kAlreadyExists, name, path, "File exists");
}

inline std::unexpected<Error> full(std::string_view name, const std::string& path) {
  return broken(ErrorCode::kExhausted, name, path, "No space left on device", true);
}

inline std::unexpected<Error> read_only(std::string_view name, const std::string& path) {
  return broken(ErrorCode::kPermissionDenied, name, path,
                "Read-only file system (the disk is mounted read-only)", true);
}

inline std::unexpected<Error> io_error(std::string_view name, const std::string& path) {
  return broken(ErrorCode::kInternal, name, path, "Input/output error");
}

inline std::string clean(std::string path) {
  if (path.empty() || path.front() != '/') path.insert(path.begin(), '/');
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  return path;
}

}  // namespace sluice::test
