// The status segment's memory: a sealed memfd made once per start of the dataplane, written by its
// threads, handed read-only to each control plane. Made on the main thread; outlives everything
// that counts.
#pragma once

#include <memory>

#include "sluice/base/result.hpp"
#include "sluice/link/status.hpp"

namespace sluice::dataplane {

class StatusMemory {
 public:
  // Zeroed but for magic, version, size, a random instance, pid and start time.
  static Result<std::unique_ptr<StatusMemory>> create();
  ~StatusMemory();
  StatusMemory(const StatusMemory&) = delete;
  StatusMemory& operator=(const StatusMemory&) = delete;

  link::StatusSegment& segment() noexcept { return *segment_; }
  // A descriptor through which the memory can be mapped, but not writable. The caller closes it.
  Result<int> open_read_only() const;

 private:
  StatusMemory(int fd, link::StatusSegment* segment) noexcept : fd_(fd), segment_(segment) {}
  int fd_;
  link::StatusSegment* segment_;
};

}  // namespace sluice::dataplane
