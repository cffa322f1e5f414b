// An order about a key of the cluster, as it goes from the router that was given it to all others,
// in a user message that is only ever sent and believed encrypted; and which orders are news.
// Orders have dates, and of two that contradict each other the later one counts, whichever came
// first: so all routers end with the same keys. Any thread; no state but the filter's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "controlplane/membership/keyring.hpp"
#include "controlplane/membership/messages.hpp"
#include "sluice/base/bytes.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {

enum class KeyStep : std::uint8_t { kAdd = 1, kUse = 2, kRemove = 3 };

struct KeyOrder {
  KeyStep step;
  Key key;
  std::uint64_t given_ns = 0;  // when its router was told, realtime
};

inline Bytes encode_key_order(const KeyOrder& order) {
  constexpr std::size_t kHead = 2 + sizeof order.given_ns;
  const auto bytes = order.key.bytes();
  Bytes out(kHead + bytes.size());
  out[0] = kKeyMessage;
  out[1] = static_cast<std::uint8_t>(order.step);
  store(out.data() + 2, order.given_ns);
  std::ranges::copy(bytes, out.begin() + kHead);
  return out;
}

inline std::optional<KeyOrder> decode_key_order(ByteView data) {
  constexpr std::size_t kHead = 2 + sizeof(std::uint64_t);
  if (data.size() < kHead || data[0] != kKeyMessage || data[1] < 1 || data[1] > 3)
    return std::nullopt;
  const auto key = Key::from_bytes(data.subspan(kHead));
  if (!key) return std::nullopt;
  return KeyOrder{static_cast<KeyStep>(data[1]), *key, load<std::uint64_t>(data.data() + 2)};
}

// Whether the router whose tag says this has done what the order asks for.
inline bool follows(const KeyOrder& order, const std::vector<std::string>& fingerprints) {
  const std::string wanted = order.key.fingerprint();
  if (order.step == KeyStep::kUse) return !fingerprints.empty() && fingerprints[0] == wanted;
  return (std::ranges::find(fingerprints, wanted) != fingerprints.end()) ==
         (order.step == KeyStep::kAdd);
}

// What an order was, without the key.
struct KeyDate {
  KeyStep step{};
  std::string fingerprint;
  std::uint64_t given_ns = 0;

  friend bool operator==(const KeyDate&, const KeyDate&) = default;
};
inline KeyDate date_of(const KeyOrder& order) {
  return {order.step, order.key.fingerprint(), order.given_ns};
}
// What is asked for by `old` is not any more once `now` was. Which key is used is one question for
// all; whether a key is there is one for each, and a key that is used is there.
inline bool replaces(const KeyDate& now, const KeyDate& old) {
  const auto rank = [](const KeyDate& date) {
    return std::tie(date.given_ns, date.fingerprint, date.step);
  };
  return rank(now) >= rank(old) &&
         ((now.step == KeyStep::kUse && old.step == KeyStep::kUse) ||
          (now.fingerprint == old.fingerprint &&
           (now.step == old.step || now.step == KeyStep::kRemove || old.step == KeyStep::kRemove)));
}

// Lets an order through only while it is news: gossip brings old ones late, and somebody may send
// recorded ones again. Else a key that was removed because it leaked would come back. Whatever is
// older than kOldest is refused, so nothing has to be remembered longer than that; who missed an
// order by then gets it when it is given again. Clocks may differ by as much.
class KeyOrderFilter {
 public:
  static constexpr std::uint64_t kOldest = 300 * kNsPerSecond;
  static constexpr std::size_t kMost = 64;  // orders within twice that time

  static bool in_time(const KeyOrder& order, std::uint64_t now_ns) {
    return order.given_ns + kOldest >= now_ns && order.given_ns <= now_ns + kOldest;
  }
  bool is_news(const KeyOrder& order, std::uint64_t now_ns) const {
    const KeyDate asked = date_of(order);
    return in_time(order, now_ns) && std::ranges::none_of(dates_, [&](const KeyDate& known) {
             return replaces(known, asked);
           });
  }
  // It was followed. One that could not be is not told here, and may be tried when it comes again.
  void took(const KeyOrder& order, std::uint64_t now_ns) {
    const KeyDate taken = date_of(order);
    std::erase_if(dates_, [&](KeyDate& known) {
      if (known.given_ns + 2 * kOldest < now_ns) return true;
      if (!replaces(taken, known)) return false;
      // Another key is used now; that the old one was there at the time still counts.
      const bool other = known.fingerprint != taken.fingerprint;
      if (other) known.step = KeyStep::kAdd;
      return !other;
    });
    if (dates_.size() == kMost) dates_.erase(dates_.begin());
    dates_.push_back(taken);
    latest_ = std::max(latest_, order.given_ns);
  }
  // When to date an order of our own: after all that were let through, also those of a router whose
  // clock is ahead.
  std::uint64_t date(std::uint64_t now_ns) const noexcept { return std::max(now_ns, latest_ + 1); }

  // For keeping them over a restart.
  const std::vector<KeyDate>& dates() const noexcept { return dates_; }
  void restore(std::vector<KeyDate> dates) {
    dates_ = std::move(dates);
    for (const KeyDate& known : dates_)
      latest_ = std::max(latest_, known.given_ns);
  }

 private:
  std::vector<KeyDate> dates_;
  std::uint64_t latest_ = 0;
};

}  // namespace sluice::membership
