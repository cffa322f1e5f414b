#include "dataplane/table/node_array.hpp"

#include <fmt/core.h>
#include <numa.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace sluice::dataplane::detail {

Result<void*> map_on_node(std::size_t bytes, int numa_node) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return fail(ErrorCode::kExhausted,
                fmt::format("reserving {} bytes for a table: {}", bytes, std::strerror(errno)));
  }
  // Both are wishes: the table works without huge pages, and on a machine without nodes.
  ::madvise(memory, bytes, MADV_HUGEPAGE);
  if (numa_node >= 0 && ::numa_available() >= 0 && numa_node <= ::numa_max_node())
    ::numa_tonode_memory(memory, bytes, numa_node);
  return memory;
}

void unmap(void* memory, std::size_t bytes) noexcept {
  ::munmap(memory, bytes);
}

}  // namespace sluice::dataplane::detail
