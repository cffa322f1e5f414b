// Figures of the durable route index, for `scripts/bench index`, beside RocksDB and LMDB where they
// are installed. Nothing is pinned: engines start threads, which would inherit the mask. Stores are
// made below --directory, which should be on the disk in question.
#include <CLI/CLI.hpp>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "perf/index/bench.hpp"
#include "perf/support/tsc.hpp"

namespace sluice::perf {

namespace store = controlplane::store;

bool wanted(const std::vector<std::string>& list, std::string_view what) {
  return std::ranges::find(list, what) != list.end();
}

Scratch::Scratch(const IndexBenchOptions& options, std::string_view name)
    : path_(fmt::format("{}/sluice-index-bench-{}-{}", options.directory, ::getpid(), name)) {
  std::filesystem::create_directories(path_);
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::unique_ptr<KeyValueEngine> open_engine(std::string_view name, const std::string& directory,
                                            store::Fsync fsync) {
  if (name == "rocksdb") return open_rocksdb(directory, fsync);
  if (name == "lmdb") return open_lmdb(directory, fsync);
  return open_sluice(directory, fsync);
}

void load(KeyValueEngine& engine, std::uint64_t keys) {
  std::vector<Pair> batch;
  for (std::uint64_t i = 0; i < keys;) {
    batch.clear();
    for (int n = 0; n < 64 && i < keys; ++n, ++i)
      batch.push_back({bench_id(i), i});
    engine.write(batch);
  }
}

void wait_until_idle(const store::Index& index) {
  constexpr int kQuietLooks = 5;
  std::uint64_t last = 0;
  for (int quiet = 0; quiet < kQuietLooks; ++quiet) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const store::IndexMetrics metrics = index.metrics();
    const std::uint64_t now = metrics.flushes + metrics.compactions;
    const bool busy = now != last || metrics.background_jobs != 0 ||
                      metrics.verified_bytes != metrics.to_verify_bytes;
    if (busy) quiet = -1;
    last = now;
  }
  ::sync();  // writing back what was written would take memory's time from what follows
}

}  // namespace sluice::perf

int main(int argc, char** argv) {
  using namespace sluice::perf;
  IndexBenchOptions options;
  options.directory = std::filesystem::current_path().string();
  bool smoke = false;
  CLI::App app("Figures of the durable route index", "index_bench");
  app.add_option("--keys", options.keys, "keys in the index")->delimiter(',');
  app.add_option("--batches", options.batches, "keys per lookup, at most 64")
      ->delimiter(',')
      ->check(CLI::Range(1U, store::kMaxLookup));
  app.add_option("--engines", options.engines, "sluice, rocksdb, lmdb")
      ->delimiter(',')
      ->check(CLI::IsMember({"sluice", "rocksdb", "lmdb"}));
  app.add_option("--parts", options.parts, "lookups, writes, open, memory")
      ->delimiter(',')
      ->check(CLI::IsMember({"lookups", "writes", "open", "memory"}));
  app.add_option("--directory", options.directory, "where stores are made")
      ->check(CLI::ExistingDirectory);
  app.add_option("--runs", options.runs, "runs per figure")->check(CLI::Range(1, 1000));
  app.add_option("--other-keys", options.other_keys, "keys of the engines side by side");
  app.add_option("--writes", options.writes, "writes without fsync");
  app.add_flag("--smoke", smoke, "a few seconds, to see that it works");
  CLI11_PARSE(app, argc, argv);
  if (smoke) {
    options.keys = {50'000};
    options.runs = kSmokeRuns;
    options.lookups_per_run = 50'000;
    options.other_keys = 20'000;
    options.sync_seconds = 0.1;
    options.writes = 200'000;
  }
  spdlog::set_level(spdlog::level::off);  // stdout is for results
  progress("index_bench: TSC {:.0f} MHz, stores in {}", tsc_hz() / 1e6, options.directory);
  if (wanted(options.parts, "lookups")) measure_lookups(options);
  if (wanted(options.parts, "memory")) measure_memory(options);
  if (wanted(options.parts, "writes")) measure_writes(options);
  if (wanted(options.parts, "open")) measure_open(options);
  return 0;
}
