// Writes by fsync policy, with compaction running; opening; recovery.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <thread>

#include "perf/index/bench.hpp"
#include "perf/support/tsc.hpp"

namespace sluice::perf {
namespace {

namespace store = controlplane::store;

constexpr std::uint64_t kBatch = 64;

std::string_view name_of(store::Fsync fsync) {
  switch (fsync) {
    case store::Fsync::kEach:
      return "each";
    case store::Fsync::kInterval:
      return "interval";
    case store::Fsync::kNever:
      return "never";
  }
  return "?";
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct WriteRun {
  double per_second = 0;
  double p99_ms = 0;  // of one batch
  double worst_ms = 0;
  double cpu_ns = 0;  // of all threads, per key
};

// Batches of 64 random keys out of `space`, until `writes` are done or `seconds` are over.
WriteRun write_batches(KeyValueEngine& engine, std::uint64_t space, std::uint64_t writes,
                       double seconds, std::uint64_t seed) {
  std::array<Pair, kBatch> batch;
  std::vector<std::uint32_t> times_us;
  times_us.reserve(writes / kBatch);
  const double cpu = cpu_seconds();
  const std::uint64_t start = monotonic_ns();
  std::uint64_t done = 0;
  std::uint64_t now = start;
  while (done < writes && static_cast<double>(now - start) < seconds * 1e9) {
    for (Pair& pair : batch) {
      const std::uint64_t number = scramble(seed + done++) % space;
      pair = {bench_id(number), number};
    }
    const std::uint64_t before = monotonic_ns();
    engine.write(batch);
    now = monotonic_ns();
    times_us.push_back(static_cast<std::uint32_t>((now - before) / 1000));
  }
  WriteRun run;
  run.per_second = static_cast<double>(done) * 1e9 / static_cast<double>(now - start);
  run.cpu_ns = (cpu_seconds() - cpu) * 1e9 / static_cast<double>(done);
  std::ranges::sort(times_us);
  run.p99_ms = times_us[times_us.size() * 99 / 100] / 1000.0;
  run.worst_ms = times_us.back() / 1000.0;
  return run;
}

void report(const IndexBenchOptions& options, const std::string& name, store::Fsync fsync,
            std::uint64_t space, std::uint64_t writes, double seconds, int runs) {
  const Scratch scratch(options, fmt::format("writes-{}-{}", name, name_of(fsync)));
  const auto engine = open_engine(name, scratch.path(), fsync);
  if (engine == nullptr) return;
  Measurement rate("index_writes_per_second", "keys/s");
  Measurement p99("index_write_p99_ms", "ms");
  Measurement worst("index_write_worst_ms", "ms");
  Measurement cpu("index_write_cpu_ns", "ns");
  for (Measurement* m : {&rate, &p99, &worst, &cpu}) {
    m->param("engine", engine->name()).param("fsync", name_of(fsync)).param("batch", kBatch);
    m->param("keys", space);
  }
  for (int run = 0; run < runs; ++run) {
    const WriteRun result =
        write_batches(*engine, space, writes, seconds, static_cast<std::uint64_t>(run) * writes);
    rate.add(result.per_second);
    p99.add(result.p99_ms);
    worst.add(result.worst_ms);
    cpu.add(result.cpu_ns);
    progress("index_bench: {} after run {}: {}", name, run, engine->about());
  }
  for (const Measurement* m : {&rate, &p99, &worst, &cpu})
    m->print();
}

// A child writes `keys` and is killed: what opening takes then is recovery.
void kill_after_writing(const std::string& directory, std::uint64_t keys) {
  int ready[2];
  if (::pipe(ready) != 0) give_up("no pipe");
  const pid_t child = ::fork();
  if (child < 0) give_up("no process");
  if (child == 0) {
    auto engine = open_sluice(directory, store::Fsync::kNever);
    load(*engine, keys);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  ::close(ready[1]);
  char byte = 0;
  const bool written = ::read(ready[0], &byte, 1) == 1;
  ::close(ready[0]);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  if (!written) give_up("the child did not write");
}

double milliseconds_to_answer(const std::string& directory, std::uint64_t known) {
  const std::uint64_t start = monotonic_ns();
  const auto index = open_index(directory, store::Fsync::kNever, true);
  std::uint64_t value = 0;
  const Id id = bench_id(known);
  const auto found = index->lookup(1, 0, &id, 1, &value);
  const double ms = static_cast<double>(monotonic_ns() - start) / 1e6;
  if (!found || *found == 0 || value != known) give_up("a key is missing after opening");
  return ms;
}

}  // namespace

void measure_writes(const IndexBenchOptions& options) {
  for (const std::string& name : options.engines)
    report(options, name, store::Fsync::kEach, options.other_keys, ~std::uint64_t{0} >> 32,
           options.sync_seconds, 3);
  if (wanted(options.engines, "sluice")) {
    report(options, "sluice", store::Fsync::kInterval, options.other_keys, options.writes / 4,
           options.sync_seconds * 2, 3);
    report(options, "sluice", store::Fsync::kNever, options.keys.back(), options.writes, 60, 3);
  }
  for (const std::string& name : options.engines) {
    if (name != "sluice")
      report(options, name, store::Fsync::kNever, options.other_keys, options.other_keys, 20, 1);
  }
}

void measure_open(const IndexBenchOptions& options) {
  const Scratch scratch(options, "recovery");
  const std::uint64_t lost = std::min<std::uint64_t>(1'000'000, options.keys.back());
  Measurement recovery("index_recovery_ms", "ms");
  recovery.param("keys_in_log", lost);
  for (int run = 0; run < std::min(options.runs, 3); ++run) {
    const std::string directory = fmt::format("{}/{}", scratch.path(), run);
    kill_after_writing(directory, lost);
    recovery.add(milliseconds_to_answer(directory, lost / 2));
  }
  recovery.print();

  const std::string directory = scratch.path() + "/large";
  {
    const auto engine = open_sluice(directory, store::Fsync::kNever);
    load(*engine, options.keys.back());
    engine->settle();
  }
  Measurement open("index_open_ms", "ms");
  open.param("keys", options.keys.back());
  for (int run = 0; run < options.runs; ++run)
    open.add(milliseconds_to_answer(directory, options.keys.back() / 2));
  open.print();
}

}  // namespace sluice::perf
