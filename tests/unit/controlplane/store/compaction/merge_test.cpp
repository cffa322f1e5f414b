// Merging: the newest wins, sets combine, what is gone disappears at the bottom; compared with a
// map on random histories.
#include "controlplane/store/compaction/merge.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/unit/controlplane/store/segments.hpp"

namespace sluice::controlplane::store {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::unique_ptr<EntrySource> of(std::vector<Owned> entries) {
  return std::make_unique<VectorSource>(std::move(entries));
}

std::vector<Owned> merged(std::vector<std::vector<Owned>> inputs, bool bottom) {
  std::vector<std::unique_ptr<EntrySource>> sources;
  for (auto& input : inputs)
    sources.push_back(of(std::move(input)));
  return drain(*merge(std::move(sources), bottom));
}

Owned number(std::uint64_t key, std::uint64_t sequence, std::uint64_t value) {
  return {.hash = {key, key}, .sequence = sequence, .key = {1}, .number = value};
}
Owned deletion(std::uint64_t key, std::uint64_t sequence) {
  return {.hash = {key, key}, .sequence = sequence, .op = Op::kDelete, .key = {1}};
}
Owned element(std::uint64_t key, std::uint64_t sequence, Op op, std::uint8_t value) {
  return {.hash = {key, key}, .sequence = sequence, .op = op, .key = {1}, .value = {value}};
}

TEST(Merge, NothingOfNothing) {
  EXPECT_TRUE(merged({}, false).empty());
  EXPECT_TRUE(merged({{}, {}}, true).empty());
}

TEST(Merge, TheNewestWinsWhereverItIs) {
  const std::vector<Owned> old = {number(1, 1, 10), number(2, 2, 20), number(4, 3, 40)};
  const std::vector<Owned> recent = {number(2, 9, 21), number(3, 8, 30)};
  const std::vector<Owned> expected = {number(1, 1, 10), number(2, 9, 21), number(3, 8, 30),
                                       number(4, 3, 40)};
  EXPECT_EQ(merged({old, recent}, false), expected);
  EXPECT_EQ(merged({recent, old}, true), expected);
}

TEST(Merge, DeletionsStayAboveAndGoAtTheBottom) {
  const std::vector<Owned> old = {number(1, 1, 10)};
  const std::vector<Owned> recent = {deletion(1, 2), deletion(7, 3)};
  EXPECT_EQ(merged({old, recent}, false), recent);
  EXPECT_TRUE(merged({old, recent}, true).empty());
}

TEST(Merge, SetsCombineAndClearsHideWhatIsOlder) {
  const std::vector<Owned> oldest = {element(1, 2, Op::kSetAdd, 'b'),
                                     element(1, 1, Op::kSetAdd, 'a')};
  const std::vector<Owned> middle = {element(1, 4, Op::kSetRemove, 'a'), deletion(1, 3)};
  const std::vector<Owned> newest = {element(1, 6, Op::kSetAdd, 'c'),
                                     element(1, 5, Op::kSetAdd, 'a')};
  EXPECT_EQ(merged({newest, middle, oldest}, false),
            (std::vector<Owned>{element(1, 6, Op::kSetAdd, 'c'), element(1, 5, Op::kSetAdd, 'a'),
                                deletion(1, 3)}));
  EXPECT_EQ(merged({newest, middle, oldest}, true), newest);
  EXPECT_EQ(merged({middle, oldest}, false), middle);
  EXPECT_TRUE(merged({middle, oldest}, true).empty());
}

TEST(Merge, AnErrorOfASourceIsTheMergesError) {
  class Broken final : public EntrySource {
    Result<bool> next(Entry&) override { return fail(ErrorCode::kCorrupt, "block 7"); }
  };
  std::vector<std::unique_ptr<EntrySource>> sources;
  sources.push_back(of({number(1, 1, 1)}));
  sources.push_back(std::make_unique<Broken>());
  const auto all = merge(std::move(sources), false);
  Entry entry;
  const auto got = all->next(entry);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().message(), "block 7");
  EXPECT_FALSE(*all->next(entry));  // and it stays at its end
}

