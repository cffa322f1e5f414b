#include "dataplane/table/adjacency_table.hpp"

#include <cassert>
#include <cstddef>
#include <cstring>
#include <utility>

namespace sluice::dataplane {

namespace {

// A worker may be loading the state meanwhile, so it is not written over, not even with itself.
void copy_but_state(Adjacency& to, const Adjacency& from) noexcept {
  constexpr std::size_t kBefore = offsetof(Adjacency, state);
  constexpr std::size_t kAfter = kBefore + sizeof(AdjacencyState);
  auto* target = reinterpret_cast<std::uint8_t*>(&to);
  const auto* source = reinterpret_cast<const std::uint8_t*>(&from);
  std::memcpy(target, source, kBefore);
  std::memcpy(target + kAfter, source + kAfter, sizeof(Adjacency) - kAfter);
}

}  // namespace

std::size_t AdjacencyKeyHash::operator()(const AdjacencyKey& key) const noexcept {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, key.destination.data(), 8);
  std::memcpy(&low, key.destination.data() + 8, 8);
  std::uint64_t sum = static_cast<std::uint64_t>(key.port) << 32 |
                      static_cast<std::uint64_t>(key.vlan) << 16 |
                      static_cast<std::uint64_t>(key.family);
  for (const std::uint64_t part : {high, low}) {
    sum = (sum ^ part) * 0x9e3779b97f4a7c15ULL;
    sum ^= sum >> 29;
  }
  return sum;
}

AdjacencyTable::AdjacencyTable(NodeArray<Adjacency> lines, std::size_t capacity, Readers& readers)
    : lines_(std::move(lines)), slots_(capacity, readers), readers_(readers) {
  assert(capacity <= lines_.size());
}

void AdjacencyTable::set_state(std::uint32_t slot, AdjacencyState state) noexcept {
  // Release: pairs with the acquire load in state(); what was written before is seen with it.
  std::atomic_ref(lines_[slot].state).store(state, std::memory_order_release);
}

// The backup that is referenced, whatever the line says: an erased line keeps its content.
void AdjacencyTable::set_backup(std::uint32_t slot, std::uint32_t backup) {
  if (backups_.size() <= slot) backups_.resize(slot + 1, kNoIndex);
  const std::uint32_t old = std::exchange(backups_[slot], backup);
  if (old == backup) return;
  if (backup != kNoIndex) slots_.reference(backup);
  if (old != kNoIndex) slots_.unreference(old);
}

void AdjacencyTable::set(std::uint32_t slot, const Adjacency& content) {
  assert(slots_.in_use(slot) && content.state != AdjacencyState::kFree);
  Adjacency& line = lines_[slot];
  Adjacency wanted = content;
  if (!slots_.in_use(wanted.backup) || wanted.backup == slot) wanted.backup = kNoIndex;
  wanted.state = line.state;  // this thread is its only writer
  wanted.epoch = line.epoch;
  const bool fresh = slots_.take_fresh(slot);
  if (fresh || std::memcmp(&wanted, &line, sizeof line) != 0) {
    if (!fresh) {
      set_state(slot, AdjacencyState::kUnresolved);
      readers_.synchronize();
    }
    copy_but_state(line, wanted);
  }
  set_backup(slot, wanted.backup);
  std::atomic_ref(line.epoch).store(content.epoch, std::memory_order_relaxed);
  slots_.set_epoch(slot, content.epoch);
  if (line.state != content.state) set_state(slot, content.state);
}

bool AdjacencyTable::erase(std::uint32_t slot) {
  if (!slots_.in_use(slot)) return false;
  set_state(slot, AdjacencyState::kFree);
  slots_.erase(slot);
  if (slot < backups_.size()) set_backup(slot, kNoIndex);
  return true;
}

bool AdjacencyTable::sweep(std::uint8_t epoch, unsigned max, std::size_t& erased) {
  return slots_.visit_stale(epoch, max, [&](std::uint32_t slot) { erased += erase(slot) ? 1 : 0; });
}

}  // namespace sluice::dataplane
