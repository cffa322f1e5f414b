#include "dataplane/apply/status_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sluice/base/bytes.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"

namespace sluice::dataplane {

Result<std::unique_ptr<StatusMemory>> StatusMemory::create() {
  const auto failed = [](const char* what) {
    return fail(ErrorCode::kExhausted,
                fmt::format("status segment: {}: {}", what, std::strerror(errno)));
  };
  const int fd = ::memfd_create("sluice-status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return failed("memfd_create");
  if (::ftruncate(fd, sizeof(link::StatusSegment)) != 0) {
    auto error = failed("sizing it");
    ::close(fd);
    return error;
  }
  void* at =
      ::mmap(nullptr, sizeof(link::StatusSegment), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) {
    auto error = failed("mapping it");
    ::close(fd);
    return error;
  }
  // Nobody but this mapping writes from here on: who has a read-only descriptor can open the file
  // again through /proc for writing.
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
  if (::fcntl(fd, F_ADD_SEALS, kSeals) != 0) {
    auto error = failed("sealing it");
    ::munmap(at, sizeof(link::StatusSegment));
    ::close(fd);
    return error;
  }
  auto* segment = static_cast<link::StatusSegment*>(at);
  segment->magic = link::kStatusMagic;
  segment->version = link::kStatusVersion;
  segment->bytes = sizeof(link::StatusSegment);
  segment->pid = static_cast<std::uint32_t>(::getpid());
  segment->started_ns = monotonic_ns();
  segment->instance = load<std::uint64_t>(random_bytes<sizeof segment->instance>().data());
  return std::unique_ptr<StatusMemory>(new StatusMemory(fd, segment));
}

StatusMemory::~StatusMemory() {
  ::munmap(segment_, sizeof(link::StatusSegment));
  ::close(fd_);
}

Result<int> StatusMemory::open_read_only() const {
  const int fd = ::open(fmt::format("/proc/self/fd/{}", fd_).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail(ErrorCode::kExhausted,
                fmt::format("status segment: opening it again: {}", std::strerror(errno)));
  return fd;
}

}  // namespace sluice::dataplane