// A random history cut into components, each normal by itself, against a plain map.
class SetModel {
 public:
  void apply(const Owned& e) {
    const std::uint64_t key = e.hash.lo;
    if (e.op == Op::kDelete) sets_.erase(key);
    if (e.op == Op::kSetAdd) sets_[key].insert(e.value[0]);
    if (e.op == Op::kSetRemove) sets_[key].erase(e.value[0]);
  }
  std::map<std::uint64_t, std::set<std::uint8_t>> normal() const {
    auto out = sets_;
    std::erase_if(out, [](const auto& item) { return item.second.empty(); });
    return out;
  }

 private:
  std::map<std::uint64_t, std::set<std::uint8_t>> sets_;
};

TEST(Merge, RandomSetHistoriesAgreeWithAModel) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    SetModel model;
    std::vector<std::vector<Owned>> components;
    std::uint64_t sequence = 0;
    const std::size_t count = 1 + random() % 5;
    for (std::size_t c = 0; c < count; ++c) {
      std::vector<Owned> history;
      for (int i = 0; i < 60; ++i) {
        const std::uint64_t key = random() % 6;
        const Op op = random() % 8 == 0   ? Op::kDelete
                      : random() % 3 == 0 ? Op::kSetRemove
                                          : Op::kSetAdd;
        Owned e = op == Op::kDelete
                      ? deletion(key, ++sequence)
                      : element(key, ++sequence, op, static_cast<std::uint8_t>(random() % 5));
        model.apply(e);
        history.push_back(std::move(e));
      }
      sort(history);
      components.push_back(merged({history}, false));  // the newest state of each key only
    }
    // Some merged above the bottom, then all of it at the bottom, and written and read on the way.
    while (components.size() > 1) {
      const std::size_t at = random() % (components.size() - 1);
      components[at] = merged({components[at], components[at + 1]}, at == 0);
      components.erase(components.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    test::FaultFs fs;
    ASSERT_TRUE(write_segment(fs, "s", components[0], {.form = Form::kExact}));
    std::map<std::uint64_t, std::set<std::uint8_t>> got;
    std::vector<std::unique_ptr<EntrySource>> last;
    last.push_back((*Segment::open(fs, "s"))->source());
    for (const Owned& e : drain(*merge(std::move(last), true))) {
      ASSERT_EQ(e.op, Op::kSetAdd);
      ASSERT_TRUE(got[e.hash.lo].insert(e.value[0]).second);
    }
    ASSERT_EQ(got, model.normal());
  }
}

TEST(Merge, LargeSetsAreMerged) {
  std::vector<Owned> adds;
  std::vector<Owned> removes;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    Bytes value(4);
    sluice::store(value.data(), i);
    adds.push_back(
        {.hash = {1, 1}, .sequence = i + 1, .op = Op::kSetAdd, .key = {1}, .value = value});
    if (i % 2 == 0) {
      removes.push_back({.hash = {1, 1},
                         .sequence = i + 10'000,
                         .op = Op::kSetRemove,
                         .key = {1},
                         .value = value});
    }
  }
  sort(adds);
  sort(removes);
  EXPECT_EQ(merged({adds, removes}, true).size(), 2500U);
  EXPECT_EQ(merged({adds, removes}, false).size(), 5000U);
}

TEST(Merge, CopyWritesAllOfASource) {
  test::FaultFs fs;
  Pace pace;
  const auto all = random_compact(500, 1);
  auto writer = *SegmentWriter::create(fs, "s", {}, pace);
  ASSERT_TRUE(copy(*of(all), *writer));
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(drain(*(*Segment::open(fs, "s"))->source()), all);
}

}  // namespace
}  // namespace sluice::controlplane::store
