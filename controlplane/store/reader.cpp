#include "controlplane/store/reader.hpp"

#include <bit>

#include "controlplane/store/number_search.hpp"
#include "controlplane/store/scratch.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr unsigned kMax = kMaxLookup;
static_assert(kMax <= NumberSearch::kMax);

constexpr std::uint64_t bit(unsigned i) noexcept {
  return std::uint64_t{1} << i;
}
constexpr std::uint64_t first_bits(unsigned n) noexcept {
  return n == 64 ? ~std::uint64_t{0} : bit(n) - 1;
}

}  // namespace

Error Reader::damaged(const SegmentHandle& segment) {
  if (!segment.damaged() && core_ != nullptr) {
    const Status why = segment.segment().damage();
    core_->quarantine(segment, why ? damaged_error(segment) : why.error());
  }
  return damaged_error(segment);
}

Result<std::uint64_t> Reader::find_checked(const TreeSet& set, const Hash128* hashes,
                                           std::uint64_t wanted, std::uint64_t* values) {
  std::uint64_t all = 0;
  for (std::uint64_t left = wanted; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(left));
    const Tree& tree = set.trees[set.layout->tree_of(Form::kCompact, hashes[i])];
    for (const SegmentPtr& segment : tree.segments) {
      if (segment->damaged()) return std::unexpected(damaged(*segment));
      std::uint64_t found = 0;
      Segment::Counts counts;
      if (!segment->segment().lookup(&hashes[i], 1, &values[i], found, &counts))
        return std::unexpected(damaged(*segment));
      ++counts_.probes;
      counts_.false_positives += counts.false_positives;
      if (found == 0) continue;
      all |= bit(i);
      break;  // what is older does not count
    }
  }
  return all;
}

Result<std::uint64_t> Reader::find_numbers(const TreeSet& set, const Hash128* hashes,
                                           std::uint64_t wanted, std::uint64_t* values) {
  NumberSearch search(set, values);
  const std::uint64_t found = search.run(hashes, wanted);
  counts_.probes += search.counts().probes;
  counts_.false_positives += search.counts().false_positives;
  if (search.left() == 0) [[likely]]
    return found;
  const auto checked = find_checked(set, hashes, search.left(), values);
  if (!checked) return checked;
  return found | *checked;
}

Result<std::uint64_t> Reader::lookup(std::uint8_t table, std::uint16_t tenant, const Id* ids,
                                     unsigned n, std::uint64_t* values) {
  Scratch<Hash128, kMax> hashes;
  version_.current.layout->hasher.burst(table, tenant, ids, hashes.data(), n);
  const std::uint64_t wanted = first_bits(n);
  auto found = find_numbers(version_.current, hashes.data(), wanted, values);
  if (!found) [[unlikely]]
    return found;
  if (version_.old && *found != wanted) [[unlikely]] {
    version_.old->layout->hasher.burst(table, tenant, ids, hashes.data(), n);
    const auto more = find_numbers(*version_.old, hashes.data(), wanted & ~*found, values);
    if (!more) return more;
    *found |= *more;
  }
  std::uint64_t there = 0;
  for (std::uint64_t left = *found; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(left));
    if (values[i] != kDeletedValue) there |= bit(i);
  }
  counts_.lookups += n;
  counts_.hits += static_cast<std::uint64_t>(std::popcount(there));
  return there;
}

Result<std::optional<std::uint64_t>> Reader::number(std::uint8_t table, std::uint16_t tenant,
                                                    Bytes key) {
  ++counts_.lookups;
  std::uint64_t value = kDeletedValue;
  for (const TreeSet* set : {&version_.current, version_.old ? &*version_.old : nullptr}) {
    if (set == nullptr) break;
    const Hash128 hash = set->layout->hasher(table, tenant, key);
    const auto found = find_numbers(*set, &hash, 1, &value);
    if (!found) return std::unexpected(found.error());
    if (*found != 0) break;
  }
  if (value == kDeletedValue) return std::nullopt;
  ++counts_.hits;
  return value;
}

