#include "controlplane/store/metrics.hpp"

#include <utility>

namespace sluice::controlplane::store {
namespace {

TreeMetrics tree_metrics(const Tree& tree, const Compactor& compactor, double ratio) {
  TreeMetrics out{.form = tree.form, .lane = tree.lane, .size_ratio = ratio};
  const auto add = [&](const Overlay& overlay) {
    out.overlay_entries += overlay.entries();
    out.overlay_bytes += overlay.bytes_used();
  };
  if (tree.active != nullptr) add(*tree.active);
  for (const auto& overlay : tree.sealed)
    add(*overlay);
  for (const SegmentPtr& segment : tree.segments) {
    out.segment_entries.push_back(segment->ref().entries);
    out.segment_bytes += segment->ref().bytes;
  }
  out.debt_bytes = compactor.debt_bytes(tree);
  return out;
}

void add_trees(IndexMetrics& metrics, const TreeSet& set, const Compactor& compactor) {
  const double ratio = compactor.policy().ratio;
  for (const Tree& tree : set.trees) {
    TreeMetrics one = tree_metrics(tree, compactor, ratio);
    metrics.entries += one.overlay_entries;
    for (const std::uint64_t entries : one.segment_entries)
      metrics.entries += entries;
    metrics.segment_bytes += one.segment_bytes;
    metrics.debt_bytes += one.debt_bytes;
    for (const SegmentPtr& segment : tree.segments) {
      if (segment->opened()) metrics.hot_bytes += segment->segment().info().hot_bytes;
    }
    metrics.trees.push_back(std::move(one));
  }
}

void add_counters(IndexMetrics& metrics, EngineCounters& counters) {
  metrics.writes = counters.writes.load();
  metrics.batches = counters.batches.load();
  metrics.write_failures = counters.write_failures.load();
  metrics.slowed_writes = counters.slowed_writes.load();
  metrics.stopped_writes = counters.stopped_writes.load();
  metrics.stall_ns = counters.stall_ns.load();
  metrics.flushes = counters.flushes.load();
  metrics.compactions = counters.compactions.load();
  metrics.compaction_read_bytes = counters.compaction_read_bytes.load();
  metrics.compaction_written_bytes = counters.compaction_written_bytes.load();
  metrics.verified_bytes = counters.verified_bytes.load();
  metrics.to_verify_bytes = counters.to_verify_bytes.load();
  metrics.damaged_segments = counters.damaged_segments.load();
}

}  // namespace

IndexMetrics collect_metrics(Core& core, const Compactor& compactor, const Migrator& migrator) {
  IndexMetrics metrics;
  const auto version = core.version();
  add_trees(metrics, version->current, compactor);
  if (version->old) add_trees(metrics, *version->old, compactor);
  metrics.migrating = version->old.has_value();
  metrics.format = version->current.layout->format;
  metrics.lanes = version->current.layout->lanes.lanes();
  metrics.sequence = core.applied_sequence();
  metrics.manifest_generation = core.manifest().generation;
  add_counters(metrics, core.counters());
  metrics.background_jobs = compactor.running();
  const EpochDomain::Totals reads = core.epochs().totals();
  metrics.lookups = reads.lookups;
  metrics.hits = reads.hits;
  metrics.segment_probes = reads.probes;
  metrics.filter_false_positives = reads.false_positives;
  const LogMetrics log = core.log().metrics();
  metrics.log_bytes = log.live_bytes;
  metrics.fsyncs = log.fsyncs;
  metrics.fsync_ns = log.fsync_ns;
  metrics.fsync_max_ns = log.fsync_max_ns;
  if (const Status health = core.log().health(); !health) {
    metrics.failure = health.error().message();
  } else if (const std::string why = compactor.failure(); !why.empty()) {
    metrics.failure = why;
  } else {
    metrics.failure = migrator.failure();
  }
  return metrics;
}

}  // namespace sluice::controlplane::store
