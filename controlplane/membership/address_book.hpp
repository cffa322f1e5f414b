// Members that are gone from the list, and why they may not come back just so: the incarnation each
// had, where it was, and when to try it again. Failed ones are tried for ever, ever more rarely, so
// that a partition heals however long it was; those that left are only remembered for a while. Also
// the seeds, which have no name. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/membership/intern.hpp"
#include "controlplane/membership/messages.hpp"
#include "controlplane/membership/random.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {

// A lost peer is tried again after a twentieth of the time it has been lost, within these bounds:
// after ten minutes of partition every half a minute. A quarter of jitter either way.
inline constexpr std::uint64_t kRetryMinNs = 5 * kNsPerSecond;
inline constexpr std::uint64_t kRetryMaxNs = 600 * kNsPerSecond;
inline constexpr std::uint64_t kRetryShare = 20;
// Longer than any message about it can still be under way (push/pull every 180 s at 1000 members).
inline constexpr std::uint64_t kRememberLeftNs = 3600 * kNsPerSecond;
// A seed that did not answer while we are alone; doubled each time up to the second.
inline constexpr std::uint64_t kSeedRetryMinNs = 1 * kNsPerSecond;
inline constexpr std::uint64_t kSeedRetryMaxNs = 30 * kNsPerSecond;

struct LostPeer {
  Endpoint address;
  std::uint32_t incarnation = 0;
  std::uint32_t own_word = 0;  // as a member's
  bool left = false;
  std::uint64_t lost_ns = 0;
  std::uint64_t next_try_ns = 0;
  std::uint64_t told_ns = 0;  // last told that we hold it for dead
};

struct Seed {
  Endpoint address;
  std::uint64_t next_try_ns = 0;
  std::uint64_t wait_ns = kSeedRetryMinNs;
};

class AddressBook {
 public:
  AddressBook(InternPool& pool, std::size_t max_peers) noexcept
      : pool_(pool), max_peers_(max_peers) {}
  ~AddressBook();
  AddressBook(const AddressBook&) = delete;
  AddressBook& operator=(const AddressBook&) = delete;

  void put(std::string_view name, const LostPeer& peer);
  // lost_ns is not to be changed through it.
  LostPeer* find(std::string_view name) noexcept;
  void erase(std::string_view name);
  // It has taken its leave after all.
  void set_left(std::string_view name, std::uint32_t incarnation, std::uint64_t now_ns);
  std::size_t size() const noexcept { return peers_.size(); }

  // The failed peer that is most overdue at this time; its next try is set. Also forgets those that
  // left long ago. Looks at every peer: called about once a second.
  struct Due {
    InternPool::Id name;
    LostPeer peer;
  };
  std::optional<Due> due(std::uint64_t now_ns, Random& random);

  void set_seeds(const std::vector<Endpoint>& addresses, std::uint64_t now_ns);
  std::vector<Seed>& seeds() noexcept { return seeds_; }

  template <class F>
  void for_each(F&& f) const {
    for (const auto& [name, peer] : peers_)
      f(pool_.view(name), peer);
  }

 private:
  InternPool& pool_;
  std::size_t max_peers_;
  using Peers = std::unordered_map<InternPool::Id, LostPeer>;
  Peers::iterator erase(Peers::iterator at);

  Peers peers_;
  std::set<std::pair<std::uint64_t, InternPool::Id>> by_age_;  // lost_ns, name
  std::vector<Seed> seeds_;
};

// base, a quarter more or less.
std::uint64_t jittered(std::uint64_t base_ns, Random& random) noexcept;

}  // namespace sluice::membership
