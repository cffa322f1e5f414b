// What the parts of the index benchmark share: options, ids, and the places where stores are made.
// One thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "perf/index/engine.hpp"
#include "perf/support/report.hpp"

namespace sluice::perf {

struct IndexBenchOptions {
  std::vector<std::uint64_t> keys = {1'000'000, 10'000'000};
  std::vector<unsigned> batches = {1, 8, 32, 64};
  std::vector<std::string> engines = {"sluice", "rocksdb", "lmdb"};
  std::vector<std::string> parts = {"lookups", "writes", "open", "memory"};
  std::string directory;  // where stores are made, each removed at the end
  int runs = kRuns;
  std::uint64_t lookups_per_run = 2'000'000;
  std::uint64_t other_keys = 1'000'000;  // of the other engines
  double sync_seconds = 2;               // of writing with fsync, per engine
  std::uint64_t writes = 10'000'000;     // without fsync, of ours
};

bool wanted(const std::vector<std::string>& list, std::string_view what);

// Distinct ids that look random.
inline std::uint64_t scramble(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}
inline Id bench_id(std::uint64_t number) {
  const std::uint64_t halves[2] = {scramble(number), scramble(~number)};
  Id id;
  std::memcpy(id.bytes.data(), halves, sizeof id);
  return id;
}

// A directory of its own, removed with everything in it.
class Scratch {
 public:
  Scratch(const IndexBenchOptions& options, std::string_view name);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<KeyValueEngine> open_engine(std::string_view name, const std::string& directory,
                                            controlplane::store::Fsync fsync);
// The ids of numbers from 0 on, in batches of 64.
// Until nothing is being written out, merged or verified.
void wait_until_idle(const controlplane::store::Index& index);
void load(KeyValueEngine& engine, std::uint64_t keys);

void measure_lookups(const IndexBenchOptions& options);
void measure_memory(const IndexBenchOptions& options);
void measure_writes(const IndexBenchOptions& options);
void measure_open(const IndexBenchOptions& options);

}  // namespace sluice::perf
