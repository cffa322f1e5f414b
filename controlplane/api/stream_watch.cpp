#include "controlplane/api/stream_watch.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace sluice::controlplane {

StreamWatch::StreamWatch(std::chrono::milliseconds limit)
    : limit_(limit), thread_([this](const std::stop_token& stop) { run(stop); }) {}

StreamWatch::Guard::Guard(StreamWatch& watch, grpc::ServerContext& context) : watch_(watch) {
  const std::lock_guard lock(watch_.mutex_);
  at_ = watch_.writing_.insert(watch_.writing_.end(), {&context, Clock::now(), false});
}

StreamWatch::Guard::~Guard() {
  const std::lock_guard lock(watch_.mutex_);
  watch_.writing_.erase(at_);
}

// Looks now and then instead of being woken for each message: a quarter of the limit more or less
// matters to nobody.
void StreamWatch::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    stopped_.wait_for(lock, stop, limit_ / 4, [] { return false; });
    const auto late = Clock::now() - limit_;
    for (Writing& writing : writing_) {
      if (writing.since > late) break;
      if (std::exchange(writing.ended, true)) continue;
      writing.context->TryCancel();
      spdlog::warn("event=api_stream_ended reason=\"its client did not read for {} ms\"",
                   limit_.count());
    }
  }
}

}  // namespace sluice::controlplane
