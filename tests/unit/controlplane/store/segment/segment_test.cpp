// Segments: everything written is found and read back in order, in both forms and formats; what is
// out of order is refused; nothing is left of a writer that did not finish.
#include "controlplane/store/segment/segment.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "tests/unit/controlplane/store/segments.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr auto kGoOn = [](std::uint64_t, std::uint64_t) { return true; };

struct Variant {
  Form form;
  std::uint32_t format;
  bool filter;
};

void PrintTo(const Variant& v, std::ostream* out) {
  *out << (v.form == Form::kCompact ? "compact" : "exact") << v.format << (v.filter ? "f" : "");
}

class SegmentTest : public testing::TestWithParam<Variant> {
 protected:
  std::vector<Owned> entries(std::size_t n, std::uint64_t seed) const {
    return GetParam().form == Form::kCompact ? random_compact(n, seed) : random_exact(n, seed);
  }
  std::shared_ptr<const Segment> made(const std::vector<Owned>& entries,
                                      const std::string& name = "s") {
    const auto info = write_segment(fs_, name, entries, options());
    EXPECT_TRUE(info) << info.error().message();
    auto segment = Segment::open(fs_, name);
    EXPECT_TRUE(segment) << segment.error().message();
    return *segment;
  }
  SegmentOptions options() const {
    return {.form = GetParam().form,
            .format = GetParam().format,
            .filter = GetParam().filter,
            .key_check = 77};
  }

  // Every key by look-up.
  void expect_found(const Segment& segment, const std::vector<Owned>& entries) const {
    if (GetParam().form == Form::kCompact) {
      for (const Owned& e : entries) {
        std::uint64_t value = 0;
        std::uint64_t found = 0;
        ASSERT_TRUE(segment.lookup(&e.hash, 1, &value, found));
        ASSERT_EQ(found, 1U);
        ASSERT_EQ(value, e.op == Op::kDelete ? kDeletedValue : e.number);
      }
      return;
    }
    for (std::size_t i = 0; i < entries.size();) {
      Segment::KeyEntries of_key;
      const Hash128 hash = entries[i].hash;
      ASSERT_EQ(segment.find(hash, of_key), Segment::Found::kYes);
      Entry entry;
      for (; i < entries.size() && entries[i].hash == hash; ++i) {
        ASSERT_TRUE(of_key.next(entry));
        ASSERT_EQ(Owned::of(entry), entries[i]);
      }
      ASSERT_FALSE(of_key.next(entry));
      ASSERT_FALSE(of_key.damaged());
    }
  }

  test::FaultFs fs_;
};

TEST_P(SegmentTest, GivesBackWhatWasWritten) {
  for (const std::size_t n : {0U, 1U, 2U, 10U, 1000U}) {
    const auto all = entries(n, n);
    const auto segment = made(all, fmt::format("s{}", n));
    EXPECT_EQ(segment->info().entries, all.size());
    EXPECT_EQ(segment->info().form, GetParam().form);
    EXPECT_EQ(segment->info().format, GetParam().format);
    EXPECT_EQ(segment->info().filter, GetParam().filter);
    EXPECT_EQ(segment->info().key_check, 77U);
    expect_found(*segment, all);
    EXPECT_EQ(drain(*segment->source()), all);
    EXPECT_TRUE(segment->verify(kGoOn));
    EXPECT_TRUE(segment->damage());
    expect_found(*segment, all);  // now without checks
  }
}

TEST_P(SegmentTest, TellsItsSequencesAndCounts) {
  const auto all = entries(500, 3);
  const auto segment = made(all);
  const SegmentInfo& info = segment->info();
  const auto by_sequence = [](const Owned& a, const Owned& b) { return a.sequence < b.sequence; };
  EXPECT_EQ(info.min_sequence, std::ranges::min(all, by_sequence).sequence);
  EXPECT_EQ(info.max_sequence, std::ranges::max(all, by_sequence).sequence);
  EXPECT_EQ(info.bytes, fs_.contents("s").size());
  EXPECT_EQ(info.deletions, static_cast<std::uint64_t>(std::ranges::count_if(all, [](auto& e) {
              return e.op == Op::kDelete || e.op == Op::kSetRemove;
            })));
  std::map<std::uint64_t, int> keys;
  for (const Owned& e : all)
    keys[e.hash.lo] = 1;
  EXPECT_EQ(info.keys, keys.size());
}

