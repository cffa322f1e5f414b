// What a base segment costs, for `scripts/bench index`: nanoseconds per key and thread to build it,
// bytes per key, cycles per look-up by size, batch and page size, and the same for the filter of
// index segments. One pinned thread; the keyed hash of the ids is not in the look-up figures, which
// `scripts/bench hash` has.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/filter/block_filter.hpp"
#include "controlplane/store/segment/base_builder.hpp"
#include "controlplane/store/segment/base_file.hpp"
#include "controlplane/store/segment/phf_builder.hpp"
#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"
#include "perf/support/tsc.hpp"

namespace sluice::controlplane::store {
namespace {

struct Options {
  std::vector<std::uint64_t> keys = {1'000'000, 10'000'000};
  std::vector<unsigned> batches = {1, 8, 32, 64};
  std::string directory = std::filesystem::temp_directory_path();
  int runs = perf::kRuns;
  std::uint64_t lookups = 1U << 20;
};

const HashKey kKey{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

Id id_of(std::uint64_t n) {
  Id id{};
  sluice::store(id.bytes.data(), n);
  sluice::store(id.bytes.data() + 8, n * 0x9e3779b97f4a7c15U);
  return id;
}

// Memory of its own, in pages of 2 MiB or 4 KiB.
class Pages {
 public:
  static constexpr std::size_t kHuge = std::size_t{2} << 20;

  Pages(std::span<const std::uint8_t> content, bool huge)
      : size_((content.size() + 2 * kHuge - 1) / kHuge * kHuge) {
    mapped_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) throw std::runtime_error("no memory");
    ::madvise(mapped_, size_, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    const auto at = (reinterpret_cast<std::uintptr_t>(mapped_) + kHuge - 1) / kHuge * kHuge;
    bytes_ = {reinterpret_cast<std::uint8_t*>(at), content.size()};
    std::ranges::copy(content, bytes_.begin());
  }
  ~Pages() { ::munmap(mapped_, size_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::span<const std::uint8_t> bytes() const { return bytes_; }

 private:
  std::size_t size_;
  void* mapped_;
  std::span<std::uint8_t> bytes_;
};

// `lookup(hashes, n)` for batches out of random keys; the batches do not depend on each other, as
// in the pipeline.
template <class Lookup>
double cycles_per_key(const std::vector<Hash128>& asked, unsigned batch, const Lookup& lookup) {
  const std::size_t batches = asked.size() / batch;
  const std::uint64_t start = perf::tsc_begin();
  for (std::size_t i = 0; i < batches; ++i)
    lookup(asked.data() + i * batch, batch);
  const std::uint64_t end = perf::tsc_end();
  return static_cast<double>(end - start) / static_cast<double>(batches * batch);
}

template <class Lookup>
void measure(const Options& options, perf::Measurement result, const std::vector<Hash128>& asked,
             unsigned batch, const Lookup& lookup) {
  cycles_per_key(asked, batch, lookup);  // warms up
  for (int run = 0; run < options.runs; ++run)
    result.add(cycles_per_key(asked, batch, lookup));
  result.print();
}

std::vector<Hash128> questions(const Options& options, std::uint64_t keys, std::uint64_t first) {
  const IdHasher hasher = IdHasher::create(kKey);
  std::mt19937_64 random(7);
  std::vector<Hash128> asked(options.lookups);
  for (Hash128& hash : asked)
    hash = hasher(id_of(first + random() % keys));
  return asked;
}

void measure_lookups(const Options& options, std::uint64_t keys,
                     std::span<const std::uint8_t> file) {
  const auto hits = questions(options, keys, 0);
  const auto misses = questions(options, keys, keys);
  for (const bool huge : {true, false}) {
    const Pages pages(file, huge);
    const auto view = index::BaseSegmentView::validate(pages.bytes());
    if (!view) throw std::runtime_error(std::string(view.error().what));
    for (const unsigned batch : options.batches) {
      for (const bool hit : {true, false}) {
        perf::Measurement result("index_base_cycles_per_lookup", "cycles");
        result.param("keys", keys).param("batch", batch).param("huge_pages", huge);
        result.param("hit", hit);
        std::uint64_t actions[index::kMaxPhfBurst];
        measure(options, std::move(result), hit ? hits : misses, batch,
                [&](const Hash128* hashes, unsigned n) {
                  // One by one means what it says: without the passes of a burst.
                  if (n == 1) {
                    actions[0] = view->find(*hashes);
                  } else {
                    view->find_burst(hashes, n, actions);
                  }
                  perf::keep(&actions);
                });
      }
    }
  }
}

// The whole way of a base: routes added, parts built, file written, checksums taken.
void measure_base(const Options& options, std::uint64_t keys) {
  const std::string path = fmt::format("{}/phf_bench-{}.base", options.directory, ::getpid());
  const auto fs = make_posix_fs();
  perf::Measurement build("index_base_build_ns_per_key", "ns");
  perf::Measurement bytes("index_base_bytes_per_key", "bytes");
  build.param("keys", keys).param("threads", 1);
  bytes.param("keys", keys);
  // A build takes seconds: fewer runs of the largest.
  const int runs = keys > 20'000'000 ? std::min(options.runs, 3) : options.runs;
  for (int run = 0; run < runs; ++run) {
    const std::uint64_t start = perf::monotonic_ns();
    BaseBuilder builder({.key = kKey});
    for (std::uint64_t i = 0; i < keys; ++i) {
      if (!builder.add(id_of(i), Action(ActionKind::kUnreachable, 0, 1, 2, 0)))
        throw std::runtime_error("a route is refused");
    }
    Pace pace;
    const auto info = builder.finish(*fs, path, pace);
    const std::uint64_t end = perf::monotonic_ns();
    if (!info) throw std::runtime_error(info.error().message());
    build.add(static_cast<double>(end - start) / static_cast<double>(keys));
    bytes.add(static_cast<double>(info->bytes) / static_cast<double>(keys));
  }
  build.print();
  bytes.print();
  const auto file = BaseFile::open(*fs, path);
  std::filesystem::remove(path);
  if (!file) throw std::runtime_error(file.error().message());
  measure_lookups(options, keys, file->mapping->bytes());
}

struct Parts {
  std::vector<std::vector<Hash128>> keys;
  std::size_t largest = 0;
};

Parts split(std::uint64_t keys) {
  const IdHasher hasher = IdHasher::create(kKey);
  const std::uint32_t parts = phf_parts(keys);
  const index::PhfView by({.parts = parts, .buckets = 1, .slots = 1}, nullptr, nullptr);
  Parts out;
  out.keys.resize(parts);
  for (std::uint64_t i = 0; i < keys; ++i) {
    const Hash128 hash = hasher(id_of(i));
    out.keys[by.part(hash)].push_back(hash);
  }
  for (const auto& part : out.keys)
    out.largest = std::max(out.largest, part.size());
  return out;
}

// The function alone, from hashes in memory.
void measure_function(const Options& options, std::uint64_t keys, const Parts& parts) {
  const auto count = static_cast<std::uint32_t>(parts.keys.size());
  const index::PhfGeometry geometry = phf_geometry(keys, count, parts.largest).value();
  std::vector<std::uint8_t> pilots(geometry.buckets);
  perf::Measurement build("index_function_build_ns_per_key", "ns");
  build.param("keys", keys).param("threads", 1);
  perf::Measurement bits("index_function_bits_per_key", "bits");
  bits.param("keys", keys);
  bits.add(8 * static_cast<double>(geometry.pilot_count()) / static_cast<double>(keys));
  for (int run = 0; run < options.runs; ++run) {
    const std::uint64_t start = perf::monotonic_ns();
    PhfPartBuilder builder(geometry);
    for (const auto& part : parts.keys)
      if (!builder.build(part, pilots)) throw std::runtime_error("no function for the keys");
    build.add(static_cast<double>(perf::monotonic_ns() - start) / static_cast<double>(keys));
  }
  build.print();
  bits.print();
}

void measure_filter(const Options& options, std::uint64_t keys, const Parts& parts) {
  constexpr unsigned kBits = 12;
  const std::uint32_t blocks = BlockFilter::blocks_for(keys, kBits);
  std::vector<std::uint8_t> bytes(blocks * BlockFilter::kBlockBytes);
  perf::Measurement build("index_filter_build_ns_per_key", "ns");
  build.param("keys", keys).param("threads", 1);
  for (int run = 0; run < options.runs; ++run) {
    const std::uint64_t start = perf::monotonic_ns();
    for (const auto& part : parts.keys) {
      for (const Hash128& hash : part)
        BlockFilter::add(reinterpret_cast<BlockFilter::Word*>(bytes.data()), blocks, hash);
    }
    build.add(static_cast<double>(perf::monotonic_ns() - start) / static_cast<double>(keys));
  }
  build.print();
  perf::Measurement size("index_filter_bytes_per_key", "bytes");
  size.param("keys", keys);
  size.add(static_cast<double>(bytes.size()) / static_cast<double>(keys));
  size.print();

  const auto misses = questions(options, keys, keys);
  const Pages pages(bytes, true);
  const BlockFilter filter(reinterpret_cast<const BlockFilter::Word*>(pages.bytes().data()),
                           blocks);
  for (const unsigned batch : options.batches) {
    perf::Measurement result("index_filter_cycles_per_miss", "cycles");
    result.param("keys", keys).param("batch", batch).param("huge_pages", true);
    std::uint64_t passed = 0;
    measure(options, std::move(result), misses, batch, [&](const Hash128* hashes, unsigned n) {
      for (unsigned i = 0; i < n; ++i)
        filter.prefetch(hashes[i]);
      for (unsigned i = 0; i < n; ++i)
        passed += filter.passes(hashes[i]);
      perf::keep(passed);
    });
  }
}

// 0 measured, 1 failed.
int run(const Options& options) {
  const int cpu = perf::pin_to_last_cpu();
  if (cpu < 0) {
    perf::progress("phf_bench: cannot pin to a CPU");
    return 1;
  }
  perf::progress("phf_bench: CPU {}, TSC {:.0f} MHz, {} runs", cpu, perf::tsc_hz() / 1e6,
                 options.runs);
  for (const std::uint64_t keys : options.keys) {
    measure_base(options, keys);
    const Parts parts = split(keys);
    measure_function(options, keys, parts);
    measure_filter(options, keys, parts);
  }
  return 0;
}

// 0 measured, 1 failed, 2 wrong usage.
int parse_and_run(int argc, char** argv) {
  Options options;
  bool smoke = false;
  CLI::App app("What base segments, their function and filters cost", "phf_bench");
  app.add_option("--keys", options.keys, "sizes")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{200'000'000}))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--batch", options.batches, "look-ups at once, 1 to 64; 1: one by one")
      ->check(CLI::Range(1U, index::kMaxPhfBurst))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--directory", options.directory, "where the base file is written and removed")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  app.add_option("--runs", options.runs, "timed runs per figure")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--smoke", smoke, "very short, to see that it works; figures mean nothing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (smoke) {
    options.runs = perf::kSmokeRuns;
    options.keys = {20'000};
    options.lookups = 1U << 12;
  }
  return run(options);
}

}  // namespace
}  // namespace sluice::controlplane::store

int main(int argc, char** argv) {
  try {
    return sluice::controlplane::store::parse_and_run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "phf_bench: %s\n", error.what());
    return 1;
  }
}
