// Base segments: what is added is found, what is not is not, every flipped bit and every cut is
// noticed, and the rate of false accepts is that of the fingerprint's width.
#include "controlplane/store/segment/base_builder.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <random>

#include "controlplane/store/segment/base_file.hpp"
#include "controlplane/store/segment/phf_builder.hpp"
#include "tests/support/fault_fs.hpp"

namespace sluice::controlplane::store {
namespace {

using index::BaseDestination;
using index::BaseFault;
using index::BaseSegmentView;

const HashKey kKey{{1, 2, 3}};

Id id_of(std::uint64_t n) {
  Id id{};
  sluice::store(id.bytes.data(), n * 0x9e3779b97f4a7c15U);
  sluice::store(id.bytes.data() + 8, n);
  return id;
}

BaseDestination destination(std::uint16_t port, std::uint8_t host) {
  BaseDestination out{.port = port, .vlan = 7, .family = 6, .zero = {}, .address = {}};
  out.address[15] = host;
  return out;
}

Action action_of(std::uint64_t n) {
  if (n % 10 == 0) return Action(ActionKind::kUnreachable, 0, 0, 3, 9);
  return Action(ActionKind::kAdjacency, n % 4, static_cast<std::uint16_t>(n), 5, 77);
}

class BaseBuilderTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fs_.make_dir("d")); }

  static BaseBuilder filled(std::uint64_t n, unsigned threads = 1) {
    BaseBuilder builder({.key = kKey, .id = {9, 8, 7}, .created_unix_s = 5, .threads = threads});
    for (std::uint8_t host = 0; host < 4; ++host)
      EXPECT_EQ(builder.position(destination(1, host)).value(), host);
    for (std::uint64_t i = 0; i < n; ++i)
      EXPECT_TRUE(builder.add(id_of(i), action_of(i)));
    return builder;
  }

  std::vector<std::uint8_t> written(std::uint64_t n) {
    Pace pace;
    const auto info = filled(n).finish(fs_, "d/base", pace);
    EXPECT_TRUE(info) << info.error().message();
    return fs_.contents("d/base");
  }

  test::FaultFs fs_;
};

TEST_F(BaseBuilderTest, FindsWhatWasAdded) {
  for (const std::uint64_t n : {0U, 1U, 2U, 100U, 5000U}) {
    const auto bytes = written(n);
    const auto view = BaseSegmentView::validate(bytes);
    ASSERT_TRUE(view) << view.error().what;
    EXPECT_EQ(view->entries(), n);
    EXPECT_EQ(view->header().id[0], 9);
    EXPECT_EQ(view->header().created_unix_s, 5U);
    EXPECT_TRUE(view->check_all()) << view->check_all().error().what;
    const IdHasher hasher = IdHasher::create(kKey);
    EXPECT_EQ(view->header().key_check, index::base_key_check(hasher));
    for (std::uint64_t i = 0; i < n; ++i)
      ASSERT_EQ(view->find(hasher(id_of(i))), action_of(i).bits() & index::kValueMask) << i;
    for (std::uint64_t i = n; i < n + 1000; ++i)
      ASSERT_EQ(view->find(hasher(id_of(i))), 0U) << i;
    ASSERT_EQ(view->dictionary_size(), 4U);
    EXPECT_EQ(view->destination(2), destination(1, 2));
    ASSERT_TRUE(fs_.remove("d/base"));
  }
}

TEST_F(BaseBuilderTest, BurstsFindTheSame) {
  const auto bytes = written(1000);
  const auto view = BaseSegmentView::validate(bytes);
  ASSERT_TRUE(view);
  const IdHasher hasher = IdHasher::create(kKey);
  for (unsigned n = 1; n <= index::kMaxPhfBurst; ++n) {
    Hash128 hashes[index::kMaxPhfBurst];
    std::uint64_t actions[index::kMaxPhfBurst];
    for (unsigned i = 0; i < n; ++i)
      hashes[i] = hasher(id_of(i * 31));
    view->find_burst(hashes, n, actions);
    for (unsigned i = 0; i < n; ++i)
      ASSERT_EQ(actions[i], view->find(hashes[i]));
  }
}

