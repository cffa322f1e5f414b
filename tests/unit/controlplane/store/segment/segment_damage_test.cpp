// Damaged segments: whatever bit is flipped, wherever the file is cut, nothing wrong is ever given
// out, and the error names file, section and offset.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/unit/controlplane/store/segments.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr auto kGoOn = [](std::uint64_t, std::uint64_t) { return true; };

SegmentHeader header_of(const test::FaultFs& fs, const std::string& path) {
  return load<SegmentHeader>(fs.contents(path).data());
}

// What a reader gets of a file: all right or an error, never something else.
void expect_right_or_refused(Fs& fs, const std::string& path, const std::vector<Owned>& all,
                             bool must_be_noticed) {
  const auto segment = Segment::open(fs, path);
  if (!segment) {
    EXPECT_EQ(segment.error().message().find(path) != std::string::npos, true);
    return;
  }
  for (const Owned& e : all) {
    if ((*segment)->info().form == Form::kCompact) {
      std::uint64_t value = 0;
      std::uint64_t found = 0;
      if (!(*segment)->lookup(&e.hash, 1, &value, found)) continue;
      ASSERT_EQ(found, 1U);
      ASSERT_EQ(value, e.op == Op::kDelete ? kDeletedValue : e.number);
    } else {
      Segment::KeyEntries entries;
      const auto found = (*segment)->find(e.hash, entries);
      if (found == Segment::Found::kDamaged) continue;
      ASSERT_EQ(found, Segment::Found::kYes);
      Entry entry;
      bool seen = false;
      while (entries.next(entry))
        seen = seen || Owned::of(entry) == e;
      ASSERT_TRUE(seen || entries.damaged());
    }
  }
  Status end;
  const auto got = drain(*(*segment)->source(), &end);
  ASSERT_LE(got.size(), all.size());
  ASSERT_TRUE(std::equal(got.begin(), got.end(), all.begin()));
  ASSERT_TRUE(!end || got.size() == all.size());
  const Status verified = (*segment)->verify(kGoOn);
  if (must_be_noticed) {
    ASSERT_FALSE(verified);
    EXPECT_EQ(verified.error().code(), ErrorCode::kCorrupt);
  }
}

struct Variant {
  Form form;
  std::uint32_t format;
};

class SegmentDamageTest : public testing::TestWithParam<Variant> {
 protected:
  std::vector<Owned> written(test::FaultFs& fs, std::size_t numbers, std::size_t records) const {
    const auto all =
        GetParam().form == Form::kCompact ? random_compact(numbers, 1) : random_exact(records, 1);
    EXPECT_TRUE(
        write_segment(fs, "s", all, {.form = GetParam().form, .format = GetParam().format}));
    return all;
  }
};

TEST_P(SegmentDamageTest, EveryFlippedBitIsNoticed) {
  test::FaultFs fs;
  const auto all = written(fs, 200, 60);
  const std::size_t size = fs.contents("s").size();
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t at = 0; at < sizeof(SegmentHeader); ++at)
    offsets.push_back(at);
  for (std::uint64_t at = sizeof(SegmentHeader); at < size; at += 173)
    offsets.push_back(at);
  offsets.push_back(size - 1);
  for (const std::uint64_t at : offsets) {
    SCOPED_TRACE(at);
    const unsigned bit = at % 8;
    fs.flip_bit("s", at, bit);
    expect_right_or_refused(fs, "s", all, true);
    fs.flip_bit("s", at, bit);
  }
  ASSERT_TRUE((*Segment::open(fs, "s"))->verify(kGoOn));
}

TEST_P(SegmentDamageTest, EveryCutIsNoticed) {
  test::FaultFs fs;
  written(fs, 50, 20);
  const auto bytes = fs.contents("s");
  for (std::size_t size = 0; size < bytes.size(); size += 211) {
    const std::string name = fmt::format("cut{}", size);
    auto file = fs.open(name, OpenMode::kCreate);
    ASSERT_TRUE((*file)->append(std::span(bytes).first(size)));
    const auto segment = Segment::open(fs, name);
    ASSERT_FALSE(segment) << size;
    EXPECT_EQ(segment.error().code(), ErrorCode::kCorrupt);
    EXPECT_NE(segment.error().message().find("the file ends before"), std::string::npos)
        << segment.error().message();
  }
  auto file = fs.open("s", OpenMode::kWrite);
  const std::uint8_t more = 0;
  ASSERT_TRUE((*file)->append(std::span(&more, 1)));
  EXPECT_FALSE(Segment::open(fs, "s"));
}

