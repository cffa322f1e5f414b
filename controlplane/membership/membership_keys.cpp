// The keys of the cluster: what all have, and the steps of a rotation, each of which must leave
// everybody able to read everybody, also those who come back later.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "controlplane/membership/key_file.hpp"
#include "controlplane/membership/membership_impl.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {
namespace {

// With the step: a later order replaces an earlier one.
constexpr std::uint64_t kKeyOrderKey = 0x5300;
constexpr auto kRepeatEvery = std::chrono::seconds(2);
constexpr std::size_t kRepeatedAtOnce = 64;

}  // namespace

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
    // Others are told that we have a key: so it must still be there after a restart.
    if (auto saved = save_keys(keys_file, after); !saved) {
      if (auto old = keyring_of(before)) *ring = std::move(*old);
      return fail(std::move(saved.error()), "the keys were not changed");
    }
  }
  if (auto told = driver->set_tags(all_tags()); !told) {
    log(LogCause::kOwn,
        fmt::format("event=cluster_tags_too_long error=\"{}\"", told.error().message()), true);
  }
  log(LogCause::kKeys, fmt::format("event=cluster_keys_changed keys={}", keys_tag(after)), false);
  return true;
}

void Membership::Impl::spread(const KeyOrder& order) {
  if (!encrypts) return;  // a key never travels in the clear
  driver->send_user(kKeyOrderKey + static_cast<std::uint64_t>(order.step), encode_key_order(order),
                    true);
}

// Gossip may pass a router by. So whoever was given an order keeps it for as long as it is believed
// and sends it straight to those whose tags say that they do not follow it yet, also to those who
// come back or join meanwhile.
void Membership::Impl::keep(const KeyOrder& order) {
  std::erase_if(given, [&](const KeyOrder& old) { return subject(old) == subject(order); });
  given.push_back(order);
  repeat_later();
}

void Membership::Impl::repeat_later() {
  repeat_timer.expires_after(kRepeatEvery);
  repeat_timer.async_wait([this](const asio::error_code& error) {
    if (error) return;
    const auto now = realtime_ns();
    std::erase_if(given, [&](const KeyOrder& order) {
      return order.given_ns + KeyOrderFilter::kOldest < now;
    });
    if (given.empty()) return;
    repeat_orders();
    repeat_later();
  });
}

void Membership::Impl::repeat_orders() {
  std::vector<std::pair<Endpoint, Bytes>> missed;
  const auto view = driver->view();
  for (const auto slot : view.members.ring()) {
    const auto& member = view.members[slot];
    if (slot == view.self || !member.reachable()) continue;
    const auto tags = decode_tags(view.members.meta(slot));
    const auto tag = find_tag(tags, kKeysTag);
    if (tag.empty()) continue;  // does not take orders
    const auto fingerprints = parse_keys_tag(tag);
    for (const KeyOrder& order : given)
      if (!follows(order, fingerprints))
        missed.emplace_back(member.address, encode_key_order(order));
  }
  // Just after an order most seem to have missed it: some of them at a time.
  const std::size_t count = std::min(missed.size(), kRepeatedAtOnce);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [address, message] = missed[(repeat_from + i) % missed.size()];
    driver->send_user_to(address, message);
  }
  repeat_from += count;
}

// Each passes on what was news to it.
void Membership::Impl::on_key_order(const MemberEvent& event) {
  const auto order = decode_key_order(event.meta);
  if (!order || driver->keyring() == nullptr) return;
  // Where unencrypted messages are let in, anybody could send it.
  if (!verified) {
    log(LogCause::kKeys,
        "event=cluster_key_order_ignored reason=\"cluster.verify-incoming is false\"", true);
    return;
  }
  if (!orders.is_news(*order, realtime_ns())) return;
  const auto changed = apply(*order);
  if (!changed) {
    log(LogCause::kKeys,
        fmt::format("event=cluster_key_order_failed error=\"{}\"", changed.error().message()),
        true);
    return;
  }
  orders.took(*order, realtime_ns());
  // A later order about the same than the one that was given here.
  std::erase_if(given, [&](const KeyOrder& old) { return subject(old) == subject(*order); });
  if (*changed) spread(*order);
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
    if (view.members[slot].state == MemberState::kDead) ++result.away;
    if (!view.members[slot].reachable()) continue;
    if (slot == view.self) {
      count(parse_keys_tag(keys_tag(driver->keyring()->keys())), true);
      continue;
    }
    const auto tags = decode_tags(view.members.meta(slot));
    const auto tag = find_tag(tags, kKeysTag);
    tag.empty() ? static_cast<void>(++result.others) : count(parse_keys_tag(tag), false);
  }
  view.lost.for_each(
      [&](std::string_view, const LostPeer& peer) { result.away += peer.left ? 0 : 1; });
  for (auto& [fingerprint, key] : by_name) {
    key.fingerprint = fingerprint;
    result.keys.push_back(key);
  }
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
  // Whoever comes back with only a key that nobody uses, or knows, any more stays outside.
  if (order.step != KeyStep::kAdd && all.away > 0 && !others_too) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} members have failed and may come back without the key, after a "
                            "partition for example; wait for them, or `sluice node force-leave` "
                            "those that will not, or give them the key and repeat this with "
                            "--others-done",
                            all.away));
  }
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
    const KeyOrder order{step, key, impl_->orders.date(realtime_ns())};
    if (auto allowed = impl_->may(order, others_too || step == KeyStep::kAdd); !allowed) {
      return allowed;
    }
    if (auto applied = impl_->apply(order); !applied) return std::unexpected(applied.error());
    impl_->orders.took(order, order.given_ns);
    // Also when nothing changed here: others may have missed it.
    impl_->spread(order);
    impl_->keep(order);
    return {};
  });
}

Result<Key> Membership::find_key(const std::string& fingerprint, KeyStep step) {
  return impl_->on_thread([&]() -> Result<Key> {
    std::vector<Key> found;
    const auto look_at = [&](const Key& key) {
      if (!fingerprint.empty() && key.fingerprint().starts_with(fingerprint) &&
          std::ranges::find(found, key) == found.end())
        found.push_back(key);
    };
    if (auto* ring = impl_->driver->keyring()) {
      for (const auto& key : ring->keys())
        look_at(key);
    }
    if (step == KeyStep::kRemove) {  // so that it can be said again
      for (const KeyOrder& order : impl_->given)
        look_at(order.key);
    }
    if (found.size() == 1) return found[0];
    return fail(found.empty() ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument,
                fmt::format("{} key begins with '{}'; see `sluice cluster keys list`",
                            found.empty() ? "no" : "more than one", fingerprint));
  });
}

}  // namespace sluice::membership
