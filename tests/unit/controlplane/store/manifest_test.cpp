// The manifest: what it says comes back, whatever is wrong with it is found, and power loss at any
// operation leaves one generation or the next with all its files.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "controlplane/store/manifest.hpp"
#include "controlplane/store/segment/segment_format.hpp"
#include "tests/support/fault_fs.hpp"

namespace sluice::controlplane::store {
namespace {

using test::FaultFs;
using test::Loss;

Manifest small() {
  Manifest manifest{.store = {1, 2, 3}, .next_file = 10, .sequence_floor = 1};
  manifest.tables = {{1, Kind::kRecord, "agents"}, {7, Kind::kSet, "names"}};
  LayoutState layout{.id = 1, .key = {{9, 8, 7}}, .lanes = 2, .segment_format = 1};
  layout.trees.push_back({.form = Form::kExact, .lane = 0, .flushed_sequence = 20});
  layout.trees.push_back({.form = Form::kExact, .lane = 1, .flushed_sequence = 30});
  layout.trees[0].segments = {{.file = 5,
                               .bytes = 4096,
                               .entries = 12,
                               .min_sequence = 3,
                               .max_sequence = 20,
                               .checksum = 0xabcdef},
                              {.file = 2, .bytes = 100, .max_sequence = 2}};
  manifest.layouts.push_back(layout);
  layout.id = 2;
  layout.trees[0].segments.clear();
  manifest.layouts.push_back(layout);
  return manifest;
}

TEST(Manifest, ComesBack) {
  const auto manifest = small();
  const auto back = decode_manifest(encode(manifest), "m");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, manifest);
  EXPECT_EQ(segment_file_name(0xab), "seg-00000000000000ab");
  EXPECT_EQ(segment_file_number("seg-00000000000000ab"), 0xabU);
  EXPECT_FALSE(segment_file_number("seg-ab"));
  EXPECT_FALSE(segment_file_number("log-00000000000000ab"));
}

TEST(Manifest, AFormatOfALaterVersionIsUnsupported) {
  for (const std::uint32_t format : {0U, kNewestSegmentFormat + 1}) {
    auto manifest = small();
    manifest.layouts.back().segment_format = format;
    const auto back = decode_manifest(encode(manifest), "m");
    ASSERT_FALSE(back) << format;
    EXPECT_EQ(back.error().code(), ErrorCode::kUnsupported) << back.error().message();
  }
}

TEST(Manifest, EveryFlippedBitAndEveryLengthIsFound) {
  const auto good = encode(small());
  for (std::size_t i = 0; i < good.size() * 8; ++i) {
    auto bad = good;
    bad[i / 8] ^= static_cast<std::uint8_t>(1U << i % 8);
    const auto back = decode_manifest(bad, "/s/MANIFEST");
    ASSERT_FALSE(back) << i;
    EXPECT_TRUE(back.error().message().starts_with("/s/MANIFEST: ")) << back.error().message();
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    ASSERT_FALSE(decode_manifest(ByteView(good).first(size), "m")) << size;
  auto longer = good;
  longer.push_back(0);
  EXPECT_FALSE(decode_manifest(longer, "m"));
}

struct Wrong {
  const char* says;
  std::function<void(Manifest&)> change;
};

// With a good checksum: somebody wrote nonsense.
TEST(Manifest, NonsenseIsNamed) {
  const std::vector<Wrong> cases = {
      {"sequence floor 0", [](Manifest& m) { m.sequence_floor = 0; }},
      {"a table twice", [](Manifest& m) { m.tables[1].id = 1; }},
      {"a table of unknown kind", [](Manifest& m) { m.tables[1].kind = static_cast<Kind>(9); }},
      {"not one or two layouts", [](Manifest& m) { m.layouts.clear(); }},
      {"not one or two layouts", [](Manifest& m) { m.layouts.push_back(m.layouts[1]); }},
      {"a layout twice", [](Manifest& m) { m.layouts[1].id = 1; }},
      {"lanes out of range", [](Manifest& m) { m.layouts[0].lanes = 0; }},
      {"lanes out of range", [](Manifest& m) { m.layouts[0].lanes = 65; }},
      {"a tree of a lane", [](Manifest& m) { m.layouts[0].trees[0].lane = 2; }},
      {"a tree of unknown form",
       [](Manifest& m) { m.layouts[0].trees[0].form = static_cast<Form>(3); }},
      {"a tree twice", [](Manifest& m) { m.layouts[0].trees[1].lane = 0; }},
      {"a segment twice", [](Manifest& m) { m.layouts[0].trees[0].segments[1].file = 5; }},
      {"number was never given", [](Manifest& m) { m.next_file = 5; }},
      {"a segment's sequences",
       [](Manifest& m) { m.layouts[0].trees[0].segments[0].max_sequence = 1; }},
  };
  for (const auto& wrong : cases) {
    auto manifest = small();
    wrong.change(manifest);
    const auto back = decode_manifest(encode(manifest), "m");
    ASSERT_FALSE(back) << wrong.says;
    EXPECT_EQ(back.error().code(), ErrorCode::kCorrupt);
    EXPECT_NE(back.error().message().find(wrong.says), std::string::npos) << back.error().message();
  }
}

TEST(Manifest, NewerVersionIsUnsupported) {
  auto bytes = encode(small());
  bytes[8] = 2;
  bytes.resize(bytes.size() - 4);
  put(bytes, crc32c(bytes));
  const auto back = decode_manifest(bytes, "m");
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(back.error().message(), "m: version 2 of the manifest; this program knows 1");
}

class ManifestStoreTest : public testing::Test {
 protected:
  std::unique_ptr<ManifestStore> open() {
    auto store = ManifestStore::open(disk_, "/s", small());
    EXPECT_TRUE(store) << store.error().message();
    if (!store) return nullptr;
    const Status settled = (*store)->settle();
    EXPECT_TRUE(settled) << settled.error().message();
    return std::move(*store);
  }
  void make(const std::string& path) {
    auto file = disk_.open(path, OpenMode::kCreate);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->append(Buffer{1}));
  }

  FaultFs disk_;
};

TEST_F(ManifestStoreTest, GenerationsGrow) {
  {
    auto store = open();
    EXPECT_TRUE(store->created());
    auto next = store->current();
    EXPECT_EQ(next.generation, 1U);
    next.next_file = 77;
    ASSERT_TRUE(store->commit(next));
    EXPECT_EQ(store->current().generation, 2U);
  }
  auto store = open();
  EXPECT_FALSE(store->created());
  EXPECT_EQ(store->current().next_file, 77U);
  EXPECT_EQ(store->current().generation, 2U);
  EXPECT_EQ(read_manifest(disk_, "/s")->generation, 2U);
}

TEST_F(ManifestStoreTest, OnlyOneAtATime) {
  auto store = open();
  const auto second = ManifestStore::open(disk_, "/s", small());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(second.error().message().find("has this store open"), std::string::npos);
}

TEST_F(ManifestStoreTest, StraysGoOthersStay) {
  open().reset();
  for (const auto* name :
       {"seg-0000000000000005", "seg-0000000000000006", "MANIFEST.new", "seg-0000000000000007.new",
        "log-0000000000000000.new", "log-0000000000000000", "notes.new", "notes"}) {
    make(std::string("/s/") + name);
  }
  auto store = open();
  EXPECT_EQ(store->strays(),
            (std::vector<std::string>{"MANIFEST.new", "log-0000000000000000.new",
                                      "seg-0000000000000006", "seg-0000000000000007.new"}));
  EXPECT_EQ(disk_.list("/s").value(),
            (std::vector<std::string>{"LOCK", "MANIFEST", "log-0000000000000000", "notes",
                                      "notes.new", "seg-0000000000000005"}));
}

TEST_F(ManifestStoreTest, WithoutManifestNothingIsMadeOverOldFiles) {
  ASSERT_TRUE(disk_.make_dir("/s"));
  make("/s/seg-0000000000000005");
  const auto store = ManifestStore::open(disk_, "/s", small());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(store.error().message(),
            "/s: seg-0000000000000005 is there, but no MANIFEST: restore it from a backup, or move "
            "the files away");
  EXPECT_EQ(disk_.contents("/s/seg-0000000000000005"), Buffer{1});
}

TEST_F(ManifestStoreTest, FullDiskLeavesThePresentOne) {
  auto store = open();
  disk_.set_free_bytes(10);
  EXPECT_EQ(store->commit(store->current()).error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(store->current().generation, 1U);
  disk_.set_free_bytes(std::nullopt);
  EXPECT_TRUE(store->commit(store->current()));
  EXPECT_EQ(store->current().generation, 2U);
}

TEST_F(ManifestStoreTest, UnknownOutcomeEndsIt) {
  auto store = open();
  disk_.on_operation([&](std::uint64_t, std::string_view name, const std::string&) {
    if (name == "sync_dir") disk_.set_read_only(true);
  });
  ASSERT_FALSE(store->commit(store->current()));
  disk_.on_operation({});
  disk_.set_read_only(false);
  const auto later = store->commit(store->current());
  ASSERT_FALSE(later);
  EXPECT_NE(later.error().message().find("until the store is opened anew"), std::string::npos);
}

// A commit that names a new segment and removes the old one behind it, as the index does.
TEST(ManifestCrash, EveryOperation) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    bool crashed = true;
    for (std::uint64_t at = 1; crashed; ++at) {
      FaultFs disk;
      std::mt19937_64 random(seed);
      std::uint64_t promised = 0;
      std::uint64_t tried = 0;
      disk.crash_at(at);
      for (int life = 0; life < 3; ++life) {
        auto fresh = small();
        fresh.layouts[0].trees[0].segments.clear();
        auto store = ManifestStore::open(disk, "/s", fresh);
        if (store && (*store)->settle()) {
          promised = std::max<std::uint64_t>(promised, 1);
          for (int step = 0; step < 3; ++step) {
            auto next = (*store)->current();
            auto& segments = next.layouts[0].trees[0].segments;
            const auto old = segments.empty() ? 0 : segments[0].file;
            segments = {{.file = next.next_file++}};
            tried = next.generation + 1;
            const auto path = "/s/" + segment_file_name(segments[0].file);
            auto file = disk.open(path, OpenMode::kCreate);
            if (!file || !(*file)->append(Buffer{1}) || !(*file)->sync()) break;
            if (!(*store)->commit(next)) break;
            promised = tried;
            if (old != 0 && !disk.remove("/s/" + segment_file_name(old))) break;
          }
        }
        crashed = disk.crashed();
        disk.crash_now();
        disk.restart(static_cast<Loss>(random() % 3), random());
        const auto back = read_manifest(disk, "/s");
        if (!back) {
          ASSERT_EQ(back.error().code(), ErrorCode::kNotFound) << back.error().message();
          ASSERT_EQ(promised, 0U) << "seed " << seed << " operation " << at;
          break;
        }
        ASSERT_GE(back->generation, promised) << "seed " << seed << " operation " << at;
        ASSERT_LE(back->generation, std::max<std::uint64_t>(tried, 1));
        for (const auto& segment : back->layouts[0].trees[0].segments) {
          ASSERT_EQ(disk.contents("/s/" + segment_file_name(segment.file)), Buffer{1})
              << "seed " << seed << " operation " << at;
        }
      }
    }
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
