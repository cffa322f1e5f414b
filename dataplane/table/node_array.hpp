// A large zeroed array on one NUMA node, for tables that workers index directly. Address space for
// all elements is reserved at once and backed by memory only where it is touched (transparent huge
// pages where the kernel gives them), so that a table can be as long as its index can say and needs
// no range check. Made and freed by the manager thread. Needs no EAL.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "sluice/base/result.hpp"

namespace sluice::dataplane {

inline constexpr int kAnyNode = -1;

namespace detail {
Result<void*> map_on_node(std::size_t bytes, int numa_node);
void unmap(void* memory, std::size_t bytes) noexcept;
}  // namespace detail

template <class T>
class NodeArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  // numa_node: kAnyNode leaves the choice to the kernel. Fails with kExhausted.
  static Result<NodeArray> create(std::size_t elements, int numa_node) {
    auto memory = detail::map_on_node(elements * sizeof(T), numa_node);
    if (!memory) return std::unexpected(std::move(memory.error()));
    return NodeArray(static_cast<T*>(*memory), elements);
  }
  NodeArray(NodeArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), elements_(std::exchange(other.elements_, 0)) {}
  NodeArray& operator=(NodeArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(elements_, other.elements_);
    return *this;
  }
  ~NodeArray() {
    if (data_ != nullptr) detail::unmap(data_, elements_ * sizeof(T));
  }

  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  std::size_t size() const noexcept { return elements_; }

 private:
  NodeArray(T* data, std::size_t elements) noexcept : data_(data), elements_(elements) {}

  T* data_;
  std::size_t elements_;
};

}  // namespace sluice::dataplane
