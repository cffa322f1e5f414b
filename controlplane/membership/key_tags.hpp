// How a router tells the others which keys it has: a tag with their fingerprints, the primary one
// first; and the user message that carries a key from one to all, which is only ever sent and
// believed encrypted. Any thread; no state.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/membership/keyring.hpp"
#include "sluice/base/bytes.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {

inline constexpr std::string_view kKeysTag = "keys";
inline constexpr std::uint8_t kKeyMessage = 0x53;

enum class KeyStep : std::uint8_t { kAdd = 1, kUse = 2, kRemove = 3 };

inline std::string keys_tag(const std::vector<Key>& keys) {
  std::string text;
  for (const auto& key : keys) {
    if (!text.empty()) text += ',';
    text += key.fingerprint();
  }
  return text;
}

inline std::vector<std::string> parse_keys_tag(std::string_view text) {
  std::vector<std::string> fingerprints;
  while (!text.empty()) {
    const auto end = text.find(',');
    fingerprints.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return fingerprints;
}

struct KeyOrder {
  KeyStep step;
  Key key;
  std::uint64_t given_ns = 0;  // when its router was told, realtime
};

inline Bytes encode_key_order(const KeyOrder& order) {
  Bytes out(2 + sizeof order.given_ns);
  out[0] = kKeyMessage;
  out[1] = static_cast<std::uint8_t>(order.step);
  store(out.data() + 2, order.given_ns);
  const auto bytes = order.key.bytes();
  out.insert(out.end(), bytes.begin(), bytes.end());
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

// What an order is about; a later one about the same replaces it. Which key is used is one question
// for all; whether a key is there is one for each.
inline std::string subject(const KeyOrder& order) {
  return order.step == KeyStep::kUse ? std::string() : order.key.fingerprint();
}

// Lets an order through once and only while it is news: gossip brings old ones late, and somebody
// may send recorded ones again. Else a key that was removed because it leaked would come back.
// Whatever is older than kOldest is refused, so nothing has to be remembered longer than that; who
// missed an order by then gets it when it is given again. Clocks may differ by as much.
class KeyOrderFilter {
 public:
  static constexpr std::uint64_t kOldest = 300 * kNsPerSecond;

  bool is_news(const KeyOrder& order, std::uint64_t now_ns) const {
    if (order.given_ns + kOldest < now_ns || order.given_ns > now_ns + kOldest) return false;
    const auto last = last_.find(subject(order));
    return last == last_.end() || order.given_ns > last->second;
  }
  // It was followed. One that could not be is not told here, and may be tried when it comes again.
  void took(const KeyOrder& order, std::uint64_t now_ns) {
    std::erase_if(last_, [&](const auto& entry) { return entry.second + 2 * kOldest < now_ns; });
    last_[subject(order)] = order.given_ns;
    latest_ = std::max(latest_, order.given_ns);
  }
  // When to date an order of our own: after all that were let through, also those of a router whose
  // clock is ahead.
  std::uint64_t date(std::uint64_t now_ns) const noexcept { return std::max(now_ns, latest_ + 1); }

 private:
  std::map<std::string, std::uint64_t> last_;  // by what it is about: given_ns
  std::uint64_t latest_ = 0;
};

}  // namespace sluice::membership
