// Look-ups of batches against maps and against look-ups one by one: random trees of several lanes
// with overlays, sealed overlays, segments with and without filters, tombstones at every level;
// segments that are still to be checked, and damaged ones.
#include "controlplane/store/reader.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "tests/unit/controlplane/store/segments.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::uint8_t kTable = 3;
constexpr std::uint16_t kTenant = 7;

Id id_of(std::uint64_t number) {
  Id id;
  std::memset(id.bytes.data(), 0, id.bytes.size());
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

enum class Segments : std::uint8_t { kLoaded, kToCheck, kMixed };

// A version made by hand: one map for each level, newest first, spread over the lanes.
class World {
 public:
  World(std::uint64_t seed, unsigned lanes, unsigned segments, bool bottom, Segments state,
        std::uint32_t format = kNewestSegmentFormat)
      : random_(seed), state_(state) {
    layout_ = std::make_shared<const Layout>(1, HashKey{{5}}, lanes, format);
    version.current.layout = layout_;
    version.current.trees.resize(layout_->trees());
    for (unsigned lane = 0; lane < lanes; ++lane)
      tree(lane) = {.lane = lane, .active = std::make_shared<Overlay>(Form::kCompact, 1 << 20)};
    for (unsigned i = 0; i < segments; ++i)
      add_segments(400U << i, !(bottom && i + 1 == segments));
    add_sealed(150);
    add_sealed(150);
    add_active(300);
  }

  Tree& tree(unsigned lane) {
    return version.current.trees[layout_->tree_of(Form::kCompact, lane)];
  }
  unsigned lane_of(std::uint64_t number) const {
    return layout_->lanes.of(layout_->hasher(kTable, kTenant, id_of(number).bytes));
  }
  // kDeletedValue: not there.
  std::uint64_t expected(std::uint64_t number) const {
    const auto at = newest_.find(number);
    return at == newest_.end() ? kDeletedValue : at->second;
  }

  static constexpr std::uint64_t kKeys = 4000;  // half as many again are never written
  Version version;
  test::FaultFs fs;

  // Opened anew after the file was changed; nothing of it is known to be good.
  void reopen(unsigned lane, std::size_t level) {
    SegmentPtr& segment = tree(lane).segments.at(level);
    auto opened = Segment::open(fs, segment->path());
    ASSERT_TRUE(opened) << opened.error().message();
    segment = std::make_shared<const SegmentHandle>(fs, segment->path(), segment->ref(), *opened);
  }

 private:
  Owned random_entry() {
    Owned entry;
    const std::uint64_t number = random_() % kKeys;
    const Id id = id_of(number);
    entry.key.assign(id.bytes.begin(), id.bytes.end());
    entry.hash = layout_->hasher(kTable, kTenant, entry.key);
    entry.table = kTable;
    entry.tenant = kTenant;
    entry.sequence = ++sequence_;
    entry.op = random_() % 5 == 0 ? Op::kDelete : Op::kPut;
    entry.number = entry.op == Op::kPut ? random_() % kDeletedValue : 0;
    return entry;
  }
  // Of one level, by lane; older levels must have been made before.
  std::vector<std::vector<Owned>> level_of(std::size_t entries) {
    std::map<std::uint64_t, Owned> level;
    for (std::size_t i = 0; i < entries; ++i) {
      Owned entry = random_entry();
      const auto number = load<std::uint64_t>(entry.key.data());
      level.insert_or_assign(number, std::move(entry));
    }
    std::vector<std::vector<Owned>> lanes(layout_->lanes.lanes());
    for (auto& [number, entry] : level) {
      newest_[number] = entry.op == Op::kDelete ? kDeletedValue : entry.number;
      lanes[layout_->lanes.of(entry.hash)].push_back(entry);
    }
    return lanes;
  }
  SegmentPtr handle_of(const std::string& path, const SegmentRef& ref) {
    auto opened = Segment::open(fs, path);
    EXPECT_TRUE(opened);
    const bool load =
        state_ == Segments::kLoaded || (state_ == Segments::kMixed && random_() % 2 == 0);
    if (load) {
      EXPECT_TRUE((*opened)->load_hot());
    }
    EXPECT_EQ((*opened)->ready() != nullptr, load);
    return std::make_shared<const SegmentHandle>(fs, path, ref, *opened);
  }
  void add_segments(std::size_t entries, bool filter) {
    auto level = level_of(entries);
    for (unsigned lane = 0; lane < level.size(); ++lane) {
      sort(level[lane]);
      const std::string path = "segment-" + std::to_string(++files_);
      EXPECT_TRUE(
          write_segment(fs, path, level[lane], {.format = layout_->format, .filter = filter}));
      auto& segments = tree(lane).segments;
      segments.insert(segments.begin(), handle_of(path, {.file = files_}));
    }
  }
  void apply(const std::vector<Owned>& entries, Overlay& overlay) {
    for (const Owned& entry : entries)
      overlay.apply(entry.entry(), layout_->hasher);
  }
  void add_sealed(std::size_t entries) {
    const auto level = level_of(entries);
    for (unsigned lane = 0; lane < level.size(); ++lane) {
      auto overlay = std::make_shared<Overlay>(Form::kCompact, 128 << 10);
      apply(level[lane], *overlay);
      auto& sealed = tree(lane).sealed;
      sealed.insert(sealed.begin(), std::move(overlay));
    }
  }
  void add_active(std::size_t entries) {
    const auto level = level_of(entries);
    for (unsigned lane = 0; lane < level.size(); ++lane) {
      if (lane % 3 != 1) apply(level[lane], *tree(lane).active);
      if (lane % 3 == 1) add_old(level[lane]);  // some lanes have nothing new
    }
  }
  void add_old(const std::vector<Owned>& entries) {
    if (entries.empty()) return;
    auto overlay = std::make_shared<Overlay>(Form::kCompact, 128 << 10);
    apply(entries, *overlay);
    auto& lane = tree(layout_->lanes.of(entries.front().hash));
    lane.sealed.insert(lane.sealed.begin(), std::move(overlay));
  }

  std::mt19937_64 random_;
  const Segments state_;
  std::shared_ptr<const Layout> layout_;
  std::map<std::uint64_t, std::uint64_t> newest_;
  std::uint64_t sequence_ = 0;
  std::uint64_t files_ = 0;
};

struct Batch {
  std::vector<std::uint64_t> numbers;
  std::vector<Id> ids;
  std::array<std::uint64_t, kMaxLookup> values{};

  Batch(std::mt19937_64& random, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      numbers.push_back(random() % (World::kKeys * 3 / 2));
      ids.push_back(id_of(numbers.back()));
    }
  }
};

