// What reads see of batches that are written meanwhile: snapshots whole batches, other reads each
// key and each element of a set as it was during the read.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <set>
#include <thread>

#include "controlplane/store/index.hpp"
#include "tests/support/fault_fs.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::uint8_t kNumbers = 1;
constexpr std::uint8_t kSets = 2;
constexpr std::uint64_t kKeys = 100;  // of each kind
constexpr std::uint64_t kWindow = 3;  // elements of a set

using Number = std::array<std::uint8_t, 8>;

Number bytes_of(std::uint64_t number) {
  Number bytes;
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}
std::uint64_t number_of(Bytes bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

// After batch n every number is n and every set is n-2, n-1, n.
class IndexBatch : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Index::open(
        fs_, {.directory = "/store",
              .tables = {{kNumbers, Kind::kNumber, "numbers"}, {kSets, Kind::kSet, "sets"}},
              .lanes = 3,
              .fsync = Fsync::kNever,
              .overlay_bytes = 1 << 19});  // often full amid a batch
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
    for (int i = 0; i < 5; ++i)
      write_next();
  }

  void write_next() {
    const std::uint64_t n = begun_ + 1;
    WriteBatch batch;
    for (std::uint64_t key = 0; key < kKeys; ++key) {
      batch.put(kNumbers, 0, bytes_of(key), n);
      batch.set_add(kSets, 0, bytes_of(key), bytes_of(n));
      if (n > kWindow) batch.set_remove(kSets, 0, bytes_of(key), bytes_of(n - kWindow));
    }
    begun_ = n;
    EXPECT_TRUE(index_->write(batch));
    written_ = n;
  }
  std::jthread writer() {
    return std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested())
        write_next();
    });
  }

  test::FaultFs fs_;
  std::unique_ptr<Index> index_;
  std::atomic<std::uint64_t> begun_ = 0;
  std::atomic<std::uint64_t> written_ = 0;
};

TEST_F(IndexBatch, ASnapshotHasWholeBatches) {
  const std::jthread writing = writer();
  const std::uint64_t last = written_ + 1000;
  while (written_ < last) {
    const Snapshot snapshot = index_->snapshot();
    std::set<std::uint64_t> numbers;
    std::set<std::uint64_t> elements;
    std::uint64_t items = 0;
    for (const std::uint8_t table : {kNumbers, kSets}) {
      auto cursor = snapshot.cursor(table);
      ASSERT_TRUE(cursor) << cursor.error().message();
      Item item;
      for (;; ++items) {
        const auto more = cursor->next(item);
        ASSERT_TRUE(more) << more.error().message();
        if (!*more) break;
        if (table == kNumbers) numbers.insert(item.number);
        if (table == kSets) elements.insert(number_of(item.value));
      }
    }
    ASSERT_EQ(numbers.size(), 1U);
    const std::uint64_t n = *numbers.begin();
    ASSERT_EQ(elements, (std::set<std::uint64_t>{n - 2, n - 1, n}));
    ASSERT_EQ(items, kKeys * (1 + kWindow));
  }
}

TEST_F(IndexBatch, OtherReadsSeeEveryElementAsItWasDuringTheRead) {
  const std::jthread writing = writer();
  const std::uint64_t last = written_ + 1000;
  for (std::uint64_t key = 0; written_ < last; ++key) {
    const std::uint64_t from = written_;
    const auto members = index_->members(kSets, 0, bytes_of(key % kKeys));
    const std::uint64_t to = begun_;
    ASSERT_TRUE(members) << members.error().message();
    std::set<std::uint64_t> seen;
    for (const auto& element : *members)
      seen.insert(number_of(element));
    for (const std::uint64_t element : seen) {
      ASSERT_GT(element + kWindow, from) << "it was removed before";
      ASSERT_LE(element, to) << "it is not written yet";
    }
    for (std::uint64_t element = to - kWindow + 1; element <= from; ++element)
      ASSERT_TRUE(seen.contains(element)) << "it was there all the time";
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
