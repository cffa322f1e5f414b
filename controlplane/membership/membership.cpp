#include "controlplane/membership/membership.hpp"

#include <fmt/format.h>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "controlplane/membership/key_file.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {
namespace {

constexpr std::size_t kEventsKept = 4096;
constexpr auto kSaveEvery = std::chrono::seconds(60);
constexpr auto kLeaveWait = std::chrono::seconds(20);
constexpr std::uint64_t kKeyOrderKey =
    0x5300;  // with the step: a later order replaces an earlier one

}  // namespace

struct Membership::Impl {
  explicit Impl(MembershipOptions given)
      : base_tags(given.driver.tags),
        keys_file(std::move(given.keys_file)),
        state_file(std::move(given.state_file)),
        verified(given.driver.wire.demands_encryption()),
        encrypts(given.driver.wire.encrypts()),
        label(given.driver.wire.label),
        on_log(std::move(given.on_log)) {}

  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  Tags base_tags;
  std::string keys_file;
  std::string state_file;
  bool verified;  // what comes was encrypted
  bool encrypts;  // and so is what goes
  KeyOrderFilter orders;
  std::string label;
  Driver::OnLog on_log;
  std::unique_ptr<Driver> driver;
  asio::steady_timer save_timer{io};
  bool save_failed = false;
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
  void log_event(const MemberEvent& event);
  void on_key_order(const MemberEvent& event);
  Result<bool> apply(const KeyOrder& order);
  Status may(const KeyOrder& order, bool others_too);
  void spread(const KeyOrder& order);
  ClusterKeys keys();
  void save_later();
  void save();
};

void Membership::Impl::log_event(const MemberEvent& event) {
  const bool bad = event.kind == EventKind::kFailed || event.kind == EventKind::kConflict ||
                   event.kind == EventKind::kRefuted || event.kind == EventKind::kJoinFailed;
  std::string line = fmt::format("event=cluster_{}", to_string(event.kind));
  if (!event.name.empty()) line += fmt::format(" member={}", event.name);
  if (event.address.port != 0) line += fmt::format(" address={}", to_string(event.address));
  if (!event.from.empty()) line += fmt::format(" by={}", event.from);
  on_log(line, bad);
}

void Membership::Impl::on_event(const MemberEvent& event) {
  if (event.kind == EventKind::kUser) return on_key_order(event);
  log_event(event);
  const std::lock_guard lock(mutex);
  events.push_back({++sequence, realtime_ns(), event});
  if (events.size() > kEventsKept) events.pop_front();
  more.notify_all();
}

// ---- keys --------------------------------------------------------------------------------------

// True when it changed anything.
Result<bool> Membership::Impl::apply(const KeyOrder& order) {
  auto* ring = driver->keyring();
  const auto before = ring->keys();
  Status done;
  if (order.step == KeyStep::kAdd) done = ring->add(order.key);
  if (order.step == KeyStep::kUse) done = ring->use(order.key);
  if (order.step == KeyStep::kRemove) done = ring->remove(order.key);
  if (!done) return std::unexpected(done.error());
  const auto after = ring->keys();
  if (after == before) return false;
  if (!keys_file.empty()) {
    if (auto saved = save_keys(keys_file, after); !saved) {
      on_log(fmt::format("event=cluster_keys_not_saved error=\"{}\"", saved.error().message()),
             true);
    }
  }
  if (auto told = driver->set_tags(all_tags()); !told) {
    on_log(fmt::format("event=cluster_tags_too_long error=\"{}\"", told.error().message()), true);
  }
  on_log(fmt::format("event=cluster_keys_changed keys={}", keys_tag(after)), false);
  return true;
}

void Membership::Impl::spread(const KeyOrder& order) {
  if (!encrypts) return;  // a key never travels in the clear
  driver->send_user(kKeyOrderKey + static_cast<std::uint64_t>(order.step), encode_key_order(order),
                    true);
}

// Each passes on what was news to it.
void Membership::Impl::on_key_order(const MemberEvent& event) {
  const auto order = decode_key_order(event.meta);
  if (!order || driver->keyring() == nullptr) return;
  // Where unencrypted messages are let in, anybody could send it.
  if (!verified) {
    on_log("event=cluster_key_order_ignored reason=\"cluster.verify-incoming is false\"", true);
    return;
  }
  if (!orders.is_news(*order, realtime_ns())) return;
  const auto changed = apply(*order);
  if (!changed) {
    on_log(fmt::format("event=cluster_key_order_failed error=\"{}\"", changed.error().message()),
           true);
  } else if (*changed) {
    spread(*order);
  }
}

