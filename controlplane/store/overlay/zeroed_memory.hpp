// Anonymous memory for large tables: zeroed, taken from the kernel page by page as it is touched,
// in huge pages where it gives them, and given back whole. From half a huge page on it begins at a
// huge page's boundary and ends at one, so that all of it can be in huge pages: a table that is
// read all over would else miss the TLB at each read. Owner's thread only; throws std::bad_alloc.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace sluice::controlplane::store {

class ZeroedMemory {
 public:
  explicit ZeroedMemory(std::size_t bytes)
      : bytes_(bytes), mapped_(bytes < kHuge / 2 ? bytes : up_to_huge(bytes)) {
    const std::size_t spare = bytes < kHuge / 2 ? 0 : kHuge;
    void* const area = ::mmap(nullptr, mapped_ + spare, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) throw std::bad_alloc();  // as a container would
    at_ = static_cast<char*>(area);
    if (spare != 0) {
      const std::size_t before = up_to_huge(reinterpret_cast<std::uintptr_t>(area)) -
                                 reinterpret_cast<std::uintptr_t>(area);
      at_ += before;
      if (before != 0) ::munmap(area, before);
      if (before != spare) ::munmap(at_ + mapped_, spare - before);
    }
    ::madvise(at_, mapped_, MADV_HUGEPAGE);  // a wish; without it everything works, slower
  }
  ~ZeroedMemory() { ::munmap(at_, mapped_); }
  ZeroedMemory(const ZeroedMemory&) = delete;
  ZeroedMemory& operator=(const ZeroedMemory&) = delete;

  void* data() const noexcept { return at_; }
  std::size_t size() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t kHuge = std::size_t{2} << 20;
  static constexpr std::size_t up_to_huge(std::size_t bytes) noexcept {
    return (bytes + kHuge - 1) & ~(kHuge - 1);
  }

  char* at_ = nullptr;
  const std::size_t bytes_;
  const std::size_t mapped_;
};

}  // namespace sluice::controlplane::store
