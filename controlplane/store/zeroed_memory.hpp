// Anonymous memory for large tables: zeroed, taken from the kernel page by page as it is touched,
// in huge pages where it gives them, and given back whole. Owner's thread only; throws
// std::bad_alloc.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace sluice::controlplane::store {

class ZeroedMemory {
 public:
  explicit ZeroedMemory(std::size_t bytes) : bytes_(bytes) {
    at_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at_ == MAP_FAILED) throw std::bad_alloc();  // as a container would
    ::madvise(at_, bytes, MADV_HUGEPAGE);           // a wish; without it everything works, slower
  }
  ~ZeroedMemory() { ::munmap(at_, bytes_); }
  ZeroedMemory(const ZeroedMemory&) = delete;
  ZeroedMemory& operator=(const ZeroedMemory&) = delete;

  void* data() const noexcept { return at_; }
  std::size_t size() const noexcept { return bytes_; }

 private:
  void* at_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::controlplane::store
