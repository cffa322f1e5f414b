#include "controlplane/store/snapshot.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "controlplane/store/compaction/merge.hpp"
#include "controlplane/store/overlay/overlay_source.hpp"
#include "controlplane/store/reader.hpp"
#include "controlplane/store/snapshot_state.hpp"

namespace sluice::controlplane::store {

// One tree after the other: those of the present layout, then, during a migration, those of the old
// one without what the present one already says.
class Cursor::Source {
 public:
  Source(std::shared_ptr<const Snapshot::State> state, std::uint8_t table, Form form,
         std::optional<std::uint16_t> tenant)
      : state_(std::move(state)), table_(table), form_(form), tenant_(tenant) {}

  Result<bool> next(Item& item) {
    Entry entry;
    for (;;) {
      if (merged_ == nullptr) {
        const auto more = open_next_tree();
        if (!more || !*more) return more;
      }
      const auto more = merged_->next(entry);
      if (!more) return more;
      if (!*more) {
        merged_.reset();
        continue;
      }
      if (entry.table != table_ || (tenant_ && entry.tenant != *tenant_)) continue;
      if (in_old_) {
        LookupCounts counts;
        Reader present(nullptr, *state_->version, counts);
        const auto superseded = present.supersedes(form_, entry);
        if (!superseded) return superseded;
        if (*superseded) continue;
      }
      item = {.hash = entry.hash,
              .sequence = entry.sequence,
              .table = entry.table,
              .tenant = entry.tenant,
              .key = entry.key,
              .number = entry.inline_value,
              .value = entry.value};
      return true;
    }
  }

 private:
  Result<bool> open_next_tree() {
    const Version& version = *state_->version;
    for (;;) {
      const TreeSet* set = in_old_ ? &*version.old : &version.current;
      const unsigned lanes = set->layout->lanes.lanes();
      if (lane_ == lanes) {
        if (in_old_ || !version.old) return false;
        in_old_ = true;
        lane_ = 0;
        continue;
      }
      const Tree& tree = set->trees[set->layout->tree_of(form_, lane_++)];
      std::vector<std::unique_ptr<EntrySource>> sources;
      for (const auto& overlay : tree.sealed)
        sources.push_back(std::make_unique<OverlaySource>(overlay));
      for (const SegmentPtr& segment : tree.segments) {
        if (segment->damaged()) return std::unexpected(damaged_error(*segment));
        sources.push_back(segment->segment().source());
      }
      if (sources.empty()) continue;
      merged_ = merge(std::move(sources), true);
      return true;
    }
  }

  std::shared_ptr<const Snapshot::State> state_;
  const std::uint8_t table_;
  const Form form_;
  const std::optional<std::uint16_t> tenant_;
  bool in_old_ = false;
  unsigned lane_ = 0;
  std::unique_ptr<EntrySource> merged_;
};

Cursor::Cursor(std::unique_ptr<Source> source) noexcept : source_(std::move(source)) {}
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;
Cursor::~Cursor() = default;

Result<bool> Cursor::next(Item& item) {
  return source_->next(item);
}

Snapshot::Snapshot(std::shared_ptr<const State> state) noexcept : state_(std::move(state)) {}

std::uint64_t Snapshot::sequence() const noexcept {
  return state_->sequence;
}

Result<Cursor> Snapshot::cursor(std::uint8_t table, std::optional<std::uint16_t> tenant) const {
  const auto known = std::ranges::find(state_->tables, table, &TableSpec::id);
  if (known == state_->tables.end()) {
    return fail(ErrorCode::kInvalidArgument, "there is no table " + std::to_string(table),
                ErrorOrigin::kStore);
  }
  return Cursor(std::make_unique<Cursor::Source>(state_, table, form_of(known->kind), tenant));
}

}  // namespace sluice::controlplane::store
