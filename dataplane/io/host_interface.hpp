// The TAP companion of a port in the kernel (`sl-<port>`): frames that are no messages go there and
// come from there, so that addresses, neighbours and routes are the kernel's. Manager thread only.
// The interface is persistent: it and its addresses outlive a dataplane that is killed; remove()
// takes it away at an orderly stop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "sluice/base/result.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {

class HostInterface {
 public:
  // Makes it, or takes over the one that an earlier dataplane left: same MAC address as the port,
  // its MTU, up, and no offloads, so that the kernel hands over complete checksums.
  static Result<HostInterface> open(const std::string& name, const MacAddress& mac,
                                    std::uint32_t mtu);
  HostInterface(HostInterface&& other) noexcept;
  HostInterface& operator=(HostInterface&&) = delete;
  ~HostInterface();  // closes; the interface stays

  int fd() const noexcept { return fd_; }
  const std::string& name() const noexcept { return name_; }
  std::uint32_t index() const noexcept { return index_; }

  // One frame from the kernel; 0 when there is none (or it cannot be read now).
  std::size_t read(void* buffer, std::size_t bytes) noexcept;
  // One frame to the kernel, in pieces. False: not taken (its queue is full, interface down).
  struct Piece {
    const void* data;
    std::size_t bytes;
  };
  bool write(std::span<const Piece> pieces) noexcept;

  void remove() noexcept;

 private:
  HostInterface(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  Status attach();
  Status set_up(const MacAddress& mac, std::uint32_t mtu);

  int fd_;
  std::string name_;
  std::uint32_t index_ = 0;
};

}  // namespace sluice::dataplane