void expect_right(const World& world, const Batch& batch, std::uint64_t found) {
  for (std::size_t i = 0; i < batch.numbers.size(); ++i) {
    const std::uint64_t wanted = world.expected(batch.numbers[i]);
    ASSERT_EQ((found >> i & 1) != 0, wanted != kDeletedValue) << batch.numbers[i];
    if (wanted != kDeletedValue) {
      ASSERT_EQ(batch.values[i], wanted) << batch.numbers[i];
    }
  }
  if (batch.numbers.size() < kMaxLookup) {
    ASSERT_EQ(found >> batch.numbers.size(), 0U);
  }
}

void compare(World& world, std::uint64_t seed, LookupCounts& counts) {
  std::mt19937_64 random(seed);
  LookupCounts one_counts;
  for (int round = 0; round < 200; ++round) {
    const std::size_t size = round < 64 ? round + 1 : 1 + random() % kMaxLookup;
    Batch batch(random, size);
    Reader reader(nullptr, world.version, counts);
    const auto found = reader.lookup(kTable, kTenant, batch.ids.data(), static_cast<unsigned>(size),
                                     batch.values.data());
    ASSERT_TRUE(found) << found.error().message();
    expect_right(world, batch, *found);
    Reader alone(nullptr, world.version, one_counts);
    for (std::size_t i = 0; i < size; ++i) {
      const auto number = alone.number(kTable, kTenant, batch.ids[i].bytes);
      ASSERT_TRUE(number);
      ASSERT_EQ(number->value_or(kDeletedValue), world.expected(batch.numbers[i]));
    }
  }
  // What is counted does not depend on how it is asked.
  EXPECT_EQ(counts.lookups, one_counts.lookups);
  EXPECT_EQ(counts.hits, one_counts.hits);
  EXPECT_EQ(counts.probes, one_counts.probes);
  EXPECT_EQ(counts.false_positives, one_counts.false_positives);
}

class ReaderOfFormat : public testing::TestWithParam<std::uint32_t> {};

TEST_P(ReaderOfFormat, BatchesAgreeWithMapsAndWithSingleKeys) {
  std::uint64_t false_positives = 0;
  for (const unsigned lanes : {1U, 2U, 5U, 64U}) {
    for (unsigned segments = 0; segments <= 5; ++segments) {  // one more than are possible
      for (const Segments state : {Segments::kLoaded, Segments::kToCheck, Segments::kMixed}) {
        SCOPED_TRACE(testing::Message() << lanes << " lanes, " << segments << " segments, state "
                                        << static_cast<int>(state));
        World world(lanes * 10 + segments, lanes, segments, segments % 2 == 0, state, GetParam());
        LookupCounts counts;
        compare(world, segments, counts);
        if (::testing::Test::HasFatalFailure()) return;
        EXPECT_GT(counts.hits, 50U);
        EXPECT_LT(counts.hits, counts.lookups);
        if (segments >= 2) {
          EXPECT_GT(counts.probes, counts.lookups);
        }
        false_positives += counts.false_positives;
      }
    }
  }
  EXPECT_GT(false_positives, 0U);
}

INSTANTIATE_TEST_SUITE_P(Formats, ReaderOfFormat, testing::Values(2U, 3U));

// The other lanes go on; nothing wrong is given out.
TEST(Reader, ADamagedBlockIsNeverServed) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE(round);
    const bool loaded = round % 2 == 0;
    World world(100 + round, 3, 3, true, loaded ? Segments::kLoaded : Segments::kToCheck);
    const std::size_t level = random() % 3;
    const std::string path = world.tree(1).segments[level]->path();
    const auto header = load<SegmentHeader>(world.fs.contents(path).data());
    const std::uint64_t hot = header.fences_offset - header.records_offset;
    world.fs.flip_bit(path, header.records_offset + random() % hot, random() % 8);
    world.reopen(1, level);
    if (loaded) {
      ASSERT_FALSE(world.tree(1).segments[level]->segment().load_hot());
      world.tree(1).segments[level]->set_damaged();
    }
    unsigned refused = 0;
    for (int i = 0; i < 300; ++i) {
      Batch batch(random, 1 + random() % 8);
      LookupCounts counts;
      Reader reader(nullptr, world.version, counts);
      const auto found =
          reader.lookup(kTable, kTenant, batch.ids.data(), static_cast<unsigned>(batch.ids.size()),
                        batch.values.data());
      if (found) {
        expect_right(world, batch, *found);
        continue;
      }
      ASSERT_EQ(found.error().code(), ErrorCode::kCorrupt);
      ASSERT_TRUE(std::ranges::any_of(
          batch.numbers, [&](std::uint64_t number) { return world.lane_of(number) == 1; }));
      ++refused;
    }
    EXPECT_GT(refused, 0U);
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
