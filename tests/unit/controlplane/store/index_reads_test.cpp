// An index that is read for long gets into the shape that reads are cheapest in, without anyone's
// help. When it is worth it: merge_for_reads_test.cpp.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>

#include "controlplane/store/index.hpp"
#include "tests/support/fault_fs.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::uint8_t kTable = 1;
constexpr std::uint64_t kKeys = 90'000;  // more than reads put up with in overlays

Id id_of(std::uint64_t number) {
  Id id{};
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

class IndexReads : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Index::open(fs_, {.directory = "/store",
                                    .tables = {{.id = kTable, .kind = Kind::kNumber, .name = "n"}},
                                    .lanes = 2,
                                    .fsync = Fsync::kNever,
                                    .overlay_bytes = 32 << 20});
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
  }

  void write(std::uint64_t from, std::uint64_t to) {
    WriteBatch batch;
    for (std::uint64_t i = from; i < to; ++i)
      batch.put(kTable, 0, id_of(i).bytes, i);
    const Status done = index_->write(batch);
    ASSERT_TRUE(done) << done.error().message();
  }

  void read(std::uint64_t lookups, std::uint64_t keys) {
    std::array<Id, kMaxLookup> ids;
    std::array<std::uint64_t, kMaxLookup> values;
    for (std::uint64_t done = 0; done < lookups; done += ids.size()) {
      for (std::size_t i = 0; i < ids.size(); ++i)
        ids[i] = id_of((done + i) % keys);
      const auto found = index_->lookup(kTable, 0, ids.data(), kMaxLookup, values.data());
      ASSERT_TRUE(found) << found.error().message();
      ASSERT_EQ(*found, ~std::uint64_t{0});
      ASSERT_EQ(values[0], done % keys);
    }
  }

  struct Shape {
    std::uint64_t in_overlays = 0;
    std::size_t segments = 0;  // of the tree that has most

    friend bool operator==(const Shape&, const Shape&) = default;
  };
  Shape shape() const {
    Shape shape;
    for (const TreeMetrics& tree : index_->metrics().trees) {
      shape.in_overlays += tree.overlay_entries;
      shape.segments = std::max(shape.segments, tree.segment_entries.size());
    }
    return shape;
  }
  // Reads on until the shape is the one that is waited for, or for long.
  Shape shape_after_reads(std::uint64_t keys, const Shape& wanted) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (shape() != wanted && std::chrono::steady_clock::now() < until)
      read(2 * keys, keys);
    return shape();
  }

  test::FaultFs fs_;
  std::unique_ptr<Index> index_;
};

TEST_F(IndexReads, WhatIsReadForLongBecomesOneSegment) {
  constexpr Shape kOne{.in_overlays = 0, .segments = 1};
  write(0, kKeys);
  EXPECT_EQ(shape_after_reads(kKeys, kOne), kOne);
  // Twice as many keys: they are above the segment, and are merged with it when they were read.
  write(kKeys, 2 * kKeys);
  EXPECT_EQ(shape_after_reads(2 * kKeys, kOne), kOne);
  read(2 * kKeys, 2 * kKeys);
}

}  // namespace
}  // namespace sluice::controlplane::store
