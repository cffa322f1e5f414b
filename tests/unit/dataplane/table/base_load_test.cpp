// Taking a segment out of a file: everything that can be wrong with it, and memory.
#include "dataplane/table/base_load.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <vector>

#include "dataplane/table/base_table.hpp"
#include "tests/support/base_file.hpp"
#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using link::BaseRefusal;
using testing::BaseFile;
using testing::BaseRoute;
using testing::id_of;

constexpr HashKey kKey{{9, 8, 7}};
constexpr std::uint32_t kHosts = 5;

Action action_of(std::uint64_t number) {
  return {ActionKind::kAdjacency, static_cast<std::uint32_t>(number % kHosts),
          static_cast<std::uint16_t>(7000 + number % 1000), static_cast<std::uint16_t>(number % 7),
          0};
}

BaseFile file_of(std::uint64_t routes) {
  std::vector<BaseRoute> all;
  for (std::uint64_t i = 0; i < routes; ++i)
    all.push_back({id_of(i), action_of(i)});
  return BaseFile(kKey, all, kHosts, 1);
}

std::expected<LoadedBase, BaseLoadFailure> load_from(const BaseFile& file,
                                                     const link::SegmentId& expected) {
  const std::atomic<bool> cancel{false};
  const int descriptor = file.open();
  auto loaded = load_base(descriptor, expected, -1, cancel);
  ::close(descriptor);
  return loaded;
}
std::expected<LoadedBase, BaseLoadFailure> load_from(const BaseFile& file) {
  return load_from(file, file.id());
}

