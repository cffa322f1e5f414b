// Cycles per id of each keyed hash, by burst size, for `scripts/bench hash`. One pinned thread
// hashes bursts out of an L1-resident array of gathered ids, as pass B of the pipeline does.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"
#include "perf/support/tsc.hpp"
#include "sluice/hash/id_hash.hpp"
#include "sluice/hash/siphash.hpp"

namespace sluice {
namespace {

constexpr unsigned kMaxBurst = 64;
constexpr std::string_view kSipHash = "siphash24";

struct Options {
  std::vector<unsigned> bursts = {4, 8, 16, 32, 64};
  std::vector<std::string> impls;
  int runs = perf::kRuns;
  double cycles_per_run = 2e7;
  bool fenced = false;
};

// The memory the pipeline's batch would have: ids in, hashes out, all in L1.
struct alignas(64) Batch {
  std::array<Id, kMaxBurst> ids;
  std::array<Hash128, kMaxBurst> hashes;
  std::array<std::uint32_t, kMaxBurst> signatures;
};

// `hash(batch, n)` fills hashes or signatures of the first n ids. keep() makes the compiler believe
// that the batch is read and changed between bursts, so no burst can be dropped, merged or hoisted;
// the fences of the stamps are paid once per run.
template <class Hash>
double cycles_per_id(Batch& batch, unsigned burst, std::uint64_t ids, bool fenced,
                     const Hash& hash) {
  const std::uint64_t bursts = ids / burst;
  const std::uint64_t start = perf::tsc_begin();
  for (std::uint64_t i = 0; i < bursts; ++i) {
    if (fenced) _mm_lfence();
    hash(batch, burst);
    perf::keep(&batch);
  }
  const std::uint64_t end = perf::tsc_end();
  return static_cast<double>(end - start) / static_cast<double>(bursts * burst);
}

// An untimed run warms caches, predictors and vector units, and says how many ids fill a timed run.
template <class Hash>
std::uint64_t ids_for_one_run(const Options& options, Batch& batch, unsigned burst,
                              const Hash& hash) {
  constexpr std::uint64_t kWarmUpIds = 1U << 12;
  const double cycles = cycles_per_id(batch, burst, kWarmUpIds, options.fenced, hash);
  return std::max(kWarmUpIds, static_cast<std::uint64_t>(options.cycles_per_run / cycles));
}

template <class Hash>
void measure(const Options& options, std::string_view impl, std::string_view output, Batch& batch,
             const Hash& hash) {
  for (const unsigned burst : options.bursts) {
    perf::Measurement result("hash_cycles_per_key", "cycles");
    result.param("impl", impl).param("burst", burst).param("output", output);
    result.param("fenced", options.fenced);
    const std::uint64_t ids = ids_for_one_run(options, batch, burst, hash);
    for (int run = 0; run < options.runs; ++run)
      result.add(cycles_per_id(batch, burst, ids, options.fenced, hash));
    result.print();
  }
}

void measure_aes(const Options& options, const HashKey& key, Isa isa, Batch& batch) {
  const IdHasher hasher = IdHasher::create(key, isa);
  measure(options, to_string(isa), "hash128", batch,
          [&](Batch& b, unsigned n) { hasher.burst(b.ids.data(), b.hashes.data(), n); });
  measure(options, to_string(isa), "signature", batch,
          [&](Batch& b, unsigned n) { hasher.burst32(b.ids.data(), b.signatures.data(), n); });
}

void measure_siphash(const Options& options, const HashKey& key, Batch& batch) {
  const SipKey sip_key = SipKey::of(key.bytes);
  measure(options, kSipHash, "hash64", batch, [&](Batch& b, unsigned n) {
    for (unsigned i = 0; i < n; ++i)
      b.hashes[i].lo = siphash24(sip_key, b.ids[i].bytes);
  });
}

void fill_random(Batch& batch, HashKey& key) {
  std::mt19937_64 random(1);
  const auto byte = [&random] { return static_cast<std::uint8_t>(random()); };
  for (Id& id : batch.ids)
    std::ranges::generate(id.bytes, byte);
  std::ranges::generate(key.bytes, byte);
}

bool wanted(const Options& options, std::string_view impl) {
  return options.impls.empty() || std::ranges::find(options.impls, impl) != options.impls.end();
}

// 0 measured, 1 this machine cannot.
int run(const Options& options) {
  const int cpu = perf::pin_to_last_cpu();
  if (cpu < 0) {
    perf::progress("hash_bench: cannot pin to a CPU");
    return 1;
  }
  perf::progress("hash_bench: CPU {}, TSC {:.0f} MHz, {} runs of {:g} cycles each", cpu,
                 perf::tsc_hz() / 1e6, options.runs, options.cycles_per_run);
  Batch batch{};
  HashKey key;
  fill_random(batch, key);
  for (const Isa isa : kAllIsas) {
    if (!wanted(options, to_string(isa))) continue;
    if (has_isa(isa)) {
      measure_aes(options, key, isa, batch);
    } else {
      perf::progress("hash_bench: this CPU has no {}, left out", to_string(isa));
      if (!options.impls.empty()) return 1;
    }
  }
  if (wanted(options, kSipHash)) measure_siphash(options, key, batch);
  return 0;
}

// 0 measured, 1 failed, 2 wrong usage.
int parse_and_run(int argc, char** argv) {
  Options options;
  bool smoke = false;
  CLI::App app("Cycles per id of the keyed hashes of ids", "hash_bench");
  app.add_option("--burst", options.bursts, "burst sizes, 1 to 64")
      ->check(CLI::Range(1U, kMaxBurst))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--impl", options.impls, "only these; all by default")
      ->check(CLI::IsMember({"scalar", "aesni", "vaes256", "vaes512", "siphash24"}))
      ->delimiter(',');
  app.add_option("--runs", options.runs, "timed runs per figure")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--fenced", options.fenced, "wait between bursts, so that none overlaps the next");
  app.add_flag("--smoke", smoke, "very short, to see that it works; figures mean nothing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (smoke) {
    options.runs = perf::kSmokeRuns;
    options.cycles_per_run = 1e5;
  }
  return run(options);
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  try {
    return sluice::parse_and_run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hash_bench: %s\n", error.what());
    return 1;
  }
}
