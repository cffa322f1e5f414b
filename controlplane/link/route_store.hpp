// The desired routes, compactly: 28 bytes per route in chunks that never move, an open-addressed
// index of 4-byte slots, and a queue of the slots that wait to be sent. A slot number stays valid
// until its route is erased. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "sluice/hash/id_hash.hpp"
#include "sluice/route/action.hpp"

namespace sluice::controlplane {

struct RouteEntry {
  Id id;
  std::uint32_t handle;
  std::uint16_t udp_port;
  std::uint16_t tenant;
  ActionKind kind;
  std::uint8_t flags;
  std::uint16_t reserved;
};
static_assert(sizeof(RouteEntry) == 28);

namespace route_flag {
inline constexpr std::uint8_t kUsed = 1;
inline constexpr std::uint8_t kDirty = 2;    // the dataplane has to be told
inline constexpr std::uint8_t kQueued = 4;   // its slot is in the queue, dirty or not
inline constexpr std::uint8_t kDeleted = 8;  // gone; kept until the dataplane was told
}  // namespace route_flag

class RouteStore {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  RouteStore();  // the index is keyed with a random key: agents choose their ids

  std::uint32_t find(const Id& id) const noexcept;  // slot or kNone; finds deleted ones too
  std::uint32_t insert(const Id& id);               // of an id that is not there
  void erase(std::uint32_t slot) noexcept;          // must not be queued

  RouteEntry& at(std::uint32_t slot) noexcept { return chunks_[slot / kChunk][slot % kChunk]; }
  const RouteEntry& at(std::uint32_t slot) const noexcept {
    return chunks_[slot / kChunk][slot % kChunk];
  }
  std::uint32_t slots() const noexcept { return slots_; }  // all slots in use are below

  void mark_dirty(std::uint32_t slot);
  bool queue_empty() const noexcept { return queue_.empty(); }
  std::uint32_t pop_queue() noexcept;
  std::uint64_t pushed() const noexcept { return pushed_; }
  std::uint64_t popped() const noexcept { return popped_; }

  std::size_t memory_bytes() const noexcept;

 private:
  static constexpr std::uint32_t kChunk = 1u << 14;

  std::uint32_t home(const Id& id) const noexcept { return hasher_(id).signature() & mask_; }
  void grow_index();

  IdHasher hasher_;
  std::vector<std::unique_ptr<RouteEntry[]>> chunks_;
  std::vector<std::uint32_t> index_;  // slot or kNone; linear probing, load at most 3/4
  std::vector<std::uint32_t> free_;
  std::deque<std::uint32_t> queue_;
  std::uint32_t mask_;
  std::uint32_t slots_ = 0;
  std::uint32_t used_ = 0;
  std::uint64_t pushed_ = 0;
  std::uint64_t popped_ = 0;
};

}  // namespace sluice::controlplane