TEST(BaseLoad, SoundFilesOfAnySizeAreTaken) {
  for (const std::uint64_t routes : {0, 1, 2, 100, 20'000}) {
    const BaseFile file = file_of(routes);
    const auto loaded = load_from(file);
    ASSERT_TRUE(loaded) << routes << ": " << loaded.error().what;
    EXPECT_EQ(loaded->view.entries(), routes);
    EXPECT_EQ(loaded->id(), file.id());
    EXPECT_TRUE(loaded->matches_key(IdHasher::create(kKey)));
    EXPECT_FALSE(loaded->matches_key(IdHasher::create(HashKey{{9, 8, 6}})));
    const IdHasher hasher = IdHasher::create(kKey);
    for (std::uint64_t i = 0; i < routes; ++i)
      ASSERT_EQ(loaded->view.find(hasher(id_of(i))), action_of(i).bits()) << i;
    for (std::uint64_t i = routes; i < routes + 5000; ++i)
      ASSERT_EQ(loaded->view.find(hasher(id_of(i))), 0U) << i;
  }
}

struct Spoil {
  const char* what;
  std::function<void(BaseFile&)> change;
  BaseRefusal reason;
};

TEST(BaseLoad, WrongFilesAreRefusedWithTheReason) {
  const BaseFile good = file_of(1000);
  const auto record = [](BaseFile& file, std::uint64_t action) {
    const IdHasher hasher = IdHasher::create(kKey);
    const auto view = *index::BaseSegmentView::validate(file.bytes);
    const Hash128 hash = hasher(id_of(3));
    index::Record::put(const_cast<std::uint8_t*>(view.record(view.function().slot(hash))), hash,
                       action);
    file.seal();
  };
  const std::vector<Spoil> rows = {
      {"empty", [](BaseFile& f) { f.bytes.clear(); }, BaseRefusal::kForeign},
      {"header cut", [](BaseFile& f) { f.bytes.resize(1000); }, BaseRefusal::kTruncated},
      {"cut by a byte", [](BaseFile& f) { f.bytes.pop_back(); }, BaseRefusal::kTruncated},
      {"cut in the records", [](BaseFile& f) { f.bytes.resize(f.header().records_offset + 100); },
       BaseRefusal::kTruncated},
      {"longer", [](BaseFile& f) { f.bytes.push_back(0); }, BaseRefusal::kDamaged},
      {"magic", [](BaseFile& f) { f.bytes[0] ^= 1; }, BaseRefusal::kForeign},
      {"version",
       [](BaseFile& f) {
         auto header = f.header();
         header.version = 2;
         f.set_header(header);
         f.seal();
       },
       BaseRefusal::kForeign},
      {"header bit", [](BaseFile& f) { f.bytes[300] ^= 4; }, BaseRefusal::kDamaged},
      {"pilot bit", [](BaseFile& f) { f.bytes[f.header().pilots_offset] ^= 4; },
       BaseRefusal::kDamaged},
      {"record bit", [](BaseFile& f) { f.bytes[f.header().records_offset + 9] ^= 1; },
       BaseRefusal::kDamaged},
      {"checksum bit", [](BaseFile& f) { f.bytes[f.header().checksums_offset] ^= 1; },
       BaseRefusal::kDamaged},
      {"geometry",
       [](BaseFile& f) {
         auto header = f.header();
         header.slots = 0;
         f.set_header(header);
         f.seal();
       },
       BaseRefusal::kDamaged},
      {"offset",
       [](BaseFile& f) {
         auto header = f.header();
         header.records_offset += 4096;
         f.set_header(header);
         f.seal();
       },
       BaseRefusal::kDamaged},
      {"group in a record",
       [&](BaseFile& f) { record(f, Action(ActionKind::kGroup, 0, 0, 0, 0).bits()); },
       BaseRefusal::kDamaged},
      {"deletion mark in a record",
       [&](BaseFile& f) { record(f, Action(ActionKind::kDeleted, 0, 0, 0, 0).bits()); },
       BaseRefusal::kDamaged},
      {"index beyond the dictionary",
       [&](BaseFile& f) { record(f, Action(ActionKind::kAdjacency, kHosts, 1, 0, 0).bits()); },
       BaseRefusal::kDamaged},
      {"one entry less", [&](BaseFile& f) { record(f, 0); }, BaseRefusal::kDamaged},
  };
  for (const Spoil& row : rows) {
    BaseFile file = good;
    row.change(file);
    const auto loaded = load_from(file, good.id());
    ASSERT_FALSE(loaded) << row.what;
    EXPECT_EQ(loaded.error().reason, row.reason) << row.what << ": " << loaded.error().what;
    EXPECT_FALSE(loaded.error().what.empty()) << row.what;
  }
}

// A bit anywhere: never taken, whatever is made of it.
TEST(BaseLoad, NoFlippedBitIsEverTaken) {
  const BaseFile good = file_of(300);
  std::mt19937 random(4711);
  for (int i = 0; i < 400; ++i) {
    BaseFile file = good;
    const std::size_t byte = random() % file.bytes.size();
    file.bytes[byte] ^= static_cast<std::uint8_t>(1U << random() % 8);
    ASSERT_FALSE(load_from(file, good.id())) << "byte " << byte;
  }
}

TEST(BaseLoad, AnotherSegmentThanOfferedIsRefused) {
  const BaseFile file = file_of(10);
  link::SegmentId other = file.id();
  other[3] ^= 1;
  const auto loaded = load_from(file, other);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().reason, BaseRefusal::kOtherSegment);
}

TEST(BaseLoad, WhatIsNoFileIsRefused) {
  const std::atomic<bool> cancel{false};
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const auto loaded = load_base(ends[0], {}, -1, cancel);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().reason, BaseRefusal::kUnreadable);
  ::close(ends[0]);
  ::close(ends[1]);
  const int unreadable = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  EXPECT_EQ(load_base(unreadable, {}, -1, cancel).error().reason, BaseRefusal::kUnreadable);
  ::close(unreadable);
}

// A hole may say that it is as long as it likes: nothing is allocated for it.
TEST(BaseLoad, AHugeEmptyFileCostsNothing) {
  const BaseFile good = file_of(10);
  const std::atomic<bool> cancel{false};
  const int file = good.open();
  ASSERT_EQ(::ftruncate(file, std::int64_t{1} << 40), 0);
  EXPECT_EQ(load_base(file, good.id(), -1, cancel).error().reason, BaseRefusal::kDamaged);
  ::close(file);
}

TEST(BaseLoad, GivesUpWhenToldTo) {
  const std::atomic<bool> cancel{true};
  const BaseFile file = file_of(1000);
  const int descriptor = file.open();
  EXPECT_EQ(load_base(descriptor, file.id(), -1, cancel).error().reason, BaseRefusal::kSuperseded);
  ::close(descriptor);
}

