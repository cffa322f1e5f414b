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
  if (max_peers_ == 0) return;
  const auto id = pool_.acquire(name);  // before anything of the name is released
  erase(name);
  if (peers_.size() >= max_peers_) erase(peers_.find(by_age_.begin()->second));
  peers_.emplace(id, peer);
  by_age_.emplace(peer.lost_ns, id);
}

AddressBook::Peers::iterator AddressBook::erase(Peers::iterator at) {
  const auto id = at->first;
  by_age_.erase({at->second.lost_ns, id});
  const auto next = peers_.erase(at);
  pool_.release(id);
  return next;
}

void AddressBook::set_left(std::string_view name, std::uint32_t incarnation, std::uint64_t now_ns) {
  const LostPeer* known = find(name);
  if (known == nullptr) return;
  LostPeer left = *known;
  left.left = true;
  left.incarnation = incarnation;
  left.lost_ns = now_ns;
  put(name, left);
}

LostPeer* AddressBook::find(std::string_view name) noexcept {
  if (peers_.empty()) return nullptr;
  const auto it = peers_.find(pool_.find(name));
  return it == peers_.end() ? nullptr : &it->second;
}

void AddressBook::erase(std::string_view name) {
  const auto it = peers_.find(pool_.find(name));
  if (it != peers_.end()) erase(it);
}

std::optional<AddressBook::Due> AddressBook::due(std::uint64_t now_ns, Random& random) {
  auto best = peers_.end();
  for (auto it = peers_.begin(); it != peers_.end();) {
    const LostPeer& peer = it->second;
    if (peer.left && now_ns >= peer.lost_ns + kRememberLeftNs) {
      it = erase(it);
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
