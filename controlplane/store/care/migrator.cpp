#include "controlplane/store/care/migrator.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "controlplane/store/overlay/overlay_source.hpp"
#include "controlplane/store/thread_name.hpp"
#include "sluice/base/random.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::chrono::milliseconds kTell{50};
constexpr std::chrono::seconds kRetry{2};
// So many entries in overlays are moved at the switch, while writes wait: some milliseconds.
constexpr std::uint64_t kFewEntries = 20'000;
constexpr int kAttempts = 5;
// Of the old trees at the switch, so that a lookup has one probe left for the new ones.
constexpr std::size_t kMaxOldSegments = kMaxSegments - 1;

Error cancelled() {
  return Error(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
}

std::uint64_t overlay_entries(const Version& version) noexcept {
  std::uint64_t entries = 0;
  for (const Tree& tree : version.current.trees)
    entries += tree.overlay_entries();
  return entries;
}

// What is only in overlays, in the order it was written. The entries point into the overlays.
Result<std::vector<Entry>> unflushed(const Version& version) {
  std::vector<Entry> entries;
  for (const Tree& tree : version.current.trees) {
    std::vector<std::shared_ptr<const Overlay>> overlays = tree.sealed;
    overlays.push_back(tree.active);
    for (const auto& overlay : overlays) {
      OverlaySource source(overlay);
      Entry entry;
      for (;;) {
        const auto more = source.next(entry);
        if (!more) return std::unexpected(more.error());
        if (!*more) break;
        entries.push_back(entry);
      }
    }
  }
  std::ranges::sort(entries, {}, &Entry::sequence);
  return entries;
}

// Empty trees that take writes.
TreeSet new_trees(const Core& core, const std::shared_ptr<const Layout>& layout) {
  TreeSet set{.layout = layout};
  set.trees.resize(layout->trees());
  for (const Form form : {Form::kCompact, Form::kExact}) {
    for (unsigned lane = 0; lane < layout->lanes.lanes(); ++lane) {
      Tree& tree = set.trees[layout->tree_of(form, lane)];
      tree.form = form;
      tree.lane = lane;
      tree.active = core.new_overlay(*layout, form);
    }
  }
  return set;
}

void put(const Core& core, TreeSet& set, Entry entry) {
  const Layout& layout = *set.layout;
  entry.hash = layout.hasher(entry.table, entry.tenant, entry.key);
  Tree& tree = set.trees[layout.tree_of(form_of(*core.kind_of(entry.table)), entry.hash)];
  if (!tree.active->fits(1, entry.key.size() + entry.value.size())) {
    tree.sealed.insert(tree.sealed.begin(), std::move(tree.active));
    tree.active = core.new_overlay(layout, tree.form);
  }
  tree.active->apply(entry, layout.hasher);
}

}  // namespace

Migrator::Migrator(Core& core, Compactor& compactor) : core_(core), compactor_(compactor) {
  thread_ = std::thread([this] { run(); });
}

Migrator::~Migrator() {
  stop();
}

void Migrator::stop() noexcept {
  request_stop();
  if (thread_.joinable()) thread_.join();
}

void Migrator::request_stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  changed_.notify_all();
  compactor_.limiter().interrupt();
}

std::string Migrator::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

Result<std::shared_ptr<const Layout>> Migrator::layout_for(const MigrateTarget& target) const {
  const auto version = core_.version();
  const Layout& present = *version->current.layout;
  const unsigned lanes = target.lanes.value_or(present.lanes.lanes());
  const std::uint32_t format = target.format.value_or(present.format);
  if (lanes == 0 || lanes > kMaxLanes) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("lanes must be 1 to {}, not {}", kMaxLanes, lanes),
                ErrorOrigin::kStore);
  }
  if (!known_format(format)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("segment formats are {} to {}, not {}", kOldestSegmentFormat,
                            kNewestSegmentFormat, format),
                ErrorOrigin::kStore);
  }
  HashKey key = target.key.value_or(present.key);
  // Hashes either stay, all of them, or have nothing to do with what they were (rewrite.cpp).
  if (id_passes(format) != id_passes(present.format) && key == present.key)
    key = HashKey{random_bytes<16>()};
  return std::make_shared<const Layout>(present.id + 1, key, lanes, format);
}