TEST(BaseMemory, IsZeroAndGoesBackInSteps) {
  auto memory = BaseMemory::create(20'000'001, -1);
  ASSERT_TRUE(memory) << memory.error().message();
  EXPECT_EQ(memory->bytes().size(), 20'000'001U);
  EXPECT_GE(memory->mapped_bytes(), 20'000'001U);
  for (const std::size_t at : {std::size_t{0}, std::size_t{20'000'000}}) {
    EXPECT_EQ(memory->bytes()[at], 0);
    memory->bytes()[at] = 1;
  }
  int steps = 1;
  while (!memory->release_some())
    ++steps;
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(memory->mapped_bytes(), 0U);
  EXPECT_TRUE(memory->release_some()) << "nothing is left";
}

TEST(BaseMemory, MoreThanThereIsIsRefused) {
  const auto memory = BaseMemory::create(std::size_t{1} << 44, -1);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code(), ErrorCode::kExhausted);
}

class BaseTableTest : public ::testing::Test {
 protected:
  std::unique_ptr<const BaseTable> table(const BaseFile& file, std::vector<std::uint32_t> slots) {
    auto loaded = std::make_shared<LoadedBase>(std::move(*load_from(file)));
    return std::move(*BaseTable::create(std::move(loaded), slots, 1, 1, -1));
  }
  IdHasher hasher_ = IdHasher::create(kKey);
};

TEST_F(BaseTableTest, TranslatesPositionsToSlots) {
  const auto base = table(file_of(1000), {10, 11, kNoIndex, 13, 0xfffff});
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const Action said = base->find(hasher_(id_of(i)));
    const Action stored = action_of(i);
    const std::uint32_t slot = base->slots()[i % kHosts];
    EXPECT_EQ(said.kind(), slot == kNoIndex ? ActionKind::kUnreachable : ActionKind::kAdjacency);
    EXPECT_EQ(said.index(), slot == kNoIndex ? 0 : slot);
    EXPECT_EQ(said.udp_port(), stored.udp_port());
    EXPECT_EQ(said.tenant(), stored.tenant());
    EXPECT_EQ(said.epoch(), 0);
  }
  EXPECT_EQ(base->find(hasher_(id_of(1000))).kind(), ActionKind::kNone);
}

// A dictionary is not needed for routes that lead nowhere, or here.
TEST_F(BaseTableTest, OtherKindsAreNotTranslated) {
  const std::vector<BaseRoute> routes = {{id_of(1), Action(ActionKind::kUnreachable, 0, 0, 3, 0)},
                                         {id_of(2), Action(ActionKind::kLocal, 0, 0, 4, 0)}};
  const auto base = table(BaseFile(kKey, routes, 0, 1), {});
  EXPECT_EQ(base->find(hasher_(id_of(1))), routes[0].action);
  EXPECT_EQ(base->find(hasher_(id_of(2))), routes[1].action);
}

TEST_F(BaseTableTest, BurstsSayWhatSingleLookUpsSay) {
  const auto base = table(file_of(3000), {1, 2, 3, 4, 5});
  for (unsigned n = 1; n <= index::kMaxPhfBurst; ++n) {
    std::vector<Hash128> hashes;
    for (unsigned i = 0; i < n; ++i)
      hashes.push_back(hasher_(id_of(n * 97 + i * 31)));
    std::uint32_t at[index::kMaxPhfBurst];
    base->locate(hashes.data(), n, at);
    base->fetch(hashes.data(), n, at);
    for (unsigned i = 0; i < n; ++i)
      ASSERT_EQ(base->read(at[i], hashes[i]), base->find(hashes[i])) << n << " " << i;
    std::uint32_t far[index::kMaxPhfBurst];
    base->locate_at<Distance::kFar>(hashes.data(), n, far);
    base->fetch_at<Distance::kFar>(hashes.data(), n, far);
    ASSERT_TRUE(std::equal(at, at + n, far)) << n;
  }
}

}  // namespace
}  // namespace sluice::dataplane