Result<std::optional<Reader::RecordState>> Reader::find_record(const TreeSet& set,
                                                               const Hash128& hash) {
  const Tree& tree = set.trees[set.layout->tree_of(Form::kExact, hash)];
  const auto state = [](const Overlay::Node& node) {
    return RecordState{.deleted = node.operation() == Op::kDelete, .bytes = node.value()};
  };
  if (tree.active != nullptr) {
    if (const auto* node = tree.active->find(hash); node != nullptr) return state(*node);
  }
  for (const auto& overlay : tree.sealed) {
    if (const auto* node = overlay->find(hash); node != nullptr) return state(*node);
  }
  for (const SegmentPtr& segment : tree.segments) {
    if (segment->damaged()) return std::unexpected(damaged(*segment));
    Segment::KeyEntries entries;
    Segment::Counts counts;
    const Segment::Found found = segment->segment().find(hash, entries, &counts);
    ++counts_.probes;
    counts_.false_positives += counts.false_positives;
    if (found == Segment::Found::kNo) continue;
    Entry entry;
    if (found == Segment::Found::kDamaged || !entries.next(entry))
      return std::unexpected(damaged(*segment));
    return RecordState{.deleted = entry.op == Op::kDelete, .bytes = entry.value};
  }
  return std::nullopt;
}

Result<std::optional<ByteVector>> Reader::record(std::uint8_t table, std::uint16_t tenant,
                                                 Bytes key) {
  ++counts_.lookups;
  for (const TreeSet* set : {&version_.current, version_.old ? &*version_.old : nullptr}) {
    if (set == nullptr) break;
    const auto found = find_record(*set, set->layout->hasher(table, tenant, key));
    if (!found) return std::unexpected(found.error());
    if (!*found) continue;
    if ((*found)->deleted) return std::nullopt;
    ++counts_.hits;
    return ByteVector((*found)->bytes.begin(), (*found)->bytes.end());
  }
  return std::nullopt;
}

// From newer to older. False: what is older does not count any more.
bool Reader::SetState::take(Op op, Bytes element) {
  if (op == Op::kDelete) {
    cleared = true;
    return false;
  }
  ByteVector bytes(element.begin(), element.end());
  if (added.contains(bytes) || removed.contains(bytes)) return true;
  (op == Op::kSetAdd ? added : removed).insert(std::move(bytes));
  return true;
}

Status Reader::find_set(const TreeSet& set, const Hash128& hash, SetState& state) {
  const Tree& tree = set.trees[set.layout->tree_of(Form::kExact, hash)];
  const auto take_list = [&](const Overlay& overlay) {
    for (const auto* node = overlay.find(hash); node != nullptr; node = node->next) {
      if (!state.take(node->operation(), node->value())) return;
    }
  };
  if (tree.active != nullptr) take_list(*tree.active);
  for (const auto& overlay : tree.sealed) {
    if (!state.cleared) take_list(*overlay);
  }
  for (const SegmentPtr& segment : tree.segments) {
    if (state.cleared) break;
    if (segment->damaged()) return std::unexpected(damaged(*segment));
    Segment::KeyEntries entries;
    Segment::Counts counts;
    const Segment::Found found = segment->segment().find(hash, entries, &counts);
    ++counts_.probes;
    counts_.false_positives += counts.false_positives;
    if (found == Segment::Found::kDamaged) return std::unexpected(damaged(*segment));
    if (found == Segment::Found::kNo) continue;
    Entry entry;
    while (!state.cleared && entries.next(entry))
      state.take(entry.op, entry.value);
    if (entries.damaged()) return std::unexpected(damaged(*segment));
  }
  return {};
}

Result<std::vector<ByteVector>> Reader::members(std::uint8_t table, std::uint16_t tenant,
                                                Bytes key) {
  ++counts_.lookups;
  SetState state;
  for (const TreeSet* set : {&version_.current, version_.old ? &*version_.old : nullptr}) {
    if (set == nullptr || state.cleared) break;
    const Status done = find_set(*set, set->layout->hasher(table, tenant, key), state);
    if (!done) return std::unexpected(done.error());
  }
  if (!state.added.empty()) ++counts_.hits;
  return std::vector<ByteVector>(state.added.begin(), state.added.end());
}

Result<bool> Reader::supersedes(Form form, const Entry& entry) {
  const TreeSet& set = version_.current;
  const Hash128 hash = set.layout->hasher(entry.table, entry.tenant, entry.key);
  if (form == Form::kCompact) {
    std::uint64_t value = 0;
    const auto found = find_numbers(set, &hash, 1, &value);
    if (!found) return std::unexpected(found.error());
    return *found != 0;
  }
  if (entry.op == Op::kPut) {
    const auto found = find_record(set, hash);
    if (!found) return std::unexpected(found.error());
    return found->has_value();
  }
  SetState state;
  if (const Status done = find_set(set, hash, state); !done) return std::unexpected(done.error());
  const ByteVector element(entry.value.begin(), entry.value.end());
  return state.cleared || state.added.contains(element) || state.removed.contains(element);
}

}  // namespace sluice::controlplane::store