Status Migrator::migrate(const MigrateTarget& target, const Progress& progress) {
  const std::lock_guard one(one_at_a_time_);
  if (const Status ready = core_.check_opened(); !ready) return ready;
  if (core_.version()->old) {
    if (const Status done = wait_until_moved(progress); !done) return done;
  }
  const auto layout = layout_for(target);
  if (!layout) return std::unexpected(layout.error());
  if (const Status done = switch_to(*layout, progress); !done) return done;
  return wait_until_moved(progress);
}

// Few old segments make few probes while there are two layouts.
Status Migrator::prepare(const Progress& progress) {
  const std::size_t trees = core_.version()->current.trees.size();
  for (std::size_t tree = 0; tree < trees; ++tree) {
    if (progress && !progress(0, 0)) return std::unexpected(cancelled());
    if (const Status done = compactor_.compact_tree(tree, Pace(&compactor_.limiter(), &stop_));
        !done)
      return done;
  }
  return {};
}

Status Migrator::switch_to(const std::shared_ptr<const Layout>& layout, const Progress& progress) {
  for (int attempt = 1;; ++attempt) {
    if (const Status prepared = prepare(progress); !prepared) return prepared;
    if (const Status drained = compactor_.drain(); !drained) return drained;
    const Compactor::Pause pause(compactor_);
    bool later = false;
    const Status done = core_.install_exclusively([&](Version& next) -> Status {
      const bool crowded = std::ranges::any_of(next.current.trees, [](const Tree& tree) {
        return tree.segments.size() > kMaxOldSegments;
      });
      later = attempt < kAttempts && (crowded || overlay_entries(next) > kFewEntries);
      if (later) return fail(ErrorCode::kUnavailable, "too much is being written");
      const auto entries = unflushed(next);
      if (!entries) return std::unexpected(entries.error());
      TreeSet trees = new_trees(core_, layout);
      for (const Entry& entry : *entries)
        put(core_, trees, entry);
      next.old = std::move(next.current);
      next.current = std::move(trees);
      for (Tree& tree : next.old->trees) {
        tree.active.reset();
        tree.sealed.clear();
      }
      return {};
    });
    if (later) continue;
    if (!done) return done;
    break;
  }
  changed_.notify_all();
  return {};
}

Status Migrator::wait_until_moved(const Progress& progress) {
  std::unique_lock lock(mutex_);
  while (core_.version()->old) {
    changed_.wait_for(lock, kTell);
    if (stop_.load()) return fail(ErrorCode::kUnavailable, "the store is closing");
    if (!failure_.empty()) {
      return fail(ErrorCode::kUnavailable, failure_ + "; it is tried again in the background",
                  ErrorOrigin::kStore, true);
    }
    if (!progress) continue;
    lock.unlock();
    const bool go_on = progress(work_.done.load(), work_.total.load());
    lock.lock();
    if (!go_on) {
      return fail(ErrorCode::kUnavailable, "cancelled; the migration goes on in the background",
                  ErrorOrigin::kStore);
    }
  }
  return {};
}

void Migrator::run() {
  name_thread("store-migrate");
  std::unique_lock lock(mutex_);
  while (!stop_.load()) {
    lock.unlock();
    const bool wanted = core_.opened() && core_.version()->old.has_value();
    const Status done = wanted ? move() : Status{};
    lock.lock();
    failure_ = done || stop_.load() ? "" : "migration failed: " + done.error().message();
    if (!failure_.empty()) spdlog::error("event=migration_failed error=\"{}\"", failure_);
    changed_.notify_all();
    if (stop_.load()) return;
    if (wanted && done) continue;
    changed_.wait_for(lock,
                      done ? std::chrono::milliseconds(200) : std::chrono::milliseconds(kRetry));
  }
}

Status Migrator::move() {
  const auto version = core_.version();
  const auto made = rewrite_layout(core_, *version, Pace(&compactor_.limiter(), &stop_), work_);
  if (!made) return std::unexpected(made.error());
  const Status done = core_.install([&](Version& next) {
    for (std::size_t i = 0; i < made->size(); ++i) {
      if ((*made)[i] != nullptr) next.current.trees[i].segments.push_back((*made)[i]);
    }
    next.old.reset();
  });
  if (!done) {
    for (const SegmentPtr& segment : *made)
      core_.discard(segment);
    return done;
  }
  for (const Tree& tree : version->old->trees) {
    for (const SegmentPtr& segment : tree.segments)
      segment->set_obsolete();
  }
  compactor_.notify();
  spdlog::info("event=migration_done layout={} lanes={} format={}", version->current.layout->id,
               version->current.layout->lanes.lanes(), version->current.layout->format);
  return {};
}

}  // namespace sluice::controlplane::store
