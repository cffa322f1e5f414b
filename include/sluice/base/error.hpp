// The error value of everything but the fast path: what went wrong, whose fault it is, whether
// trying again can help, and the chain of contexts it passed through. Any thread; a plain value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace sluice {

enum class ErrorCode : std::uint8_t {
  kInvalidArgument,  // the caller gave something that can never work
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,
  kUnavailable,  // the other side is not there (now)
  kExhausted,    // memory, table, ring, disk or descriptor limit
  kTimeout,
  kCorrupt,  // data failed validation
  kUnsupported,
  kInternal,
};

enum class ErrorOrigin : std::uint8_t { kLocal, kPeer, kDataplane, kConfig, kStore };

constexpr std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kAlreadyExists:
      return "already exists";
    case ErrorCode::kPermissionDenied:
      return "permission denied";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kExhausted:
      return "exhausted";
    case ErrorCode::kTimeout:
      return "timed out";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kInternal:
      return "internal error";
  }
  return "unknown error";
}

class Error {
 public:
  Error(ErrorCode code, std::string message, ErrorOrigin origin = ErrorOrigin::kLocal,
        bool retryable = false)
      : code_(code), origin_(origin), retryable_(retryable), message_(std::move(message)) {}

  ErrorCode code() const noexcept { return code_; }
  ErrorOrigin origin() const noexcept { return origin_; }
  bool retryable() const noexcept { return retryable_; }
  // Outermost context first, separated by ": ", ready to be shown to a person.
  const std::string& message() const noexcept { return message_; }

  // The same error seen from one level further out: "reading config: line 3: unknown key".
  Error within(std::string_view context) && {
    message_.insert(0, ": ").insert(0, context);
    return std::move(*this);
  }

 private:
  ErrorCode code_;
  ErrorOrigin origin_;
  bool retryable_;
  std::string message_;
};

}  // namespace sluice
