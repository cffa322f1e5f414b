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
constexpr auto kForgetAfter = std::chrono::seconds(30);

}  // namespace

Status Membership::Impl::change_keys(const KeyOrder& order) {
  auto* ring = driver->keyring();
  switch (order.step) {
    case KeyStep::kAdd:
      return ring->add(order.key);
    case KeyStep::kUse:  // which was allowed because all had it: a removal at the same time lost
      if (auto added = ring->add(order.key); !added) return added;
      return ring->use(order.key);
    case KeyStep::kRemove:
      return ring->remove(order.key);
  }
  return {};
}

// Follows the order and takes note of it, both over a restart. True when it changed anything.
Result<bool> Membership::Impl::apply(const KeyOrder& order) {
  auto* ring = driver->keyring();
  const auto before = ring->keys();
  if (auto done = change_keys(order); !done) return std::unexpected(done.error());
  const auto after = ring->keys();
  KeyOrderFilter taken = orders;
  taken.took(order, realtime_ns());
  if (!keys_file.empty()) {
    // Others are told that we have a key: so it must still be there after a restart.
    if (auto saved = save_keys(keys_file, after, taken.dates()); !saved) {
      if (auto old = keyring_of(before)) *ring = std::move(*old);
      return fail(std::move(saved.error()), "the keys were not changed");
    }
  }
  orders = std::move(taken);
  std::erase_if(given, [&](const KeyOrder& old) { return replaces(date_of(order), date_of(old)); });
  if (after == before) return false;
  if (order.step == KeyStep::kRemove) forget_removed_later();
  tell_keys(after);
  return true;
}

void Membership::Impl::tell_keys(const std::vector<Key>& keys) {
  if (auto told = driver->set_tags(all_tags()); !told) {
    log(LogCause::kOwn,
        fmt::format("event=cluster_tags_too_long error=\"{}\"", told.error().message()), true);
  }
  log(LogCause::kKeys, fmt::format("event=cluster_keys_changed keys={}", keys_tag(keys)), false);
}

// Who was told to use it in the same moment must still be understood, to be told better.
void Membership::Impl::forget_removed_later() {
  forget_timer.expires_after(kForgetAfter);
  forget_timer.async_wait([this](const asio::error_code& error) {
    if (!error) driver->keyring()->forget_removed();
  });
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
  given.push_back(order);  // apply() has dropped what it replaces
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

// Where unencrypted messages are let in, anybody could send these.
void Membership::Impl::on_user(const MemberEvent& event) {
  if (driver->keyring() == nullptr || event.meta.empty()) return;
  if (event.meta[0] == kKeyMessage) return on_key_order(event);
  if (!verified) return;
  if (const auto number = decode_away_question(event.meta)) {
    const auto away = static_cast<std::uint32_t>(missed());
    driver->send_user_to(event.address, encode_away_answer({*number, away, driver->name()}));
  }
  if (const auto answer = decode_away_answer(event.meta); answer && survey) survey->take(*answer);
}

// Each passes on what was news to it.
void Membership::Impl::on_key_order(const MemberEvent& event) {
  const auto order = decode_key_order(event.meta);
  if (!order) return;
  const auto ignored = [&](const std::string& reason) {
    log(LogCause::kKeys,
        fmt::format("event=cluster_key_order_ignored key={} reason=\"{}\"",
                    order->key.fingerprint(), reason),
        true);
  };
  if (!verified) return ignored("cluster.verify-incoming is false");
  const std::uint64_t now = realtime_ns();
  if (!KeyOrderFilter::in_time(*order, now)) {
    const auto apart = now > order->given_ns ? now - order->given_ns : order->given_ns - now;
    return ignored(fmt::format("it is dated {} s {}; the clocks of routers may differ by {} s",
                               apart / kNsPerSecond, now > order->given_ns ? "ago" : "ahead",
                               KeyOrderFilter::kOldest / kNsPerSecond));
  }
  if (!orders.is_news(*order, now)) return;
  const auto changed = apply(*order);
  if (!changed) {
    log(LogCause::kKeys,
        fmt::format("event=cluster_key_order_failed error=\"{}\"", changed.error().message()),
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

// Who may come back, or is suspected: a router that joined lately knows neither.
std::size_t Membership::Impl::missed() {
  return keys().away + driver->view().members.count(MemberState::kSuspect);
}

Status Membership::Impl::may(const KeyOrder& order, bool others_too, std::size_t away) {
  auto all = keys();
  all.away = std::max(all.away, away);
  if (order.step != KeyStep::kAdd && all.routers + all.others == 1 && joins && !others_too) {
    return fail(ErrorCode::kInvalidArgument,
                "none of cluster.join was found yet, and those members would not hear of this; "
                "wait for them, or, if they are no more, repeat this with --others-done");
  }
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

Status Membership::Impl::give(const KeyOrder& order) {
  if (auto applied = apply(order); !applied) return std::unexpected(applied.error());
  spread(order);  // also when nothing changed here: others may have missed it
  keep(order);
  return {};
}

Status Membership::key_step(KeyStep step, const Key& key, bool others_too) {
  const auto possible = impl_->on_thread([&]() -> Status {
    if (impl_->driver->keyring() == nullptr) {
      return fail(ErrorCode::kInvalidArgument,
                  "this cluster is not encrypted; see cluster.encryption");
    }
    if (!impl_->encrypts) {
      return fail(ErrorCode::kInvalidArgument,
                  "cluster.verify-outgoing is false: the key would travel unencrypted; set it to "
                  "true first");
    }
    return impl_->may({step, key}, others_too || step == KeyStep::kAdd, 0);
  });
  if (!possible) return possible;
  std::size_t away = 0;
  if (step != KeyStep::kAdd && !others_too) {
    const auto answered = impl_->ask_who_is_away();
    if (!answered) return std::unexpected(answered.error());
    away = *answered;
  }
  return impl_->on_thread([&]() -> Status {
    if (auto allowed = impl_->may({step, key}, others_too || step == KeyStep::kAdd, away); !allowed)
      return allowed;
    const std::uint64_t date = impl_->orders.date(realtime_ns());
    // Somebody may be told to use the key in this moment. Since both of these have one date, that
    // order is later than both, or earlier, and counts for all or for none.
    if (step == KeyStep::kRemove) {
      const Key used = impl_->driver->keyring()->keys()[0];
      if (auto given = impl_->give({KeyStep::kUse, used, date}); !given) return given;
    }
    return impl_->give({step, key, date});
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
