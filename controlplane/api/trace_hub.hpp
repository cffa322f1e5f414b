// Hands the dataplane's trace records to the one client that asked for them. The dataplane traces
// for one at a time. start, stop, on_record and on_done on the control thread; next() on any other.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "sluice/base/result.hpp"
#include "sluice/link/messages.hpp"

namespace sluice::controlplane {

class Link;

class TraceSession {
 public:
  // The next record; nothing after `patience`, or when all have come.
  std::optional<link::TraceRecord> next(std::chrono::milliseconds patience);
  bool finished() const;   // no more will come, and none waits
  bool complete() const;   // the dataplane has sent the last one; it may still be under way
  bool cut_short() const;  // it ended because the dataplane went away

 private:
  friend class TraceHub;
  static constexpr std::size_t kMaxWaiting = 10'000;

  void push(const link::TraceRecord& record);
  void expect(std::uint64_t records);
  void finish(bool cut_short);

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<link::TraceRecord> waiting_;
  bool done_ = false;
  bool cut_short_ = false;
  std::uint64_t received_ = 0;
  std::optional<std::uint64_t> expected_;
  std::uint32_t token_ = 0;
};

class TraceHub {
 public:
  explicit TraceHub(Link& link) : link_(link) {}

  // kAlreadyExists: somebody else is tracing. kUnavailable: no dataplane.
  Result<std::shared_ptr<TraceSession>> start(const Id& source, const Id& destination,
                                              std::uint32_t count);
  void stop(const std::shared_ptr<TraceSession>& session);
  void on_record(const link::TraceRecord& record);
  void on_done(std::uint32_t token, std::uint64_t records);
  void on_link_lost();

 private:
  Link& link_;
  std::shared_ptr<TraceSession> session_;
};

}  // namespace sluice::controlplane
