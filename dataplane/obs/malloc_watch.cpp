#include "dataplane/obs/malloc_watch.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>

namespace {

// Plain thread-locals without construction: they are used before and after everything else.
thread_local std::uint64_t allocations = 0;
thread_local unsigned forbidden = 0;

void on_allocation() noexcept {
  ++allocations;
  if (forbidden == 0) return;
  forbidden = 0;
  static constexpr char kText[] = "a worker allocated memory on its message path\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText, sizeof kText - 1);
  std::abort();
}

}  // namespace

namespace sluice::dataplane {

std::uint64_t thread_allocations() noexcept {
  return allocations;
}
ForbidAllocation::ForbidAllocation() noexcept {
  ++forbidden;
}
ForbidAllocation::~ForbidAllocation() {
  --forbidden;
}

}  // namespace sluice::dataplane

// A sanitizer brings its own malloc, which must stay in place; then nothing is counted.
#if !defined(SLUICE_SANITIZED)
extern "C" {

// glibc's own names of what is replaced here.
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  on_allocation();
  return __libc_malloc(bytes);
}
void* calloc(std::size_t n, std::size_t bytes) {
  on_allocation();
  return __libc_calloc(n, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  on_allocation();
  return __libc_realloc(old, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  on_allocation();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return memalign(alignment, bytes);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) {
  void* memory = memalign(alignment, bytes);
  if (memory == nullptr) return ENOMEM;
  *out = memory;
  return 0;
}

}  // extern "C"
#endif
