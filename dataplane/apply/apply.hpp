// The dataplane's side of the link as the manager loop sees it: server, applier, hold queue and
// bridge behind one descriptor and one turn. Manager thread only.
//
//   while (!stop) {
//     bool more = apply->turn();                       // and the manager's other duties
//     if (!more && apply->prepare_sleep()) epoll_wait(..., apply->fd() among others,
//                                                     apply->timeout_ms());
//     apply->finish_sleep();
//   }
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "dataplane/apply/applier.hpp"
#include "dataplane/apply/control_bridge.hpp"
#include "dataplane/apply/status_memory.hpp"
#include "sluice/base/result.hpp"

namespace sluice::dataplane {

struct ApplyOptions {
  std::string run_dir;
  BridgeOptions bridge;  // tables, ports and status are filled in by create()
  // Of the configuration, until a control plane has told (Applier::assume).
  std::uint16_t message_port = kDefaultMessagePort;
  std::vector<std::vector<IpAddress>> local;  // by port
};

class Apply {
 public:
  // Listens when it returns. The tables, the ports and everything in options outlive it.
  static Result<std::unique_ptr<Apply>> create(ApplyOptions options, Tables& tables,
                                               StatusMemory& status);
  ~Apply();
  Apply(const Apply&) = delete;
  Apply& operator=(const Apply&) = delete;

  int fd() const noexcept;
  // One bounded turn of everything. True: call again without sleeping.
  bool turn();

  // Tells the peer, but not the workers, that we sleep: call the manager Waker's prepare() first,
  // then this. False: something is there already, do not sleep.
  bool prepare_sleep();
  void finish_sleep();
  int timeout_ms() const;  // for epoll_wait; -1 never happens: the heartbeat needs us

  bool connected() const noexcept;
  // The state of a port's link changed.
  void port_link(std::uint16_t port, bool up, std::uint32_t speed_mbps);
  // Orderly stop, while the workers still run: what is held is dropped and counted, the connection
  // closed.
  void stop();

 private:
  struct Impl;
  explicit Apply(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::dataplane
