// The rings and wakers between the threads, and from them each worker's context. Main thread;
// workers must have returned before it dies.
#pragma once

#include <rte_ring.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "dataplane/io/mempools.hpp"
#include "dataplane/io/ports.hpp"
#include "dataplane/worker/context.hpp"
#include "sluice/base/result.hpp"
#include "sluice/link/status.hpp"

namespace sluice::dataplane {

struct Tables;

class Wiring {
 public:
  struct Parts {
    const config::Config& config;
    const std::vector<int>& worker_nodes;
    const Mempools& mempools;
    const Ports& ports;
    Tables& tables;
    link::StatusSegment& status;
    bool huge_pages;
  };
  static Result<std::unique_ptr<Wiring>> create(const Parts& parts);
  ~Wiring();  // frees what is still in the rings
  Wiring(const Wiring&) = delete;
  Wiring& operator=(const Wiring&) = delete;

  const std::vector<std::unique_ptr<WorkerContext>>& workers() const noexcept { return workers_; }
  std::vector<const WorkerContext*> worker_pointers() const;
  Waker& manager() noexcept { return *manager_; }

 private:
  Wiring() = default;
  Status make_wakers(std::size_t workers);
  Status make_context(const Parts& parts, std::uint16_t index);
  Status make_rings(const Parts& parts, std::uint16_t index);
  Status connect_workers(const Parts& parts);
  Result<rte_ring*> make_ring(const std::string& name, std::uint32_t count, int socket);
  Result<rte_ring*> make_element_ring(const std::string& name, std::uint32_t bytes,
                                      std::uint32_t count, int socket);
  Result<rte_ring*> ring_between(const Parts& parts, std::vector<rte_ring*>& made, const char* what,
                                 std::uint16_t from, std::uint16_t to);

  std::vector<int> event_fds_;
  std::vector<std::unique_ptr<Waker>> wakers_;  // of workers, by index
  std::unique_ptr<Waker> manager_;
  std::vector<rte_ring*> mbuf_rings_;
  std::vector<rte_ring*> element_rings_;  // of records, not buffers
  std::vector<std::unique_ptr<WorkerContext>> workers_;
};

}  // namespace sluice::dataplane
