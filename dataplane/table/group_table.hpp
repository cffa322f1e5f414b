// The groups that routes name by index. Workers read; the applier (manager thread) is the only
// writer and replaces a group as a whole; the old object lives until every worker has been
// quiescent. A group holds a reference to each adjacency of its members while it lives, so their
// slots are not given away meanwhile. Needs no EAL.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/table/adjacency_table.hpp"
#include "dataplane/table/group.hpp"
#include "dataplane/table/node_array.hpp"
#include "dataplane/table/readers.hpp"
#include "dataplane/table/slot_map.hpp"
#include "sluice/base/ids.hpp"

namespace sluice::dataplane {

class GroupTable {
 public:
  using Slot = std::atomic<const Group*>;

  // Fails with kExhausted when address space or memory is short.
  static Result<NodeArray<Slot>> allocate(int numa_node) {
    return NodeArray<Slot>::create(kMaxGroups, numa_node);
  }
  GroupTable(NodeArray<Slot> slots, std::size_t capacity, AdjacencyTable& adjacencies,
             Readers& readers);
  ~GroupTable();

  // Readers. Any 20-bit index is in range; null when there is no such group (now).
  const Group* at(std::uint32_t index) const noexcept {
    // Acquire: pairs with the release store in publish().
    return groups_[index].load(std::memory_order_acquire);
  }

  // The writer.
  std::optional<std::uint32_t> find(const Id& capability) const { return slots_.find(capability); }
  // nullopt: the table is full. A new slot holds no group until publish().
  std::optional<std::uint32_t> find_or_allocate(const Id& capability) {
    return slots_.find_or_allocate(capability);
  }
  // The slot must be in use and every member's adjacency too.
  void publish(std::uint32_t slot, std::unique_ptr<const Group> group, std::uint8_t epoch);
  // False when it is not in use. Routes that still name it become unreachable.
  bool erase(std::uint32_t slot);
  void reference(std::uint32_t slot) { slots_.reference(slot); }
  void unreference(std::uint32_t slot) { slots_.unreference(slot); }
  bool in_use(std::uint32_t slot) const { return slots_.in_use(slot); }

  // As AdjacencyTable::sweep.
  bool sweep(std::uint8_t epoch, unsigned max, std::size_t& erased);
  void reclaim(unsigned max);

  std::size_t size() const { return slots_.size(); }
  std::size_t capacity() const { return slots_.capacity(); }
  std::size_t pending() const { return slots_.pending() + retired_.size(); }

 private:
  struct Retired {
    Readers::Token token;
    std::unique_ptr<const Group> group;
  };

  void replace(std::uint32_t slot, std::unique_ptr<const Group> next);

  NodeArray<Slot> groups_;
  SlotMap<Id, IdHash> slots_;
  std::vector<std::unique_ptr<const Group>> owned_;  // by slot: what groups_ points to
  std::deque<Retired> retired_;
  AdjacencyTable& adjacencies_;
  Readers& readers_;
};

}  // namespace sluice::dataplane
