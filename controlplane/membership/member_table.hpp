// Everybody we know, by number, by name and as the shuffled ring in which probing goes round (SWIM
// §4.3: a bounded time until everybody has been probed). A record is 88 bytes; names and Metas are
// interned. Numbers are used again; the generation tells. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "controlplane/membership/intern.hpp"
#include "controlplane/membership/messages.hpp"
#include "controlplane/membership/random.hpp"

namespace sluice::membership {

enum class MemberState : std::uint8_t { kAlive, kSuspect, kDead, kLeft };

constexpr std::string_view to_string(MemberState state) noexcept {
  constexpr std::array<std::string_view, 4> kNames{"alive", "suspect", "dead", "left"};
  return kNames[static_cast<std::size_t>(state)];
}

struct Member {
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  InternPool::Id name = InternPool::kNone;
  InternPool::Id meta = InternPool::kNone;
  Endpoint address;
  std::uint32_t incarnation = 0;
  std::uint32_t own_word = 0;  // the incarnation it last told us itself; 0: never
  std::uint32_t generation = 0;
  std::uint32_t ring_position = kNone;
  std::uint32_t suspicion = kNone;    // number of the running suspicion
  std::uint32_t leave_check = kNone;  // number of the running check of a leave
  Vsn vsn;
  MemberState state = MemberState::kDead;
  bool takes_hints = false;
  std::uint64_t changed_ns = 0;  // into this state
  std::uint64_t acked_ns = 0;    // last answered us; 0 never
  std::uint64_t told_ns = 0;     // last told that we hold it for dead; 0 never

  bool reachable() const noexcept {
    return state == MemberState::kAlive || state == MemberState::kSuspect;
  }
};
static_assert(sizeof(Member) <= 88);

class MemberTable {
 public:
  using Slot = std::uint32_t;
  static constexpr Slot kNone = Member::kNone;

  explicit MemberTable(InternPool& pool) noexcept : pool_(pool) {}
  ~MemberTable();
  MemberTable(const MemberTable&) = delete;
  MemberTable& operator=(const MemberTable&) = delete;

  // Enters a member, dead and of incarnation 0, at a random place of the ring. The name is new.
  Slot add(std::string_view name, Random& random);
  void remove(Slot slot);
  Slot find(std::string_view name) const noexcept;

  const Member& operator[](Slot slot) const noexcept { return members_[slot]; }
  Member& edit(Slot slot) noexcept { return members_[slot]; }
  void set_state(Slot slot, MemberState state, std::uint64_t now_ns) noexcept;
  void set_meta(Slot slot, ByteView meta);
  std::string_view name(Slot slot) const noexcept { return pool_.view(members_[slot].name); }
  ByteView meta(Slot slot) const noexcept { return pool_.bytes(members_[slot].meta); }

  std::size_t size() const noexcept { return ring_.size(); }
  std::size_t count(MemberState state) const noexcept {
    return counts_[static_cast<std::size_t>(state)];
  }
  std::span<const Slot> ring() const noexcept { return ring_; }
  void shuffle(Random& random) noexcept;
  std::size_t memory_bytes() const noexcept;

 private:
  InternPool& pool_;
  std::vector<Member> members_;
  std::vector<Slot> free_;
  std::vector<Slot> ring_;
  std::vector<Slot> by_name_;  // by the name's number in the pool
  std::array<std::size_t, 4> counts_{};
};

}  // namespace sluice::membership
