// The adjacencies that routes and groups name by index. Workers read lines; the applier (manager
// thread) is the only writer. A worker never sees a line half changed: the content of a line
// changes only while its state says that nobody may use it, and after every worker has noticed. A
// slot goes to another next hop only when nothing refers to it (slot_map.hpp). Needs no EAL.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/table/node_array.hpp"
#include "dataplane/table/readers.hpp"
#include "dataplane/table/slot_map.hpp"
#include "sluice/base/prefetch.hpp"
#include "sluice/route/adjacency.hpp"

namespace sluice::dataplane {

// What makes an adjacency the same one over restarts of the control plane.
struct AdjacencyKey {
  std::uint16_t port = 0;
  std::uint16_t vlan = 0;  // 0: untagged
  Family family = Family::kIpv4;
  std::array<std::uint8_t, 16> destination{};  // IPv4: in the first 4 bytes

  friend bool operator==(const AdjacencyKey&, const AdjacencyKey&) = default;
};
struct AdjacencyKeyHash {
  std::size_t operator()(const AdjacencyKey& key) const noexcept;
};

class AdjacencyTable {
 public:
  // At most kMaxAdjacencies in use; fails with kExhausted when address space or memory is short.
  static Result<NodeArray<Adjacency>> allocate(int numa_node) {
    return NodeArray<Adjacency>::create(kMaxAdjacencies, numa_node);
  }
  AdjacencyTable(NodeArray<Adjacency> lines, std::size_t capacity, Readers& readers);

  // Readers. Any 20-bit index is in range; one that was never set has state kFree. Read the state
  // first, then what it allows to use: all of the line when kUp; `backup` (an index or kNoIndex,
  // never followed further than once) when kDown; nothing when kUnresolved or kFree.
  const Adjacency& at(std::uint32_t index) const noexcept { return lines_[index]; }
  static AdjacencyState state(const Adjacency& line) noexcept {
    // Acquire: pairs with the release store of kUp after the content was written.
    return std::atomic_ref(const_cast<AdjacencyState&>(line.state)).load(std::memory_order_acquire);
  }
  void prefetch(std::uint32_t index) const noexcept { prefetch_near(&lines_[index]); }

  // The writer.
  std::optional<std::uint32_t> find(const AdjacencyKey& key) const { return slots_.find(key); }
  // nullopt: the table is full. A new slot is kFree until set().
  std::optional<std::uint32_t> find_or_allocate(const AdjacencyKey& key) {
    return slots_.find_or_allocate(key);
  }
  // Makes the line equal to `content`, its state last; `content.state` is not kFree. Waits for the
  // workers (about one burst) when the content of a line in use differs; a change of state or epoch
  // alone never waits. The backup is referenced; one that is not in use becomes kNoIndex.
  void set(std::uint32_t slot, const Adjacency& content);
  void set_state(std::uint32_t slot, AdjacencyState state) noexcept;
  // False when it is not in use. Routes that still name it become unreachable.
  bool erase(std::uint32_t slot);
  void reference(std::uint32_t slot) { slots_.reference(slot); }
  void unreference(std::uint32_t slot) { slots_.unreference(slot); }
  bool in_use(std::uint32_t slot) const { return slots_.in_use(slot); }
  const AdjacencyKey& key(std::uint32_t slot) const { return slots_.key(slot); }

  // Erases adjacencies of another epoch, looking at up to `max` slots; adds them to `erased`. True
  // when the whole table has been looked at.
  bool sweep(std::uint8_t epoch, unsigned max, std::size_t& erased);
  void reclaim(unsigned max) { slots_.reclaim(max); }

  std::size_t size() const { return slots_.size(); }
  std::size_t capacity() const { return slots_.capacity(); }
  std::size_t pending() const { return slots_.pending(); }

 private:
  void set_backup(std::uint32_t slot, std::uint32_t backup);

  NodeArray<Adjacency> lines_;
  SlotMap<AdjacencyKey, AdjacencyKeyHash> slots_;
  std::vector<std::uint32_t> backups_;  // by slot: the backup it refers to, or kNoIndex
  Readers& readers_;
};

}  // namespace sluice::dataplane
