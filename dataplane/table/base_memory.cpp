#include "dataplane/table/base_memory.hpp"

#include <fmt/format.h>
#include <linux/mman.h>
#include <numa.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace sluice::dataplane {

namespace {

constexpr std::size_t kMebibyte = 1U << 20;
constexpr std::size_t kHugePage = 2 * kMebibyte;
constexpr std::size_t kReleaseStep = 8 * kMebibyte;
// Ordinary memory that must be left for everybody else.
constexpr std::size_t kSpare = 64 * kMebibyte;

std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

// What the kernel thinks it can give without swapping; SIZE_MAX when it does not tell.
std::size_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word) {
    std::size_t kibibytes = 0;
    if (word == "MemAvailable:" && file >> kibibytes) return kibibytes * 1024;
  }
  return SIZE_MAX;
}

// A wish, not an order: under a binding that cannot be kept a fault in huge pages is a SIGBUS.
void prefer_node(void* at, std::size_t bytes, int node) {
  if (node < 0 || ::numa_available() < 0 || node > ::numa_max_node()) return;
  ::numa_set_bind_policy(0);
  ::numa_tonode_memory(at, bytes, node);
}

}  // namespace

Result<BaseMemory> BaseMemory::create(std::size_t bytes, int numa_node) {
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  const std::size_t mapped = round_up(std::max<std::size_t>(bytes, 1), kHugePage);
  // The kernel reserves huge pages here, so that touching them later cannot fail. Of 2 MiB,
  // whatever the machine's default is: what is given back in steps must be whole pages.
  constexpr int kHuge = MAP_HUGETLB | 21 << MAP_HUGE_SHIFT;
  void* at = ::mmap(nullptr, mapped, kProtection, kFlags | kHuge, -1, 0);
  const bool huge = at != MAP_FAILED;
  if (!huge) {
    if (const std::size_t available = available_bytes();
        available < mapped || available - mapped < kSpare) {
      return fail(ErrorCode::kExhausted, fmt::format("{} MiB are needed, {} MiB are available",
                                                     mapped / kMebibyte, available / kMebibyte));
    }
    at = ::mmap(nullptr, mapped, kProtection, kFlags, -1, 0);
    if (at == MAP_FAILED) {
      return fail(ErrorCode::kExhausted,
                  fmt::format("mapping {} MiB: {}", mapped / kMebibyte, std::strerror(errno)));
    }
    ::madvise(at, mapped, MADV_HUGEPAGE);
  }
  prefer_node(at, mapped, numa_node);
  return BaseMemory(static_cast<std::uint8_t*>(at), mapped, bytes, huge);
}

BaseMemory::~BaseMemory() {
  if (at_ != nullptr) ::munmap(at_, mapped_);
}

bool BaseMemory::release_some() noexcept {
  used_ = 0;
  const std::size_t step = std::min(mapped_, kReleaseStep);
  mapped_ -= step;
  if (step != 0) ::munmap(at_ + mapped_, step);
  if (mapped_ == 0) at_ = nullptr;
  return mapped_ == 0;
}

}  // namespace sluice::dataplane
