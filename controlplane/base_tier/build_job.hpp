// Builds one base segment and the list of its ids in a thread of its own, from routes that the
// control thread hands over in pieces. Made, fed and destroyed by the control thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/link/route_base.hpp"
#include "controlplane/store/compaction/pace.hpp"
#include "controlplane/store/segment/base_builder.hpp"

namespace sluice::controlplane {

struct BuildPlan {
  std::uint64_t routes = 0;  // about as many will come
  std::string segment_path;
  std::string ids_path;
  store::BaseOptions options;
  std::uint64_t bytes_per_second = 0;  // 0: no limit
};

class BuildJob {
 public:
  struct Piece {
    std::vector<BaseRoute> routes;
    // What handles of these routes stand for, as far as it was not said before.
    std::vector<std::pair<std::uint32_t, index::BaseDestination>> destinations;
    bool last = false;
  };

  // `room` is called in the job's thread when give() can be called again, `done` at its end, in
  // that thread as well, unless it was cancelled.
  BuildJob(store::Fs& fs, BuildPlan plan, std::function<void()> room,
           std::function<void(Result<store::BaseInfo>)> done);
  // Cancels it when it runs; what it has written is gone.
  ~BuildJob();

  // False: enough waits already; the piece is untouched, room() will come.
  bool give(Piece& piece);

 private:
  static constexpr std::size_t kMaxWaiting = 8;

  void run();
  Result<store::BaseInfo> build();
  Status check_room() const;
  Status add(const Piece& piece, store::BaseBuilder& builder, class IdsWriter& ids);
  bool take(Piece& piece);  // false: cancelled

  store::Fs& fs_;
  const BuildPlan plan_;
  std::function<void()> room_;
  std::function<void(Result<store::BaseInfo>)> done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> waiting_;
  bool refused_one_ = false;  // room() is wanted
  std::atomic<bool> stop_{false};
  store::RateLimiter limiter_;
  std::vector<std::uint32_t> position_;  // by handle
  std::thread thread_;                   // last: it uses the rest
};

}  // namespace sluice::controlplane
