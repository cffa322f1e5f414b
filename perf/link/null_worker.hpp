// A real worker on a null device whose received frames are made into messages to random agents of
// the table, so that the link is measured while a worker forwards. Needs a started EAL with one
// --vdev=net_null (port 0).
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <memory>
#include <thread>

#include "dataplane/worker/worker.hpp"

namespace sluice::dataplane {
class Tables;
}

namespace sluice::perf {

inline constexpr unsigned kMessageBytes = 14 + 20 + 8 + 64;

class NullWorker {
 public:
  NullWorker(dataplane::PortTable& ports, dataplane::Tables& tables, link::WorkerCounters& counters,
             std::uint64_t routes);
  ~NullWorker();

  dataplane::WorkerContext& context() { return context_; }
  void start(int cpu);
  void stop();

 private:
  struct Source;
  static std::uint16_t fill(std::uint16_t port, std::uint16_t queue, rte_mbuf** frames,
                            std::uint16_t n, std::uint16_t room, void* source);

  std::unique_ptr<Source> source_;
  rte_mempool* pool_;
  dataplane::WorkerContext context_;
  std::unique_ptr<dataplane::Waker> waker_;
  std::unique_ptr<dataplane::Waker> manager_;
  std::unique_ptr<dataplane::Worker> worker_;
  std::thread thread_;
};

}  // namespace sluice::perf
