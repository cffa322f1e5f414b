// Figures of one index at one moment (Index::metrics). Counters grow since opening. A plain value,
// for the API and the metrics endpoint.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/store/entry.hpp"

namespace sluice::controlplane::store {

// One lane of one form.
struct TreeMetrics {
  Form form = Form::kCompact;
  unsigned lane = 0;
  std::uint64_t overlay_entries = 0;  // mutable and sealed
  std::uint64_t overlay_bytes = 0;
  std::vector<std::uint64_t> segment_entries;  // newest segment first
  std::uint64_t segment_bytes = 0;
  std::uint64_t debt_bytes = 0;  // what compaction has to write to catch up
  double size_ratio = 0;         // the policy's present one: higher reads faster
};

struct IndexMetrics {
  std::vector<TreeMetrics> trees;
  std::uint64_t entries = 0;  // in overlays and segments; a key in several counts several times
  std::uint64_t segment_bytes = 0;
  std::uint64_t hot_bytes = 0;  // of it, what lookups touch
  std::uint64_t log_bytes = 0;
  std::uint64_t sequence = 0;
  std::uint64_t manifest_generation = 0;
  std::uint32_t format = 0;
  std::uint32_t lanes = 0;

  std::uint64_t lookups = 0;
  std::uint64_t hits = 0;
  std::uint64_t segment_probes = 0;
  std::uint64_t filter_false_positives = 0;

  std::uint64_t writes = 0;  // operations
  std::uint64_t batches = 0;
  std::uint64_t write_failures = 0;
  std::uint64_t slowed_writes = 0;
  std::uint64_t stopped_writes = 0;
  std::uint64_t stall_ns = 0;  // in all; of the two above

  std::uint64_t fsyncs = 0;
  std::uint64_t fsync_ns = 0;      // in all
  std::uint64_t fsync_max_ns = 0;  // the slowest
  std::uint64_t flushes = 0;
  std::uint64_t compactions = 0;
  std::uint64_t background_jobs = 0;  // flushes and compactions that run now
  std::uint64_t compaction_read_bytes = 0;
  std::uint64_t compaction_written_bytes = 0;
  std::uint64_t debt_bytes = 0;

  std::uint64_t verified_bytes = 0;  // by the check after opening
  std::uint64_t to_verify_bytes = 0;
  std::uint64_t damaged_segments = 0;
  bool migrating = false;
  std::string failure;  // why writes or compaction do not go on at present; empty: they do
};

}  // namespace sluice::controlplane::store
