// Memory for the copy of one base segment: huge pages (hugetlbfs) when enough of them are free,
// else ordinary memory that the kernel may back with transparent huge pages. A lookup in a base
// touches two random cache lines in hundreds of megabytes: with 4 KiB pages each would miss the TLB
// as well. Taken by whoever loads (any thread), given back by the manager thread in steps. Needs no
// EAL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "sluice/base/result.hpp"

namespace sluice::dataplane {

class BaseMemory {
 public:
  BaseMemory() = default;
  // Zeroed, at least `bytes` long, on the node if possible (-1: any). Fails with kExhausted; so it
  // does when the machine's ordinary memory is too short, instead of calling the OOM killer later.
  static Result<BaseMemory> create(std::size_t bytes, int numa_node);
  BaseMemory(BaseMemory&& other) noexcept
      : at_(std::exchange(other.at_, nullptr)),
        mapped_(std::exchange(other.mapped_, 0)),
        used_(std::exchange(other.used_, 0)),
        huge_(other.huge_) {}
  BaseMemory& operator=(BaseMemory&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(mapped_, other.mapped_);
    std::swap(used_, other.used_);
    std::swap(huge_, other.huge_);
    return *this;
  }
  ~BaseMemory();

  std::span<std::uint8_t> bytes() noexcept { return {at_, used_}; }
  std::span<const std::uint8_t> bytes() const noexcept { return {at_, used_}; }
  std::size_t mapped_bytes() const noexcept { return mapped_; }
  bool huge() const noexcept { return huge_; }

  // Gives a bounded piece back to the kernel, about 8 MiB: half a gigabyte at once would stop this
  // thread for tens of milliseconds. True when nothing is left.
  bool release_some() noexcept;

 private:
  BaseMemory(std::uint8_t* at, std::size_t mapped, std::size_t used, bool huge) noexcept
      : at_(at), mapped_(mapped), used_(used), huge_(huge) {}

  std::uint8_t* at_ = nullptr;
  std::size_t mapped_ = 0;
  std::size_t used_ = 0;
  bool huge_ = false;
};

}  // namespace sluice::dataplane
