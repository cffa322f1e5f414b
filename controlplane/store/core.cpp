#include "controlplane/store/core.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>

namespace sluice::controlplane::store {
namespace {

constexpr std::uint64_t kMinOverlayBytes = std::uint64_t{128} << 10;

// The oldest operation that is in memory only; nothing when there is none.
std::optional<std::uint64_t> oldest_unflushed(const Tree& tree) noexcept {
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
  const auto look = [&](const Overlay& overlay) {
    if (const std::uint64_t sequence = overlay.min_sequence(); sequence != 0)
      oldest = std::min(oldest, sequence);
  };
  for (const auto& overlay : tree.sealed)
    look(*overlay);
  if (tree.active != nullptr) look(*tree.active);
  if (oldest == std::numeric_limits<std::uint64_t>::max()) return std::nullopt;
  return oldest;
}

LayoutState state_of(const TreeSet& set) {
  LayoutState state{.id = set.layout->id,
                    .key = set.layout->key,
                    .lanes = static_cast<std::uint16_t>(set.layout->lanes.lanes()),
                    .segment_format = set.layout->format};
  for (const Tree& tree : set.trees) {
    TreeState& out = state.trees.emplace_back();
    out.form = tree.form;
    out.lane = static_cast<std::uint16_t>(tree.lane);
    out.flushed_sequence = tree.flushed_sequence;
    for (const SegmentPtr& segment : tree.segments)
      out.segments.push_back(segment->ref());
  }
  return state;
}

}  // namespace

SegmentHandle::~SegmentHandle() {
  if (!obsolete_.load(std::memory_order_relaxed)) return;
  const auto lock = lock_.lock();
  if (lock == nullptr) return;
  // What cannot be removed now is removed as a stray file by the next open.
  if (const Status removed = fs_.remove(path_); !removed)
    spdlog::debug("event=segment_not_removed file={} error=\"{}\"", path_,
                  removed.error().message());
}

Error damaged_error(const SegmentHandle& segment) {
  return Error(ErrorCode::kCorrupt,
               fmt::format("{} is damaged; restore it from a backup", segment.path()),
               ErrorOrigin::kStore);
}

Core::Core(Fs& fs, IndexOptions options)
    : fs_(fs), options_(std::move(options)), overlays_(std::make_shared<OverlayPool>()) {}

Core::~Core() = default;

std::shared_ptr<const Version> Core::version() const {
  const std::lock_guard lock(mutex_);
  return owner_;
}

std::pair<std::shared_ptr<const Version>, std::uint64_t> Core::sealed_version() {
  const std::lock_guard lock(mutex_);
  for (std::size_t tree = 0; tree < owner_->current.trees.size(); ++tree) {
    if (!owner_->current.trees[tree].active->empty()) seal(tree);
  }
  return {owner_, applied_sequence_};
}

void Core::seal_all() {
  sealed_version();
}

std::uint64_t Core::applied_sequence() const {
  const std::lock_guard lock(mutex_);
  return applied_sequence_;
}

std::optional<Kind> Core::kind_of(std::uint8_t table) const noexcept {
  if (kinds_[table] == 0) return std::nullopt;
  return static_cast<Kind>(kinds_[table]);
}

std::string Core::segment_path(std::uint64_t file) const {
  return fmt::format("{}/{}", directory(), segment_file_name(file));
}

std::uint64_t Core::overlay_bytes(const Layout& layout, Form form) const noexcept {
  const bool used = std::ranges::any_of(
      tables_, [&](const TableSpec& table) { return form_of(table.kind) == form; });
  if (!used) return kMinOverlayBytes;
  return std::max(kMinOverlayBytes,
                  options_.overlay_bytes / (std::uint64_t{layout.lanes.lanes()} * forms_used_));
}

std::shared_ptr<Overlay> Core::new_overlay(const Layout& layout, Form form) const {
  return overlays_->take(form, overlay_bytes(layout, form));
}

void Core::quarantine(const SegmentHandle& segment, const Error& why) {
  if (segment.damaged()) return;
  segment.set_damaged();
  counters_.damaged_segments.fetch_add(1, std::memory_order_relaxed);
  spdlog::error("event=segment_damaged file={} error=\"{}\" advice=\"restore from a backup\"",
                segment.path(), why.message());
}

// After a failed commit either manifest may be the one on the disk.
void Core::discard(const SegmentPtr& segment) {
  if (segment == nullptr) return;
  const auto manifest = read_manifest(fs_, directory());
  if (!manifest) return;
  for (const LayoutState& layout : manifest->layouts) {
    for (const TreeState& tree : layout.trees) {
      const auto file = segment->ref().file;
      if (std::ranges::find(tree.segments, file, &SegmentRef::file) != tree.segments.end()) return;
    }
  }
  segment->set_obsolete();
}

void Core::publish(std::shared_ptr<const Version> next) {
  present_.store(next.get(), std::memory_order_seq_cst);  // pairs with present()
  if (owner_ != nullptr) epochs_.retire(std::move(owner_));
  owner_ = std::move(next);
}

void Core::seal(std::size_t tree) {
  auto next = std::make_shared<Version>(*owner_);
  Tree& of = next->current.trees[tree];
  of.sealed.insert(of.sealed.begin(), std::move(of.active));
  of.active = new_overlay(*next->current.layout, of.form);
  publish(std::move(next));
  if (on_sealed_) on_sealed_();
}

void Core::apply_entry(Entry& entry) {
  const TreeSet& set = owner_->current;
  const Form form = form_of(*kind_of(entry.table));
  const std::size_t tree = set.layout->tree_of(form, entry.hash);
  if (!set.trees[tree].active->fits(1, entry.key.size() + entry.value.size())) seal(tree);
  owner_->current.trees[tree].active->apply(entry, owner_->current.layout->hasher);
}

void Core::apply(const WriteBatch& batch, std::span<const Hash128> hashes, std::uint32_t layout,
                 std::uint64_t first_sequence) {
  const std::lock_guard lock(mutex_);
  const bool rehash = layout != owner_->current.layout->id;
  std::uint64_t sequence = first_sequence;
  for (std::size_t i = 0; i < batch.size(); ++i, ++sequence) {
    const WriteBatch::Operation& operation = batch.operations()[i];
    Entry entry{.hash = hashes[i],
                .sequence = sequence,
                .table = operation.table,
                .tenant = operation.tenant,
                .op = operation.op,
                .key = batch.key(operation),
                .inline_value = operation.inline_value,
                .value = batch.value(operation)};
    if (rehash) [[unlikely]]
      entry.hash = owner_->current.layout->hasher(entry.table, entry.tenant, entry.key);
    apply_entry(entry);
  }
  applied_sequence_ = sequence - 1;
}

Manifest Core::manifest_of(const Version& version, std::uint64_t upto) const {
  Manifest manifest = manifest_->current();
  manifest.next_file = next_file_.load();
  manifest.tables = tables_;
  manifest.layouts.clear();
  if (version.old) manifest.layouts.push_back(state_of(*version.old));
  LayoutState& current = manifest.layouts.emplace_back(state_of(version.current));
  for (std::size_t i = 0; i < current.trees.size(); ++i) {
    const auto oldest = oldest_unflushed(version.current.trees[i]);
    const std::uint64_t flushed = oldest ? std::min(*oldest - 1, upto) : upto;
    TreeState& tree = current.trees[i];
    tree.flushed_sequence = std::max(tree.flushed_sequence, flushed);
    manifest.sequence_floor = std::max(manifest.sequence_floor, tree.flushed_sequence + 1);
  }
  return manifest;
}

// The log must have reached the disk as far as any segment does: else a power loss could keep a
// newer operation, or half a batch, and lose an older one.
Status Core::make_durable(const Version& draft) {
  std::uint64_t flushed = 0;
  for (const Tree& tree : draft.current.trees)
    flushed = std::max(flushed, tree.flushed_sequence);
  return log_->durable_sequence() < flushed ? log_->sync() : Status{};
}

// The change is made by then: old log files that stay are read again by an open, and removed later.
void Core::remove_logs() {
  if (log_holds_.load() != 0) return;
  std::uint64_t flushed = std::numeric_limits<std::uint64_t>::max();
  const Manifest manifest = manifest_->current();
  for (const TreeState& tree : manifest.layouts.back().trees)
    flushed = std::min(flushed, tree.flushed_sequence);
  if (const Status removed = log_->remove_through(flushed); !removed)
    spdlog::warn("event=log_not_removed error=\"{}\"", removed.error().message());
}

Status Core::install(const std::function<void(Version&)>& edit) {
  if (const Status ready = check_opened(); !ready) return ready;
  return install_now(edit);
}

// `applied` is read before the draft's overlays are looked at: what is written meanwhile has higher
// numbers.
Status Core::install_now(const std::function<void(Version&)>& edit) {
  const std::lock_guard install(install_mutex_);
  std::unique_lock lock(mutex_);
  Version draft = *owner_;
  const std::uint64_t applied = applied_sequence_;
  lock.unlock();
  edit(draft);
  if (const Status synced = make_durable(draft); !synced) return synced;
  const std::uint64_t upto = std::min(applied, log_->durable_sequence());
  if (const Status done = manifest_->commit(manifest_of(draft, upto)); !done) return done;
  lock.lock();
  auto next = std::make_shared<Version>(*owner_);
  edit(*next);
  publish(std::move(next));
  const auto free = epochs_.collect();
  lock.unlock();
  remove_logs();
  return {};
}

// The log is not asked for anything under mutex_: whoever commits there may be waiting for it.
Status Core::install_exclusively(const std::function<Status(Version&)>& edit) {
  if (const Status ready = check_opened(); !ready) return ready;
  const std::lock_guard install(install_mutex_);
  const std::uint64_t durable = log_->durable_sequence();
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<Version>(*owner_);
  if (const Status edited = edit(*next); !edited) return edited;
  const std::uint64_t upto = std::min(applied_sequence_, durable);
  if (const Status done = manifest_->commit(manifest_of(*next, upto)); !done) return done;
  publish(std::move(next));
  return {};
}

}  // namespace sluice::controlplane::store
