// The desired routes, compactly: 28 bytes per route in chunks that never move, 5 to 11 bytes of
// index, and a queue of the slots that wait to be sent. A slot number stays valid until its route
// is erased. One thread.
//
// A route also knows what a base segment says of its id. Two are told apart: the one in use, and
// the one that is being built from these routes meanwhile; they change places when the new one is
// taken into use, without a walk over all routes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "controlplane/link/id_index.hpp"
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
  std::uint8_t listed;  // 1: its slot is in the programmer's list of tombstones
  std::uint8_t reserved;
};
static_assert(sizeof(RouteEntry) == 28);

namespace route_flag {
inline constexpr std::uint8_t kUsed = 1;
inline constexpr std::uint8_t kDirty = 2;    // the dataplane has to be told
inline constexpr std::uint8_t kQueued = 4;   // its slot is in the queue, dirty or not
inline constexpr std::uint8_t kDeleted = 8;  // gone; kept until the dataplane was told, and for as
                                             // long as a base has its id
constexpr std::uint8_t in_base(unsigned base) noexcept {  // the base has the id
  return static_cast<std::uint8_t>(16 << 2 * base);
}
constexpr std::uint8_t same_in_base(unsigned base) noexcept {  // and says the same of it
  return static_cast<std::uint8_t>(32 << 2 * base);
}
}  // namespace route_flag

class RouteStore {
 public:
  static constexpr std::uint32_t kNone = kNoIndex;

  RouteStore();  // the index is keyed with a random key: agents choose their ids
  RouteStore(const RouteStore&) = delete;
  RouteStore& operator=(const RouteStore&) = delete;

  // Slot or kNone; finds deleted ones too.
  std::uint32_t find(const Id& id) const noexcept { return index_.find(id); }
  std::uint32_t insert(const Id& id);       // of an id that is not there
  void erase(std::uint32_t slot) noexcept;  // must not be queued

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

  struct Hash {
    IdHasher hasher;
    std::uint64_t operator()(const Id& id) const noexcept { return hasher(id).lo; }
  };
  struct IdOf {
    const RouteStore* store;
    const Id& operator()(std::uint32_t slot) const noexcept { return store->at(slot).id; }
  };

  std::vector<std::unique_ptr<RouteEntry[]>> chunks_;
  IdIndex<Hash, IdOf> index_;
  std::vector<std::uint32_t> free_;
  std::deque<std::uint32_t> queue_;
  std::uint32_t slots_ = 0;
  std::uint64_t pushed_ = 0;
  std::uint64_t popped_ = 0;
};

}  // namespace sluice::controlplane