ClusterKeys Membership::Impl::keys() {
  ClusterKeys result;
  std::map<std::string, ClusterKey> by_name;
  const auto count = [&](const std::vector<std::string>& fingerprints, bool here) {
    ++result.routers;
    for (std::size_t i = 0; i < fingerprints.size(); ++i) {
      auto& key = by_name[fingerprints[i]];
      ++key.routers;
      if (i == 0) ++key.primary;
      key.here = key.here || here;
      key.primary_here = key.primary_here || (here && i == 0);
    }
  };
  const auto view = driver->view();
  for (const auto slot : view.members.ring()) {
    if (!view.members[slot].reachable()) continue;
    if (slot == view.self) {
      count(parse_keys_tag(keys_tag(driver->keyring()->keys())), true);
      continue;
    }
    const auto tags = decode_tags(view.members.meta(slot));
    const auto tag = find_tag(tags, kKeysTag);
    tag.empty() ? static_cast<void>(++result.others) : count(parse_keys_tag(tag), false);
  }
  for (auto& [fingerprint, key] : by_name) {
    key.fingerprint = fingerprint;
    result.keys.push_back(key);
  }
    status.stream_bytes = driver.stream_bytes();
  return result;
}

Status Membership::Impl::may(const KeyOrder& order, bool others_too) {
  const auto all = keys();
  if (all.others > 0 && !others_too) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} members do not tell which keys they have; see to them first (serf "
                            "keys), then repeat this with --others-done",
                            all.others));
  }
  const auto at = std::find_if(all.keys.begin(), all.keys.end(), [&](const ClusterKey& key) {
    return key.fingerprint == order.key.fingerprint();
  });
  const auto have = at == all.keys.end() ? 0 : at->routers;
  const auto use = at == all.keys.end() ? 0 : at->primary;
  if (order.step == KeyStep::kUse && have < all.routers) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("only {} of {} routers have key {}; add it and wait", have, all.routers,
                            order.key.fingerprint()));
  }
  if (order.step == KeyStep::kRemove && use > 0) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} of {} routers use key {}; use another one and wait", use,
                            all.routers, order.key.fingerprint()));
  }
  return {};
}

// ---- state -------------------------------------------------------------------------------------

void Membership::Impl::save_later() {
  if (state_file.empty()) return;
  save_timer.expires_after(kSaveEvery);
  save_timer.async_wait([this](const asio::error_code& error) {
    if (error) return;
    save();
    save_later();
  });
}

void Membership::Impl::save() {
  if (state_file.empty()) return;
  const auto saved = save_state(state_file, driver->save());
  if (!saved && !save_failed) {
    on_log(fmt::format("event=cluster_state_not_saved error=\"{}\"", saved.error().message()),
           true);
  }
  save_failed = !saved;
}

// ---- the face ----------------------------------------------------------------------------------

Membership::Membership(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Membership>> Membership::create(MembershipOptions options) {
  auto driver_options = std::move(options.driver);
  options.driver = {};
  options.driver.tags = driver_options.tags;
  options.driver.wire.label = driver_options.wire.label;
  auto impl = std::make_unique<Impl>(std::move(options));
  impl->verified = driver_options.wire.demands_encryption();
  impl->encrypts = driver_options.wire.encrypts();
  if (driver_options.wire.keyring) {
    driver_options.tags.emplace_back(kKeysTag, keys_tag(driver_options.wire.keyring->keys()));
  }
  auto* raw = impl.get();
  auto driver = Driver::create(
      raw->io, std::move(driver_options), [raw](const MemberEvent& event) { raw->on_event(event); },
      raw->on_log);
  if (!driver) return std::unexpected(driver.error());
  impl->driver = std::move(*driver);
  return std::unique_ptr<Membership>(new Membership(std::move(impl)));
}

Membership::~Membership() {
  impl_->work.reset();
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->io, [this] {
    impl_->save_timer.cancel();
    impl_->driver->stop();
    impl_->io.stop();
  });
  impl_->thread.join();
}

void Membership::start() {
  impl_->thread = std::thread([this] {
    impl_->driver->start();
    impl_->save_later();
    impl_->io.run();
  });
}

void Membership::leave() {
  std::promise<void> left;
  auto done = left.get_future();
  auto shared = std::make_shared<std::promise<void>>(std::move(left));
  impl_->on_thread([&] {
    impl_->save();
    impl_->driver->leave([shared] { shared->set_value(); });
  });
  done.wait_for(kLeaveWait);
}

