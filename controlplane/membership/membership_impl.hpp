// What membership.cpp and membership_keys.cpp share: the member, its thread, and what only that
// thread touches; events alone are under the lock. Internal to this folder.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <type_traits>

#include "controlplane/membership/key_survey.hpp"
#include "controlplane/membership/log_limit.hpp"
#include "controlplane/membership/membership.hpp"

namespace sluice::membership {

struct Membership::Impl {
  Impl(MembershipOptions& options, const DriverOptions& driven)
      : base_tags(driven.tags),
        keys_file(std::move(options.keys_file)),
        state_file(std::move(options.state_file)),
        verified(driven.wire.demands_encryption()),
        encrypts(driven.wire.encrypts()),
        joins(!driven.join.empty()),
        label(driven.wire.label),
        on_log(std::move(options.on_log)) {}

  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  Tags base_tags;
  std::string keys_file;
  std::string state_file;
  bool verified;  // what comes was encrypted
  bool encrypts;  // and so is what goes
  bool joins;     // there are others, whether they were found or not
  KeyOrderFilter orders;
  std::vector<KeyOrder> given;  // by our operator, lately
  asio::steady_timer repeat_timer{io};
  std::size_t repeat_from = 0;
  asio::steady_timer forget_timer{io};
  std::optional<KeySurvey> survey;
  std::mutex one_survey;  // of callers; the survey is the thread's
  std::string label;
  Driver::OnLog on_log;
  LogLimits log_limits;
  asio::steady_timer log_timer{io};
  bool log_timer_set = false;
  std::unique_ptr<Driver> driver;
  asio::steady_timer save_timer{io};
  bool save_failed = false;
  bool save_is_soon = false;
  std::thread thread;

  mutable std::mutex mutex;
  std::condition_variable more;
  std::deque<ClusterEvent> events;
  std::uint64_t sequence = 0;

  template <class Work>
  auto on_thread(Work&& job) -> std::invoke_result_t<Work&> {
    using Value = std::invoke_result_t<Work&>;
    std::promise<Value> promise;
    auto future = promise.get_future();
    asio::post(io, [&] {
      if constexpr (std::is_void_v<Value>) {
        job();
        promise.set_value();
      } else {
        promise.set_value(job());
      }
    });
    return future.get();
  }

  Tags all_tags() const {
    Tags tags = base_tags;
    if (auto* ring = driver ? driver->keyring() : nullptr) {
      tags.emplace_back(kKeysTag, keys_tag(ring->keys()));
    }
    return tags;
  }

  void on_event(const MemberEvent& event);
  bool log_event(const MemberEvent& event);
  bool log(std::size_t cause, std::string line, bool bad);
  bool log(LogCause cause, std::string line, bool bad) {
    return log(static_cast<std::size_t>(cause), std::move(line), bad);
  }
  void tell_suppressed_later();
  void on_user(const MemberEvent& event);
  void on_key_order(const MemberEvent& event);
  Result<bool> apply(const KeyOrder& order);
  Status change_keys(const KeyOrder& order);
  void tell_keys(const std::vector<Key>& keys);
  void forget_removed_later();
  Status give(const KeyOrder& order);
  Status may(const KeyOrder& order, bool others_too, std::size_t away);
  Result<std::size_t> ask_who_is_away();
  void begin_survey();
  void ask_unanswered();
  void spread(const KeyOrder& order);
  void keep(const KeyOrder& order);
  void repeat_later();
  void repeat_orders();
  ClusterKeys keys();
  std::size_t missed();
  void save_after(std::chrono::seconds time);
  void save_soon();
  void save();
};

}  // namespace sluice::membership
