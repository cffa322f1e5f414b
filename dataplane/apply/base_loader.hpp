// Loads base segments in a thread of its own, so that copying and checking hundreds of megabytes
// never stands in the manager's way. The thread begins with the first request and sleeps between
// them; it inherits the manager's cores (never a worker's alone) and gives way to the manager. All
// calls from the manager thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <expected>
#include <mutex>
#include <optional>
#include <thread>

#include "dataplane/table/base_load.hpp"
#include "sluice/base/result.hpp"
#include "sluice/base/unique_fd.hpp"

namespace sluice::dataplane {

class BaseLoader {
 public:
  struct Outcome {
    link::SegmentId segment{};
    std::expected<LoadedBase, BaseLoadFailure> loaded;
    std::uint64_t took_ns = 0;
  };

  explicit BaseLoader(int numa_node);
  ~BaseLoader();  // waits for the thread: at most a block's time
  BaseLoader(const BaseLoader&) = delete;
  BaseLoader& operator=(const BaseLoader&) = delete;

  // Readable when poll() has an outcome.
  int fd() const noexcept { return done_.get(); }

  // Not while one is busy: cancel() that first.
  void start(const link::SegmentId& segment, UniqueFd file);
  // Of what was started nothing is heard any more; if it was finished already it is returned.
  std::optional<Outcome> cancel();
  // The segment that is being loaded or whose outcome waits.
  const std::optional<link::SegmentId>& busy() const noexcept { return busy_; }
  std::optional<Outcome> poll();

 private:
  struct Request {
    link::SegmentId segment{};
    UniqueFd file;
    std::uint64_t number = 0;
  };

  std::optional<Outcome> take_outcome();
  void work();

  int numa_node_;
  UniqueFd done_;  // eventfd
  std::optional<link::SegmentId> busy_;
  std::uint64_t requests_ = 0;
  std::thread thread_;

  std::atomic<bool> give_up_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  // Under the mutex:
  bool stop_ = false;
  std::optional<Request> next_;
  std::optional<Outcome> outcome_;
  std::uint64_t wanted_ = 0;  // number of the request whose outcome is wanted; 0: none
};

}  // namespace sluice::dataplane
