// The dataplane's end of the link: the listening socket, the handshake, one connection at a time
// with its own fresh region. Manager thread only. Nothing here looks into the rings.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "dataplane/apply/status_memory.hpp"
#include "sluice/base/result.hpp"
#include "sluice/base/unique_fd.hpp"
#include "sluice/link/region.hpp"

namespace sluice::dataplane {

class LinkServer {
 public:
  // Takes <run-dir>/dataplane.lock for as long as it lives and listens on <run-dir>/dataplane.sock
  // (mode 0600). A socket file left by a dead process is replaced; kAlreadyExists with the pid of
  // the other when a live dataplane has the directory. The directory must exist.
  static Result<std::unique_ptr<LinkServer>> create(const std::string& run_dir,
                                                    StatusMemory& status);
  ~LinkServer();
  LinkServer(const LinkServer&) = delete;
  LinkServer& operator=(const LinkServer&) = delete;

  // Readable (epoll, level) when poll() has something to do: a connection, its end, a wake-up from
  // the control plane.
  int fd() const noexcept;
  // Makes fd() readable too while this descriptor is.
  Status watch(int descriptor);

  enum class Change : std::uint8_t { kNone, kConnected, kDisconnected, kOffer };
  // Accepts, shakes hands, notices the end. Never blocks. `last_epoch` goes into the region of a
  // new connection: the epoch of the tables as they are. At most one change per call; call until
  // kNone.
  Change poll(std::uint8_t last_epoch);

  // The base segment that the control plane offered, after kOffer.
  struct Offer {
    link::SegmentId segment{};
    UniqueFd file;
  };
  Offer take_offer();

  // The region of the connection, or null. Dies with the call that returns kDisconnected or with
  // disconnect().
  link::Region* region() noexcept;
  std::uint32_t peer_pid() const noexcept;

  // Signals the control plane's eventfd; after a push whose ring says needs_wakeup().
  void wake_peer() noexcept;
  // Ends the connection because the peer broke the protocol; logs why.
  void disconnect(std::string_view why);

 private:
  struct Impl;
  explicit LinkServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::dataplane
