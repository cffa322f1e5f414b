#include "controlplane/membership/address_book.hpp"

#include <algorithm>

namespace sluice::membership {

std::uint64_t jittered(std::uint64_t base_ns, Random& random) noexcept {
  return base_ns - base_ns / 4 + random.below(base_ns / 2 + 1);
}

AddressBook::~AddressBook() {
  for (const auto& [name, peer] : peers_)
    pool_.release(name);
}

void AddressBook::put(std::string_view name, const LostPeer& peer) {
  if (LostPeer* known = find(name)) {
    *known = peer;
    return;
  }
  if (max_peers_ == 0) return;
  if (peers_.size() >= max_peers_) {
    const auto oldest = std::ranges::min_element(
        peers_, [](const auto& a, const auto& b) { return a.second.lost_ns < b.second.lost_ns; });
    pool_.release(oldest->first);
    peers_.erase(oldest);
  }
  peers_.emplace(pool_.acquire(name), peer);
}

LostPeer* AddressBook::find(std::string_view name) noexcept {
  if (peers_.empty()) return nullptr;
  const auto it = peers_.find(pool_.find(name));
  return it == peers_.end() ? nullptr : &it->second;
}

void AddressBook::erase(std::string_view name) {
  const auto it = peers_.find(pool_.find(name));
  if (it == peers_.end()) return;
  pool_.release(it->first);
  peers_.erase(it);
}

std::optional<AddressBook::Due> AddressBook::due(std::uint64_t now_ns, Random& random) {
  auto best = peers_.end();
  for (auto it = peers_.begin(); it != peers_.end();) {
    const LostPeer& peer = it->second;
    if (peer.left && now_ns >= peer.lost_ns + kRememberLeftNs) {
      pool_.release(it->first);
      it = peers_.erase(it);
      continue;
    }
    if (!peer.left && peer.next_try_ns <= now_ns &&
        (best == peers_.end() || peer.next_try_ns < best->second.next_try_ns))
      best = it;
    ++it;
  }
  if (best == peers_.end()) return std::nullopt;
  const std::uint64_t wait =
      std::clamp((now_ns - best->second.lost_ns) / kRetryShare, kRetryMinNs, kRetryMaxNs);
  best->second.next_try_ns = now_ns + jittered(wait, random);
  return Due{best->first, best->second};
}

void AddressBook::set_seeds(const std::vector<Endpoint>& addresses, std::uint64_t now_ns) {
  std::vector<Seed> seeds;
  for (const Endpoint& address : addresses) {
    const auto known = std::ranges::find(seeds_, address, &Seed::address);
    seeds.push_back(known == seeds_.end() ? Seed{.address = address, .next_try_ns = now_ns}
                                          : *known);
  }
  seeds_ = std::move(seeds);
}

}  // namespace sluice::membership
