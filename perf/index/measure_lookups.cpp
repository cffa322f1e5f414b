// Lookups by size and batch, hits and misses; one by one beside the other engines.
#include <algorithm>
#include <array>
#include <random>
#include <span>
#include <thread>
#include <utility>

#include "controlplane/store/overlay/zeroed_memory.hpp"
#include "perf/index/bench.hpp"
#include "perf/support/tsc.hpp"
#include "sluice/base/prefetch.hpp"

namespace sluice::perf {
namespace {

namespace store = controlplane::store;

constexpr std::uint8_t kTable = 1;
constexpr std::size_t kStream = 1U << 22;

std::vector<Id> stream_of(std::uint64_t keys, bool hits) {
  std::mt19937_64 random(keys);
  std::vector<Id> ids(kStream);
  for (Id& id : ids) {
    const std::uint64_t number = random() % keys;
    id = bench_id(hits ? number : number + (std::uint64_t{1} << 40));
  }
  return ids;
}

// Cycles per key of lookups in batches.
double cycles_per_key(const store::Index& index, const std::vector<Id>& ids, unsigned batch,
                      std::uint64_t count, bool hits) {
  std::array<std::uint64_t, store::kMaxLookup> values;
  static std::size_t at = 0;
  std::uint64_t found = 0;
  const std::uint64_t batches = count / batch;
  const std::uint64_t start = tsc_begin();
  for (std::uint64_t i = 0; i < batches; ++i) {
    if (at + 3 * batch > ids.size()) at = 0;
    // Who asks has the ids at hand: those of the batch after the next are fetched now.
    for (unsigned ahead = 0; ahead < batch; ahead += 64 / sizeof(Id))
      prefetch_near(&ids[at + 2 * batch + ahead]);
    const auto mask = index.lookup(kTable, 0, &ids[at], batch, values.data());
    at += batch;
    if (!mask) give_up(mask.error().message());
    found += static_cast<std::uint64_t>(std::popcount(*mask));
    keep(values);
  }
  const std::uint64_t end = tsc_end();
  if (found != (hits ? batches * batch : 0)) give_up("a lookup gave a wrong answer");
  return static_cast<double>(end - start) / static_cast<double>(batches * batch);
}

std::string shape_of(const store::Index& index) {
  std::size_t segments = 0;
  std::uint64_t overlays = 0;
  std::uint64_t above = 0;
  for (const auto& tree : index.metrics().trees) {
    segments = std::max(segments, tree.segment_entries.size());
    overlays += tree.overlay_entries;
    for (std::size_t i = 0; i + 1 < tree.segment_entries.size(); ++i)
      above += tree.segment_entries[i];
  }
  return fmt::format("{} segments, {} above the last, {} in overlays", segments, above, overlays);
}

// One read after the other, each where the last one says, all over as much memory as the hot part
// of so many keys takes: what no look-up of one key can be faster than on this machine.
void measure_memory_latency(const IndexBenchOptions& options, std::uint64_t keys) {
  constexpr std::size_t kRecordBytes = 12;
  const std::size_t lines = keys * kRecordBytes / 64;
  store::ZeroedMemory memory(lines * 64);
  const std::span line(static_cast<std::uint64_t*>(memory.data()), lines * 8);
  std::mt19937_64 random(keys);
  // Sattolo's shuffle: one cycle through all of them.
  for (std::size_t i = 0; i < lines; ++i)
    line[i * 8] = i;
  for (std::size_t i = lines - 1; i > 0; --i)
    std::swap(line[i * 8], line[random() % i * 8]);
  Measurement ns("index_memory_latency_ns", "ns");
  ns.param("keys", keys);
  const std::uint64_t count = std::max<std::uint64_t>(1000, options.lookups_per_run / 4);
  std::uint64_t at = 0;
  for (int run = 0; run < options.runs; ++run) {
    const std::uint64_t start = monotonic_ns();
    for (std::uint64_t i = 0; i < count; ++i)
      at = line[at * 8];
    keep(at);
    ns.add(static_cast<double>(monotonic_ns() - start) / static_cast<double>(count));
  }
  ns.print();
}

void measure_state(const IndexBenchOptions& options, store::Index& index, std::uint64_t keys,
                   std::string_view state) {
  const std::string shape = shape_of(index);
  for (const bool hits : {true, false}) {
    const std::vector<Id> ids = stream_of(keys, hits);
    for (const unsigned batch : options.batches) {
      Measurement cycles("index_lookup_cycles", "cycles");
      cycles.param("keys", keys).param("batch", batch).param("result", hits ? "hit" : "miss");
      cycles.param("state", state).param("shape", shape);
      cycles_per_key(index, ids, batch, options.lookups_per_run / 4, hits);
      for (int run = 0; run < options.runs; ++run)
        cycles.add(cycles_per_key(index, ids, batch, options.lookups_per_run, hits));
      cycles.print();
    }
  }
}

// So many look-ups, all hits.
void read_on(const store::Index& index, const std::vector<Id>& ids, std::uint64_t lookups) {
  for (std::uint64_t done = 0; done < lookups; done += 100'000)
    cycles_per_key(index, ids, 64, 100'000, true);
}

// Never compacted by hand: written in random order and read for a moment, so that the policy sees
// that reads have begun ("all levels"; what is newest is in the overlays); and after reads went on
// until they were worth a merge of everything ("read on").
void measure_ours(const IndexBenchOptions& options, std::uint64_t keys) {
  const Scratch scratch(options, "lookups");
  auto index = open_index(scratch.path(), store::Fsync::kNever, true);
  store::WriteBatch batch;
  for (std::uint64_t i = 0; i < keys;) {
    batch.clear();
    for (int n = 0; n < 64 && i < keys; ++n, ++i)
      batch.put(kTable, 0, bench_id(i).bytes, i);
    if (const Status done = index->write(batch); !done) give_up(done.error().message());
  }
  const std::vector<Id> ids = stream_of(keys, true);
  const std::uint64_t start = monotonic_ns();
  while (monotonic_ns() - start < 2'500'000'000)
    read_on(*index, ids, 100'000);
  wait_until_idle(*index);
  measure_state(options, *index, keys, "all levels");
  // Twice what the policy asks for; then its look, once a second.
  read_on(*index, ids, 20 * keys);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  read_on(*index, ids, 100'000);
  wait_until_idle(*index);
  measure_state(options, *index, keys, "read on");
  measure_memory_latency(options, keys);
}

void measure_one_by_one(const IndexBenchOptions& options, const std::string& name) {
  const std::uint64_t keys = options.other_keys;
  const Scratch scratch(options, "one-" + name);
  const auto engine = open_engine(name, scratch.path(), store::Fsync::kNever);
  if (engine == nullptr) {
    progress("index_bench: built without {}", name);
    return;
  }
  load(*engine, keys);
  engine->settle();
  const std::vector<Id> ids = stream_of(keys, true);
  Measurement ns("index_lookup_one_ns", "ns");
  ns.param("engine", engine->name()).param("keys", keys);
  const std::uint64_t count = std::max<std::uint64_t>(1000, options.lookups_per_run / 8);
  std::size_t at = 0;
  for (int run = -1; run < options.runs; ++run) {  // the first warms up
    const std::uint64_t start = monotonic_ns();
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t value = 0;
      if (!engine->get(ids[at], value)) give_up("a key is missing");
      keep(value);
      at = (at + 1) % ids.size();
    }
    if (run >= 0) ns.add(static_cast<double>(monotonic_ns() - start) / static_cast<double>(count));
  }
  ns.print();
  Measurement disk("index_disk_bytes_per_key", "bytes");
  disk.param("engine", engine->name()).param("keys", keys);
  disk.add(static_cast<double>(directory_bytes(scratch.path())) / static_cast<double>(keys));
  disk.print();
}

}  // namespace

void measure_lookups(const IndexBenchOptions& options) {
  if (wanted(options.engines, "sluice")) {
    for (const std::uint64_t keys : options.keys)
      measure_ours(options, keys);
  }
  for (const std::string& name : options.engines)
    measure_one_by_one(options, name);
}

// Of numbers in the compact form, everything in one segment per lane.
void measure_memory(const IndexBenchOptions& options) {
  for (const std::uint64_t keys : options.keys) {
    const Scratch scratch(options, "memory");
    auto engine = open_sluice(scratch.path(), store::Fsync::kNever);
    load(*engine, keys);
    engine->settle();
    engine.reset();
    const auto index = open_index(scratch.path(), store::Fsync::kNever, false);
    const store::IndexMetrics metrics = index->metrics();
    Measurement hot("index_hot_bytes_per_key", "bytes");
    hot.param("keys", keys).param("form", "compact");
    hot.add(static_cast<double>(metrics.hot_bytes) / static_cast<double>(keys));
    hot.print();
    Measurement disk("index_segment_bytes_per_key", "bytes");
    disk.param("keys", keys).param("form", "compact");
    disk.add(static_cast<double>(metrics.segment_bytes) / static_cast<double>(keys));
    disk.print();
  }
}

}  // namespace sluice::perf