TEST_P(SegmentTest, StrangersAreNotFound) {
  const auto segment = made(entries(2000, 4));
  std::mt19937_64 random(5);
  Segment::Counts counts;
  constexpr unsigned kStrangers = 20'000;
  for (unsigned i = 0; i < kStrangers; ++i) {
    const Hash128 hash{random(), random()};
    if (GetParam().form == Form::kCompact) {
      std::uint64_t value = 0;
      std::uint64_t found = 0;
      ASSERT_TRUE(segment->lookup(&hash, 1, &value, found, &counts));
      ASSERT_EQ(found, 0U);
    } else {
      Segment::KeyEntries none;
      ASSERT_EQ(segment->find(hash, none, &counts), Segment::Found::kNo);
    }
  }
  if (!GetParam().filter) return;
  EXPECT_EQ(counts.filtered + counts.false_positives, kStrangers);
  // 1/256, within five standard deviations.
  EXPECT_NEAR(static_cast<double>(counts.false_positives), kStrangers / 256.0,
              5 * std::sqrt(kStrangers / 256.0));
}

TEST_P(SegmentTest, ReadsFromAPlaceInTheMiddle) {
  const auto all = entries(5000, 6);
  const auto segment = made(all);
  ASSERT_GT(fs_.contents("s").size(), 3 * kFenceDistance);
  for (const double share : {0.0, 0.001, 0.3, 0.5, 0.99, 1.0}) {
    const auto from = static_cast<std::uint64_t>(share * 0x1p63) * 2;
    std::vector<Owned> expected;
    for (const Owned& e : all)
      if (e.hash.lo >= from) expected.push_back(e);
    ASSERT_EQ(drain(*segment->source(from)), expected) << share;
  }
  const std::uint64_t exact = all[2500].hash.lo;
  EXPECT_EQ(drain(*segment->source(exact)).front().hash.lo, exact);
  EXPECT_TRUE(drain(*segment->source(~std::uint64_t{0})).empty());
}

TEST_P(SegmentTest, TheSourceOutlivesItsSegment) {
  const auto all = entries(100, 7);
  auto source = made(all)->source();
  EXPECT_EQ(drain(*source), all);
}

TEST_P(SegmentTest, RefusesWhatIsOutOfOrder) {
  Pace pace;
  const auto all = entries(10, 8);
  auto writer = SegmentWriter::create(fs_, "s", options(), pace);
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->add(all[5].entry()));
  const Status refused = (*writer)->add(all[0].entry());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
}

TEST_P(SegmentTest, AnUnfinishedWriterLeavesNothing) {
  {
    Pace pace;
    auto writer = SegmentWriter::create(fs_, "s", options(), pace);
    ASSERT_TRUE(writer);
    for (const Owned& e : entries(100, 9))
      ASSERT_TRUE((*writer)->add(e.entry()));
  }
  EXPECT_TRUE(fs_.all_files().empty());
}

TEST_P(SegmentTest, AFullDiskIsAnErrorAndLeavesNothing) {
  for (const std::uint64_t room : {100U, 5000U, 50'000U}) {
    fs_.set_free_bytes(room);
    const auto info = write_segment(fs_, "s", entries(3000, 10), options());
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code(), ErrorCode::kExhausted);
    EXPECT_TRUE(fs_.all_files().empty());
  }
}

TEST_P(SegmentTest, StopsWhenThePaceSaysSo) {
  const std::atomic<bool> stop{true};
  RateLimiter limiter(0);
  Pace pace(&limiter, &stop);
  auto writer = SegmentWriter::create(fs_, "s", options(), pace);
  ASSERT_TRUE(writer);
  for (const Owned& e : entries(100, 11))
    ASSERT_TRUE((*writer)->add(e.entry()));
  const auto info = (*writer)->finish();
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code(), ErrorCode::kUnavailable);
}

// Readers that check blocks for the first time meet each other and a verification.
TEST_P(SegmentTest, ManyThreadsReadAtOnce) {
  const auto all = entries(3000, 12);
  const auto segment = made(all);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] { expect_found(*segment, all); });
  threads.emplace_back([&] { EXPECT_TRUE(segment->verify(kGoOn)); });
  threads.emplace_back([&] { EXPECT_EQ(drain(*segment->source()).size(), all.size()); });
}

INSTANTIATE_TEST_SUITE_P(
    All, SegmentTest,
    testing::Values(Variant{Form::kCompact, 1, true}, Variant{Form::kCompact, 2, true},
                    Variant{Form::kCompact, 3, true}, Variant{Form::kCompact, 3, false},
                    Variant{Form::kExact, 1, true}, Variant{Form::kExact, 2, true},
                    Variant{Form::kExact, 3, true}, Variant{Form::kExact, 3, false}),
    testing::PrintToStringParamName());

