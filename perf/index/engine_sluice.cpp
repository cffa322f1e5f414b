#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "controlplane/store/file/fs.hpp"
#include "perf/index/engine.hpp"

namespace sluice::perf {

namespace store = controlplane::store;

namespace {

constexpr std::uint8_t kTable = 1;

store::Fs& posix_fs() {
  static const std::unique_ptr<store::Fs> fs = store::make_posix_fs();
  return *fs;
}

class Sluice final : public KeyValueEngine {
 public:
  Sluice(const std::string& directory, store::Fsync fsync)
      : index_(open_index(directory, fsync, true)) {}

  std::string_view name() const override { return "sluice"; }

  void write(std::span<const Pair> batch) override {
    batch_.clear();
    for (const Pair& pair : batch)
      batch_.put(kTable, 0, pair.id.bytes, pair.value);
    if (const Status done = index_->write(batch_); !done) give_up(done.error().message());
  }

  bool get(const Id& id, std::uint64_t& value) override {
    const auto found = index_->lookup(kTable, 0, &id, 1, &value);
    if (!found) give_up(found.error().message());
    return *found != 0;
  }

  void settle() override {
    if (const Status done = index_->maintenance().compact({}); !done)
      give_up(done.error().message());
  }

  std::string about() const override {
    const store::IndexMetrics m = index_->metrics();
    return fmt::format(
        "{} flushes, {} merges, {:.2f} bytes read and {:.2f} written by them per byte of log; {} "
        "batches slowed, {} stopped, {} ms waited; longest fsync {} ms",
        m.flushes, m.compactions, per_log_byte(m.compaction_read_bytes, m.writes),
        per_log_byte(m.compaction_written_bytes, m.writes), m.slowed_writes, m.stopped_writes,
        m.stall_ns / 1'000'000, m.fsync_max_ns / 1'000'000);
  }

 private:
  static double per_log_byte(std::uint64_t bytes, std::uint64_t writes) {
    constexpr double kLogBytes = 32.5;  // of a number in a batch of 64
    return static_cast<double>(bytes) / (kLogBytes * static_cast<double>(std::max(1UL, writes)));
  }

  std::unique_ptr<store::Index> index_;
  store::WriteBatch batch_;
};

}  // namespace

void give_up(std::string_view what) {
  fmt::print(stderr, "index_bench: {}\n", what);
  std::exit(1);
}

std::uint64_t directory_bytes(const std::string& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

std::unique_ptr<store::Index> open_index(const std::string& directory, store::Fsync fsync,
                                         bool verify) {
  auto opened = store::Index::open(posix_fs(), {.directory = directory,
                                                .tables = {{kTable, store::Kind::kNumber, "bench"}},
                                                .key = HashKey{{1, 2, 3}},
                                                .fsync = fsync,
                                                .verify_after_open = verify});
  if (!opened) give_up(opened.error().message());
  return *std::move(opened);
}

std::unique_ptr<KeyValueEngine> open_sluice(const std::string& directory, store::Fsync fsync) {
  return std::make_unique<Sluice>(directory, fsync);
}

}  // namespace sluice::perf