TEST_F(BaseBuilderTest, ThreadsMakeTheSameFile) {
  Pace pace;
  ASSERT_TRUE(filled(400'000, 1).finish(fs_, "d/one", pace));
  ASSERT_TRUE(filled(400'000, 4).finish(fs_, "d/four", pace));
  const auto bytes = fs_.contents("d/one");
  EXPECT_EQ(bytes, fs_.contents("d/four"));
  const auto view = BaseSegmentView::validate(bytes);
  ASSERT_TRUE(view);
  EXPECT_GT(view->header().parts, 1U);
  EXPECT_LE(static_cast<double>(bytes.size()) / 400'000, 12.6);
  EXPECT_TRUE(view->check_all());
}

TEST_F(BaseBuilderTest, EveryFlippedBitIsNoticed) {
  const auto good = written(300);
  const auto header = BaseSegmentView::validate(good)->header();
  const auto noticed = [&](std::uint64_t offset, unsigned bit) {
    auto bytes = good;
    bytes[offset] ^= static_cast<std::uint8_t>(1U << bit);
    const auto view = BaseSegmentView::validate(bytes);
    return !view || !view->check_all();
  };
  for (std::uint64_t offset = 0; offset < sizeof(index::BaseHeader); ++offset)
    for (unsigned bit = 0; bit < 8; ++bit)
      ASSERT_TRUE(noticed(offset, bit)) << offset << "." << bit;
  // All sections and the space between them.
  for (std::uint64_t offset = sizeof(index::BaseHeader); offset < good.size(); offset += 37)
    ASSERT_TRUE(noticed(offset, offset % 8)) << offset;
  for (const std::uint64_t offset :
       {header.seeds_offset, header.pilots_offset, header.records_offset, header.dictionary_offset,
        header.checksums_offset, header.total_bytes - 1}) {
    ASSERT_TRUE(noticed(offset, 0)) << offset;
  }
}

TEST_F(BaseBuilderTest, DamageIsNamedByTheFileOnDisk) {
  Pace pace;
  ASSERT_TRUE(filled(300).finish(fs_, "d/base", pace));
  const std::uint64_t at =
      BaseSegmentView::validate(fs_.contents("d/base"))->header().pilots_offset;
  fs_.flip_bit("d/base", at, 3);
  const auto file = BaseFile::open(fs_, "d/base");  // looks at the header only
  ASSERT_TRUE(file);
  const Status checked = file->verify([](std::uint64_t, std::uint64_t) { return true; });
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(checked.error().message(), "d/base: offset 4096: the checksum of a block is wrong");
  fs_.flip_bit("d/base", 40, 0);
  const auto refused = BaseFile::open(fs_, "d/base");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "d/base: offset 252: the header's checksum is wrong");
}

TEST_F(BaseBuilderTest, EveryCutIsNoticed) {
  const auto good = written(50);
  for (std::size_t size = 0; size < good.size(); size += size < 300 ? 1 : 61) {
    const auto view = BaseSegmentView::validate(std::span(good).first(size));
    ASSERT_FALSE(view) << size;
    EXPECT_EQ(view.error().kind,
              size < 8 ? BaseFault::Kind::kForeign : BaseFault::Kind::kTruncated);
  }
  auto longer = good;
  longer.push_back(0);
  EXPECT_FALSE(BaseSegmentView::validate(longer));
}

TEST_F(BaseBuilderTest, OtherFilesAndVersionsAreForeign) {
  auto bytes = written(5);
  bytes[8] = 2;
  ASSERT_FALSE(BaseSegmentView::validate(bytes));
  EXPECT_EQ(BaseSegmentView::validate(bytes).error().kind, BaseFault::Kind::kForeign);
  bytes[0] = 'X';
  EXPECT_EQ(BaseSegmentView::validate(bytes).error().kind, BaseFault::Kind::kForeign);
}

TEST_F(BaseBuilderTest, RecordsThatNoBaseMayHaveAreFound) {
  auto bytes = written(100);
  const auto view = BaseSegmentView::validate(bytes);
  ASSERT_TRUE(view);
  for (const Action bad :
       {Action(ActionKind::kAdjacency, 4, 0, 0, 0), Action(ActionKind::kGroup, 0, 0, 0, 0),
        Action(ActionKind::kUnreachable, 1, 0, 0, 0), Action(ActionKind::kDeleted, 0, 0, 0, 0)}) {
    auto damaged = bytes;
    const std::uint64_t at = view->header().records_offset + 17 * index::Record::kBytes;
    index::Record::put(damaged.data() + at, Hash128{}, bad.bits());
    const auto other = BaseSegmentView::validate(damaged);
    ASSERT_TRUE(other);
    const auto checked = other->check_records(0, other->slot_count());
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().offset, at);
  }
}

TEST_F(BaseBuilderTest, RefusesWhatABaseCannotHold) {
  BaseBuilder builder({.key = kKey});
  EXPECT_FALSE(builder.add(id_of(1), Action()));
  EXPECT_FALSE(builder.add(id_of(1), Action(ActionKind::kGroup, 1, 0, 0, 0)));
  EXPECT_FALSE(builder.add(id_of(1), Action(ActionKind::kDeleted, 0, 0, 0, 0)));
  EXPECT_FALSE(builder.add(id_of(1), Action(ActionKind::kAdjacency, 0, 0, 0, 0)));  // no position
  EXPECT_EQ(builder.entries(), 0U);
}

TEST_F(BaseBuilderTest, AnIdAddedTwiceIsAnErrorAndLeavesNothing) {
  BaseBuilder builder = filled(1000);
  ASSERT_TRUE(builder.add(id_of(500), action_of(1)));
  Pace pace;
  const auto info = builder.finish(fs_, "d/base", pace);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_TRUE(fs_.all_files().empty());
}

TEST_F(BaseBuilderTest, StopsWhenThePaceSaysSo) {
  const std::atomic<bool> stop{true};
  RateLimiter limiter(0);
  Pace pace(&limiter, &stop);
  const auto info = filled(1000).finish(fs_, "d/base", pace);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(fs_.all_files().empty());
}

TEST_F(BaseBuilderTest, AFullDiskLeavesTheOldFile) {
  const auto old = written(10);
  fs_.set_free_bytes(10'000);
  Pace pace;
  const auto info = filled(5000).finish(fs_, "d/base", pace);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(fs_.contents("d/base"), old);
  EXPECT_EQ(fs_.all_files().size(), 1U);
}

TEST_F(BaseBuilderTest, ACrashAtAnyMomentLeavesTheOldFileOrTheNew) {
  const auto old = written(10);
  ASSERT_TRUE(fs_.sync_dir("/"));
  for (std::uint64_t n = 1;; ++n) {
    fs_.crash_at(n);
    Pace pace;
    const auto info = filled(200).finish(fs_, "d/base", pace);
    fs_.restart(test::Loss::kRandom, n);
    const auto file = BaseFile::open(fs_, "d/base");
    ASSERT_TRUE(file) << n << ": " << file.error().message();
    ASSERT_TRUE(file->verify([](std::uint64_t, std::uint64_t) { return true; })) << n;
    if (info) {
      EXPECT_EQ(file->view.entries(), 200U);
      break;
    }
  }
}

// The share of strangers that are taken for one of the set must be 2^-bits: measured where it can
// be, on short fingerprints, with the same codec, function and load as the product's 40 bits.
template <unsigned kBits>
double false_accepts(unsigned strangers) {
  using Codec = index::RecordCodec<kBits>;
  std::mt19937_64 random(kBits);
  std::vector<Hash128> keys(20'000);
  for (Hash128& key : keys)
    key = {random(), random()};
  const index::PhfGeometry g = *phf_geometry(keys.size(), 1, keys.size());
  std::vector<std::uint8_t> pilots(g.buckets);
  const std::uint8_t seed = PhfPartBuilder(g).build(keys, pilots).value();
  const index::PhfView view(g, &seed, pilots.data());
  std::vector<std::uint8_t> records(g.slot_count() * Codec::kBytes);
  for (const Hash128& key : keys)
    Codec::put(&records[view.slot(key) * Codec::kBytes], key, 1);
  for (const Hash128& key : keys)
    EXPECT_TRUE(Codec::matches(&records[view.slot(key) * Codec::kBytes], key));
  unsigned accepted = 0;
  for (unsigned i = 0; i < strangers; ++i) {
    const Hash128 key{random(), random()};
    const std::uint8_t* record = &records[view.slot(key) * Codec::kBytes];
    accepted += Codec::matches(record, key) && Codec::value(record) != 0;
  }
  return accepted / (strangers * 0.98);  // 2 % of the slots are empty and accept nobody
}

TEST(Fingerprint, StrangersAreAcceptedAsOftenAsTheWidthSays) {
  constexpr unsigned kStrangers = 2'000'000;
  const auto expect_rate = [](double rate, unsigned bits) {
    const double expected = std::ldexp(1.0, -static_cast<int>(bits));
    // Five standard deviations.
    EXPECT_NEAR(rate, expected, 5 * std::sqrt(expected / kStrangers)) << bits;
  };
  expect_rate(false_accepts<4>(kStrangers), 4);
  expect_rate(false_accepts<8>(kStrangers), 8);
  expect_rate(false_accepts<12>(kStrangers), 12);
  expect_rate(false_accepts<16>(kStrangers), 16);
}

}  // namespace
}  // namespace sluice::controlplane::store
