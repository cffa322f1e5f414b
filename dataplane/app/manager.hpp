// The manager thread's loop: one epoll over the link to the control plane, the host interfaces, the
// wake-ups of workers and the signals. Each turn gives every duty a bounded piece of work; when
// nobody has more to do it sleeps until something happens or the next periodic duty is due. It
// never forwards messages.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/app/notify.hpp"
#include "dataplane/apply/apply.hpp"
#include "dataplane/io/host_link.hpp"
#include "dataplane/io/mempools.hpp"
#include "dataplane/io/ports.hpp"
#include "dataplane/worker/waker.hpp"
#include "sluice/base/result.hpp"
#include "sluice/link/status.hpp"

namespace sluice::dataplane {

class Manager {
 public:
  struct Parts {
    Apply& apply;
    HostLink& host;
    Ports& ports;
    const Mempools& mempools;
    Waker& waker;
    link::StatusSegment& status;
    ServiceManager& service;
    int signal_fd;  // SIGTERM, SIGINT; blocked in all threads
  };
  static Result<std::unique_ptr<Manager>> create(const Parts& parts);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Until a signal asks to stop; returns its number.
  int run();

 private:
  explicit Manager(const Parts& parts) : parts_(parts) {}
  Status watch(int fd, std::uint64_t tag);
  void sleep_and_serve(bool more);
  void serve(const epoll_event& event);
  void periodic(std::uint64_t now_ns);
  void watch_links();
  void pause_interface(std::uint16_t port, bool pause);
  void give_up_interface(std::uint16_t port);
  int timeout_ms(std::uint64_t now_ns) const;

  Parts parts_;
  int epoll_fd_ = -1;
  int signal_ = 0;
  std::vector<std::uint16_t> paused_;  // host interfaces whose worker's ring is full
  std::uint64_t next_link_poll_ns_ = 0;
  std::uint64_t next_count_ns_ = 0;
};

}  // namespace sluice::dataplane
