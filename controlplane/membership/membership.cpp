#include "controlplane/membership/membership.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/membership/key_file.hpp"
#include "controlplane/membership/membership_impl.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {
namespace {

constexpr std::size_t kEventsKept = 4096;
constexpr auto kSaveEvery = std::chrono::seconds(60);
constexpr auto kSaveSoon = std::chrono::seconds(1);
constexpr auto kTellSuppressedAfter = std::chrono::seconds(10);
constexpr auto kLeaveWait = std::chrono::seconds(20);

// A name may hold blanks: nobody shall make up keys and values of our lines with it.
std::string log_value(const std::string& name) {
  return name.find_first_of(" \"=\\") == std::string::npos ? name : fmt::format("{:?}", name);
}

}  // namespace

// False: one line too many of its cause.
bool Membership::Impl::log(std::size_t cause, std::string line, bool bad) {
  const auto verdict = log_limits.ask(cause, monotonic_ns());
  if (!verdict.allowed) {
    tell_suppressed_later();
    return false;
  }
  if (verdict.suppressed > 0) line += fmt::format(" suppressed={}", verdict.suppressed);
  on_log(line, bad);
  return true;
}

void Membership::Impl::tell_suppressed_later() {
  if (std::exchange(log_timer_set, true)) return;
  log_timer.expires_after(kTellSuppressedAfter);
  log_timer.async_wait([this](const asio::error_code& error) {
    if (error) return;
    log_timer_set = false;
    log_limits.flush([this](std::string_view cause, std::uint64_t lines) {
      on_log(fmt::format("event=cluster_lines_suppressed cause={} lines={}", cause, lines), true);
    });
  });
}

bool Membership::Impl::log_event(const MemberEvent& event) {
  const bool bad = event.kind == EventKind::kFailed || event.kind == EventKind::kConflict ||
                   event.kind == EventKind::kRefuted || event.kind == EventKind::kJoinFailed;
  std::string line = fmt::format("event=cluster_{}", to_string(event.kind));
  if (!event.name.empty()) line += fmt::format(" member={}", log_value(event.name));
  if (event.address.port != 0) line += fmt::format(" address={}", to_string(event.address));
  if (!event.from.empty()) line += fmt::format(" by={}", log_value(event.from));
  if (!event.reason.empty()) line += fmt::format(" reason=\"{}\"", event.reason);
  if (event.kind == EventKind::kConflict)
    line += " remedy=\"two members have this name: give one of them another router.name\"";
  return log(static_cast<std::size_t>(event.kind), std::move(line), bad);
}

// What strangers can bring about at will is not kept either where it is not logged: it would drive
// out what happened to members.
void Membership::Impl::on_event(const MemberEvent& event) {
  if (event.kind == EventKind::kUser) return on_user(event);
  const bool logged = log_event(event);
  if (!logged && event.kind == EventKind::kConflict) return;
  save_soon();
  const std::lock_guard lock(mutex);
  events.push_back({++sequence, realtime_ns(), event});
  if (events.size() > kEventsKept) events.pop_front();
  more.notify_all();
}

// ---- state -------------------------------------------------------------------------------------

void Membership::Impl::save_after(std::chrono::seconds time) {
  if (state_file.empty()) return;
  save_timer.expires_after(time);
  save_timer.async_wait([this](const asio::error_code& error) {
    if (error) return;
    save_is_soon = false;
    save();
    save_after(kSaveEvery);
  });
}

// Who joined or failed: a restart must know whom to look for.
void Membership::Impl::save_soon() {
  if (!std::exchange(save_is_soon, true)) save_after(kSaveSoon);
}

void Membership::Impl::save() {
  if (state_file.empty()) return;
  const auto saved = save_state(state_file, driver->save());
  if (!saved && !save_failed) {
    log(LogCause::kOwn,
        fmt::format("event=cluster_state_not_saved error=\"{}\"", saved.error().message()), true);
  }
  save_failed = !saved;
}

// ---- the face ----------------------------------------------------------------------------------

Membership::Membership(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Membership>> Membership::create(MembershipOptions options) {
  auto driver_options = std::move(options.driver);
  auto impl = std::make_unique<Impl>(options, driver_options);
  if (driver_options.wire.keyring) {
    driver_options.tags.emplace_back(kKeysTag, keys_tag(driver_options.wire.keyring->keys()));
  }
  auto* raw = impl.get();
  auto driver = Driver::create(
      raw->io, std::move(driver_options), [raw](const MemberEvent& event) { raw->on_event(event); },
      [raw](const std::string& line, bool warn) { raw->log(LogCause::kPeer, line, warn); });
  if (!driver) return std::unexpected(driver.error());
  impl->driver = std::move(*driver);
  if (!raw->keys_file.empty()) raw->orders.restore(load_key_dates(raw->keys_file));
  return std::unique_ptr<Membership>(new Membership(std::move(impl)));
}

Membership::~Membership() {
  impl_->work.reset();
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->io, [this] {
    impl_->save_timer.cancel();
    impl_->log_timer.cancel();
    impl_->repeat_timer.cancel();
    impl_->forget_timer.cancel();
    impl_->driver->stop();
    impl_->io.stop();
  });
  impl_->thread.join();
}

void Membership::start() {
  impl_->thread = std::thread([this] {
    impl_->driver->start();
    impl_->save_after(kSaveEvery);
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
    status.stream_bytes = driver.stream_bytes();
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
