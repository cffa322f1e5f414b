// An array on the stack that is not filled when it is made: lookups use a few of 64 places, and
// clearing the rest would cost more than they do.
#pragma once

#include <cstddef>
#include <type_traits>

namespace sluice::controlplane::store {

template <class T, std::size_t kSize>
  requires std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>
class Scratch {
 public:
  Scratch() noexcept {}  // NOLINT: leaves the items as they are, on purpose

  T* data() noexcept { return items_; }
  T& operator[](std::size_t i) noexcept { return items_[i]; }
  const T& operator[](std::size_t i) const noexcept { return items_[i]; }

 private:
  union {
    T items_[kSize];
  };
};

}  // namespace sluice::controlplane::store
