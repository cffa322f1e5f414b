// Entries and segment files for tests: makes, writes and opens them, and fails the test that asked
// when that does not work. One thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "controlplane/store/compaction/merge.hpp"
#include "controlplane/store/segment/hash_order.hpp"
#include "controlplane/store/segment/segment.hpp"
#include "controlplane/store/segment/segment_writer.hpp"
#include "tests/support/fault_fs.hpp"

namespace sluice::controlplane::store {

// An Entry that owns its bytes.
struct Owned {
  Hash128 hash;
  std::uint64_t sequence = 0;
  std::uint8_t table = 1;
  std::uint16_t tenant = 0;
  Op op = Op::kPut;
  std::vector<std::uint8_t> key;
  std::uint64_t number = 0;
  std::vector<std::uint8_t> value;

  Entry entry() const {
    return {.hash = hash,
            .sequence = sequence,
            .table = table,
            .tenant = tenant,
            .op = op,
            .key = key,
            .inline_value = number,
            .value = value};
  }
  static Owned of(const Entry& e) {
    return {e.hash,         e.sequence,
            e.table,        e.tenant,
            e.op,           {e.key.begin(), e.key.end()},
            e.inline_value, {e.value.begin(), e.value.end()}};
  }
  friend bool operator==(const Owned&, const Owned&) = default;
};

inline void PrintTo(const Owned& e, std::ostream* out) {
  *out << "{" << e.hash.lo << " seq " << e.sequence << " op " << int{std::to_underlying(e.op)}
       << " number " << e.number << " value of " << e.value.size() << "}";
}

inline void sort(std::vector<Owned>& entries) {
  std::ranges::sort(entries,
                    [](const Owned& a, const Owned& b) { return order(a.entry(), b.entry()) < 0; });
}

inline std::vector<std::uint8_t> random_bytes_of(std::mt19937_64& random, std::size_t n) {
  std::vector<std::uint8_t> bytes(n);
  for (auto& byte : bytes)
    byte = static_cast<std::uint8_t>(random());
  return bytes;
}

// One key each, sorted; every tenth is a deletion.
inline std::vector<Owned> random_compact(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Owned> entries(n);
  for (Owned& e : entries) {
    e.hash = {random(), random()};
    e.sequence = random() >> 20;
    e.table = static_cast<std::uint8_t>(random());
    e.tenant = static_cast<std::uint16_t>(random() % 3 == 0 ? random() : 0);
    e.key = random_bytes_of(random, random() % 4 == 0 ? 1 + random() % 60 : 16);
    e.op = random() % 10 == 0 ? Op::kDelete : Op::kPut;
    if (e.op == Op::kPut) e.number = random() % kDeletedValue;
  }
  sort(entries);
  return entries;
}

// Records, and sets with operations newest first.
inline std::vector<Owned> random_exact(std::size_t keys, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Owned> entries;
  for (std::size_t i = 0; i < keys; ++i) {
    Owned e;
    e.hash = {random(), random()};
    e.sequence = random() >> 20;
    e.tenant = static_cast<std::uint16_t>(random() % 3);
    e.key = random_bytes_of(random, random() % 4 == 0 ? 1 + random() % 1024 : 16);
    if (random() % 2 == 0) {
      e.op = random() % 10 == 0 ? Op::kDelete : Op::kPut;
      if (e.op == Op::kPut) e.value = random_bytes_of(random, random() % 200);
      entries.push_back(e);
      continue;
    }
    const std::size_t elements = 1 + random() % 8;
    for (std::size_t n = 0; n < elements; ++n) {
      e.op = random() % 4 == 0 ? Op::kSetRemove : Op::kSetAdd;
      e.value = random_bytes_of(random, 4 + random() % 12);
      entries.push_back(e);
      --e.sequence;
    }
    if (random() % 4 != 0) continue;
    e.op = Op::kDelete;
    e.value.clear();
    entries.push_back(e);
  }
  sort(entries);
  return entries;
}

inline Result<SegmentInfo> write_segment(Fs& fs, const std::string& path,
                                         const std::vector<Owned>& entries,
                                         const SegmentOptions& options) {
  Pace pace;
  auto writer = SegmentWriter::create(fs, path, options, pace);
  if (!writer) return std::unexpected(writer.error());
  for (const Owned& e : entries) {
    if (Status added = (*writer)->add(e.entry()); !added) return std::unexpected(added.error());
  }
  return (*writer)->finish();
}

// All that is left, and how it ended.
inline std::vector<Owned> drain(EntrySource& source, Status* end = nullptr) {
  std::vector<Owned> entries;
  Entry entry;
  for (;;) {
    const Result<bool> more = source.next(entry);
    if (end != nullptr) {
      *end = more ? Status{} : std::unexpected(more.error());
    } else {
      EXPECT_TRUE(more) << more.error().message();
    }
    if (!more || !*more) return entries;
    entries.push_back(Owned::of(entry));
  }
}

// A source over a vector.
class VectorSource final : public EntrySource {
 public:
  explicit VectorSource(std::vector<Owned> entries) : entries_(std::move(entries)) {}
  Result<bool> next(Entry& entry) override {
    if (at_ == entries_.size()) return false;
    entry = entries_[at_++].entry();
    return true;
  }

 private:
  std::vector<Owned> entries_;
  std::size_t at_ = 0;
};

}  // namespace sluice::controlplane::store
