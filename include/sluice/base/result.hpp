// Result<T>: a value or an Error. Used by the control plane and by all set-up code; never per
// message.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "sluice/base/error.hpp"

namespace sluice {

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message,
                                   ErrorOrigin origin = ErrorOrigin::kLocal,
                                   bool retryable = false) {
  return std::unexpected<Error>(Error(code, std::move(message), origin, retryable));
}

// Passes an error on with the context of this level.
inline std::unexpected<Error> fail(Error error, std::string_view context) {
  return std::unexpected<Error>(std::move(error).within(context));
}

}  // namespace sluice