INSTANTIATE_TEST_SUITE_P(Variants, SegmentDamageTest,
                         testing::Values(Variant{Form::kCompact, 1}, Variant{Form::kExact, 1},
                                         Variant{Form::kCompact, 2}, Variant{Form::kCompact, 3},
                                         Variant{Form::kExact, 2}, Variant{Form::kExact, 3}),
                         [](const auto& of) {
                           return fmt::format("{}{}",
                                              of.param.form == Form::kCompact ? "compact" : "exact",
                                              of.param.format);
                         });

TEST(SegmentDamage, IsNamedBySectionAndOffset) {
  test::FaultFs fs;
  ASSERT_TRUE(fs.make_dir("d"));
  const auto all = random_compact(30'000, 3);
  ASSERT_TRUE(write_segment(fs, "d/s", all, {}));
  const SegmentHeader header = header_of(fs, "d/s");
  // In the last block of each section, which no other section shares the begin of.
  const std::pair<std::uint64_t, std::string> places[] = {
      {kSegmentAlignment + 10, "entries"},
      {header.records_offset + 2 * kSegmentBlockBytes, "records"},
  };
  for (const auto& [offset, section] : places) {
    fs.flip_bit("d/s", offset, 0);
    const auto segment = *Segment::open(fs, "d/s");
    const Status verified = segment->verify(kGoOn);
    ASSERT_FALSE(verified);
    const std::uint64_t block =
        (offset - kSegmentAlignment) / kSegmentBlockBytes * kSegmentBlockBytes + kSegmentAlignment;
    EXPECT_EQ(verified.error().message(),
              fmt::format("d/s: {}: offset {}: wrong checksum of a block", section, block));
    EXPECT_FALSE(segment->damage());
    fs.flip_bit("d/s", offset, 0);
  }
}

TEST(SegmentDamage, OnlyTheDamagedBlockIsLost) {
  test::FaultFs fs;
  const auto all = random_compact(30'000, 4);
  ASSERT_TRUE(write_segment(fs, "s", all, {.filter = false}));
  fs.flip_bit("s", header_of(fs, "s").records_offset + 100'000, 1);
  const auto segment = *Segment::open(fs, "s");
  unsigned refused = 0;
  for (const Owned& e : all) {
    std::uint64_t value = 0;
    std::uint64_t found = 0;
    refused += !segment->lookup(&e.hash, 1, &value, found);
  }
  EXPECT_GT(refused, 0U);
  EXPECT_LT(refused, all.size() / 3);
  EXPECT_FALSE(segment->damage());
}

TEST(SegmentDamage, AnotherVersionIsUnsupportedAndNamed) {
  test::FaultFs fs;
  ASSERT_TRUE(write_segment(fs, "s", random_compact(5, 5), {}));
  const auto bytes = fs.contents("s");
  std::array<std::uint8_t, kSegmentAlignment> page;
  std::copy_n(bytes.begin(), page.size(), page.begin());
  sluice::store(&page[offsetof(SegmentHeader, format)], kNewestSegmentFormat ^ 8U);
  sluice::store(&page[offsetof(SegmentHeader, header_check)], segment_header_check(page));
  ASSERT_TRUE((*fs.open("s", OpenMode::kWrite))->write_at(0, page));
  const auto segment = Segment::open(fs, "s");
  ASSERT_FALSE(segment);
  EXPECT_EQ(segment.error().code(), ErrorCode::kUnsupported);
  EXPECT_NE(
      segment.error().message().find(fmt::format("segment format {}", kNewestSegmentFormat ^ 8)),
      std::string::npos);
}

// Or a start would end with the advice to take another version.
TEST(SegmentDamage, AFlippedBitInTheHeaderIsNoOtherVersion) {
  test::FaultFs fs;
  ASSERT_TRUE(write_segment(fs, "s", random_compact(5, 5), {}));
  for (std::uint64_t at = 0; at < sizeof(SegmentHeader); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      fs.flip_bit("s", at, bit);
      const auto segment = Segment::open(fs, "s");
      ASSERT_FALSE(segment) << at;
      ASSERT_EQ(segment.error().code(), ErrorCode::kCorrupt) << at;
      fs.flip_bit("s", at, bit);
    }
  }
  EXPECT_TRUE(Segment::open(fs, "s"));
}

TEST(SegmentDamage, VerifyCanBeStopped) {
  test::FaultFs fs;
  ASSERT_TRUE(write_segment(fs, "s", random_compact(5, 6), {}));
  const Status stopped =
      (*Segment::open(fs, "s"))->verify([](std::uint64_t, std::uint64_t) { return false; });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace sluice::controlplane::store
