// A worker: one poll loop on one core. Made on the main thread, run on its lcore; request_stop()
// may be called from any thread, and run() returns once every buffer it had is sent, handed over
// or counted as dropped (kShutdown). Workers pass frames to one another, so destroy them only when
// all of them have returned and nobody pushes to their rings any more; the ports are still open
// then.
#pragma once

#include <atomic>
#include <memory>

#include "dataplane/worker/context.hpp"
#include "sluice/base/result.hpp"

namespace sluice::dataplane {

class Worker {
 public:
  // Allocates everything the worker will ever need, on its NUMA node.
  static Result<std::unique_ptr<Worker>> create(const WorkerContext& context);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // On the worker's lcore. Registers with the tables' readers, polls until stopped, unregisters.
  void run() noexcept;

  // For rte_eal_remote_launch; the argument is a Worker*. Returns 0.
  static int launch(void* worker) noexcept;

  // Any thread. The worker finishes its loop, drains and returns from run().
  void request_stop() noexcept;

  // Any thread: false before run() begins and after it returned.
  bool running() const noexcept { return running_.load(std::memory_order_acquire); }

 private:
  class Loop;
  explicit Worker(const WorkerContext& context);

  WorkerContext context_;
  std::unique_ptr<Loop> loop_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> running_{false};
};

}  // namespace sluice::dataplane