std::vector<ClusterMember> Membership::members() {
  return impl_->on_thread([this] {
    std::vector<ClusterMember> members;
    const auto view = impl_->driver->view();
    const auto now = monotonic_ns();
    for (const auto slot : view.members.ring()) {
      const auto& member = view.members[slot];
      members.push_back({.name = std::string(view.members.name(slot)),
                         .address = member.address,
                         .state = member.state,
                         .incarnation = member.incarnation,
                         .tags = decode_tags(view.members.meta(slot)),
                         .vsn = member.vsn,
                         .state_age_ns = now - std::min(now, member.changed_ns),
                         .answered_age_ns = member.acked_ns == 0
                                                ? UINT64_MAX
                                                : now - std::min(now, member.acked_ns),
                         .self = slot == view.self,
                         .router = member.takes_hints});
    }
    std::sort(members.begin(), members.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return members;
  });
}

ClusterStatus Membership::status() {
  return impl_->on_thread([this] {
    const auto& driver = *impl_->driver;
    const auto view = driver.view();
    ClusterStatus status;
    status.name = driver.name();
    status.bind = driver.local();
    status.advertise = driver.advertise();
    status.label = impl_->label;
    status.encrypted = impl_->driver->keyring() != nullptr;
    for (std::size_t i = 0; i < status.members.size(); ++i)
      status.members[i] = view.members.count(static_cast<MemberState>(i));
    status.lost_peers = view.lost.size();
    status.health = view.health;
    status.queued = view.queued;
    status.queued_user = view.queued_user;
    status.streams = driver.open_streams();
    status.core = view.stats;
    status.driver = driver.stats();
    return status;
  });
}

Status Membership::force_leave(const std::string& name) {
  return impl_->on_thread([&]() -> Status {
    const auto view = impl_->driver->view();
    const auto slot = view.members.find(name);
    if (slot != MemberTable::kNone && view.members[slot].reachable()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} is {}; only a failed member can be made to leave", name,
                              to_string(view.members[slot].state)));
    }
    if (impl_->driver->force_leave(name)) return {};
    return fail(ErrorCode::kNotFound, fmt::format("there is no member {}", name));
  });
}

ClusterKeys Membership::keys() {
  return impl_->on_thread(
      [this] { return impl_->driver->keyring() ? impl_->keys() : ClusterKeys{}; });
}

Status Membership::key_step(KeyStep step, const Key& key, bool others_too) {
  return impl_->on_thread([&]() -> Status {
    if (impl_->driver->keyring() == nullptr) {
      return fail(ErrorCode::kInvalidArgument,
                  "this cluster is not encrypted; see cluster.encryption");
    }
    if (!impl_->encrypts) {
      return fail(ErrorCode::kInvalidArgument,
                  "cluster.verify-outgoing is false: the key would travel unencrypted; set it to "
                  "true first");
    }
    const KeyOrder order{step, key, realtime_ns()};
    if (auto allowed = impl_->may(order, others_too || step == KeyStep::kAdd); !allowed) {
      return allowed;
    }
    if (auto applied = impl_->apply(order); !applied) return std::unexpected(applied.error());
    impl_->orders.is_news(order, order.given_ns);
    // Also when nothing changed here: others may have missed it.
    impl_->spread(order);
    return {};
  });
}

Result<Key> Membership::find_key(const std::string& fingerprint) {
  return impl_->on_thread([&]() -> Result<Key> {
    std::vector<Key> found;
    if (auto* ring = impl_->driver->keyring()) {
      for (const auto& key : ring->keys())
        if (!fingerprint.empty() && key.fingerprint().starts_with(fingerprint))
          found.push_back(key);
    }
    if (found.size() == 1) return found[0];
    return fail(found.empty() ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument,
                fmt::format("{} key begins with '{}'; see `sluice cluster keys list`",
                            found.empty() ? "no" : "more than one", fingerprint));
  });
}

std::vector<ClusterEvent> Membership::events_after(std::uint64_t sequence, std::uint64_t wait_ns) {
  std::unique_lock lock(impl_->mutex);
  impl_->more.wait_for(lock, std::chrono::nanoseconds(wait_ns),
                       [&] { return impl_->sequence > sequence; });
  std::vector<ClusterEvent> events;
  for (const auto& event : impl_->events)
    if (event.sequence > sequence) events.push_back(event);
  return events;
}

std::uint64_t Membership::last_event() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->sequence;
}

}  // namespace sluice::membership