TEST(SegmentBursts, AgreeWithSingles) {
  test::FaultFs fs;
  const auto all = random_compact(2000, 1);
  for (const bool filter : {false, true}) {
    const std::string name = filter ? "f" : "n";
    ASSERT_TRUE(write_segment(fs, name, all, {.filter = filter}));
    const auto segment = *Segment::open(fs, name);
    std::mt19937_64 random(2);
    for (int round = 0; round < 500; ++round) {
      const unsigned n = 1 + random() % 64;
      Hash128 hashes[64];
      std::uint64_t values[64] = {};
      std::uint64_t expected[64] = {};
      std::uint64_t found = 0;
      std::uint64_t expected_found = 0;
      for (unsigned i = 0; i < n; ++i) {
        const Owned& e = all[random() % all.size()];
        const bool stranger = random() % 2 == 0;
        hashes[i] = stranger ? Hash128{random(), random()} : e.hash;
        if (stranger) continue;
        expected_found |= std::uint64_t{1} << i;
        expected[i] = e.op == Op::kDelete ? kDeletedValue : e.number;
      }
      ASSERT_TRUE(segment->lookup(hashes, n, values, found));
      ASSERT_EQ(found, expected_found);
      ASSERT_TRUE(std::ranges::equal(values, expected));
    }
  }
}

TEST(SegmentSize, CompactHotPartKeepsToItsBytes) {
  constexpr std::size_t kKeys = 200'000;
  test::FaultFs fs;
  const auto all = random_compact(kKeys, 3);
  const auto bottom = write_segment(fs, "bottom", all, {.filter = false});
  ASSERT_TRUE(bottom);
  EXPECT_LE(static_cast<double>(bottom->hot_bytes) / kKeys, 12.6);
  const auto upper = write_segment(fs, "upper", all, {.filter = true});
  ASSERT_TRUE(upper);
  EXPECT_LE(static_cast<double>(upper->hot_bytes - bottom->hot_bytes) / kKeys, 1.55);
  // Format 2 is there for this.
  const auto old = write_segment(fs, "old", all, {.format = 1, .filter = false});
  ASSERT_TRUE(old);
  EXPECT_GE(static_cast<double>(old->bytes - bottom->bytes) / kKeys, 6.0);
}

TEST(SegmentWriter, RefusesFormatsItDoesNotKnow) {
  test::FaultFs fs;
  Pace pace;
  for (const std::uint32_t format : {0U, kNewestSegmentFormat + 1}) {
    const auto writer = SegmentWriter::create(fs, "s", {.format = format}, pace);
    ASSERT_FALSE(writer);
    EXPECT_EQ(writer.error().code(), ErrorCode::kInvalidArgument);
  }
  EXPECT_TRUE(fs.all_files().empty());
}

TEST(SegmentWriter, RefusesEntriesThatNoSegmentMayHave) {
  test::FaultFs fs;
  Pace pace;
  auto compact = *SegmentWriter::create(fs, "c", {.form = Form::kCompact}, pace);
  auto exact = *SegmentWriter::create(fs, "e", {.form = Form::kExact}, pace);
  const std::vector<std::uint8_t> key(16);
  const std::vector<std::uint8_t> long_key(kMaxKeyBytes + 1);
  const std::vector<std::uint8_t> long_element(kMaxElementBytes + 1);
  EXPECT_FALSE(compact->add({.op = Op::kPut, .key = {}}));
  EXPECT_FALSE(compact->add({.op = Op::kPut, .key = long_key}));
  EXPECT_FALSE(compact->add({.op = Op::kPut, .key = key, .inline_value = kDeletedValue}));
  EXPECT_FALSE(compact->add({.op = Op::kSetAdd, .key = key, .value = key}));
  EXPECT_FALSE(exact->add({.op = Op::kSetAdd, .key = key}));
  EXPECT_FALSE(exact->add({.op = Op::kSetAdd, .key = key, .value = long_element}));
  EXPECT_FALSE(exact->add({.op = Op::kDelete, .key = key, .value = key}));
  EXPECT_TRUE(exact->add({.sequence = 5, .op = Op::kSetAdd, .key = key, .value = key}));
  EXPECT_FALSE(exact->add({.sequence = 4, .op = Op::kPut, .key = key, .value = key}));
  EXPECT_FALSE(exact->add({.sequence = 5, .op = Op::kSetRemove, .key = key, .value = key}));
  EXPECT_TRUE(exact->add({.sequence = 4, .op = Op::kDelete, .key = key}));
  EXPECT_FALSE(exact->add({.sequence = 3, .op = Op::kSetAdd, .key = key, .value = key}));
}

}  // namespace
}  // namespace sluice::controlplane::store
