// Base segments that nobody may trust: no content makes a reader leave its memory, and what passes
// all checks gives out only actions that a base may have. The input is a byte of modes, a header,
// then the sections packed; in the mode with right checksums places and sums are put right, so that
// what lies behind them is reached.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sluice/index/base_segment.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::index {
namespace {

constexpr std::uint64_t kMostBytes = 256 << 10;

// Fills the file's sections from the input, one after another.
void fill(std::vector<std::uint8_t>& file, const BaseHeader& header,
          std::span<const std::uint8_t> content) {
  const PhfGeometry g{header.parts, header.buckets, header.slots};
  const std::pair<std::uint64_t, std::uint64_t> sections[] = {
      {header.seeds_offset, g.parts},
      {header.pilots_offset, g.pilot_count()},
      {header.records_offset, g.slot_count() * Record::kBytes},
      {header.dictionary_offset, header.dictionary_entries * sizeof(BaseDestination)}};
  for (const auto& [offset, size] : sections) {
    const auto part = content.first(std::min<std::uint64_t>(size, content.size()));
    std::ranges::copy(part, file.begin() + static_cast<std::ptrdiff_t>(offset));
    content = content.subspan(part.size());
  }
}

std::vector<std::uint8_t> put_right(BaseHeader header, std::span<const std::uint8_t> content) {
  const PhfGeometry g{header.parts, header.buckets, header.slots};
  if (!valid(g) || g.slot_count() > 4096 || header.dictionary_entries > 1024) return {};
  header.magic = kBaseMagic;
  header.version = kBaseVersion;
  header.header_bytes = sizeof header;
  header.entries = std::min(header.entries, g.slot_count());
  set_base_offsets(header);
  if (header.total_bytes > kMostBytes) return {};
  std::vector<std::uint8_t> file(header.total_bytes);
  fill(file, header, content);
  for (std::uint32_t block = 0; block < header.checksum_count; ++block) {
    const std::uint64_t begin = kBaseAlignment + block * kBaseBlockBytes;
    const std::uint64_t size = std::min(kBaseBlockBytes, header.checksums_offset - begin);
    store(file.data() + header.checksums_offset + block * 4,
          crc32c(std::span(file).subspan(begin, size)));
  }
  header.checksums_check = crc32c(std::span(file).subspan(header.checksums_offset));
  store(file.data(), header);
  header.header_check = base_header_check(std::span(file).first<kBaseAlignment>());
  store(file.data(), header);
  return file;
}

void read(std::span<const std::uint8_t> file, bool right) {
  const auto view = BaseSegmentView::validate(file);
  FUZZ_REQUIRE(view || !right);
  if (!view) {
    FUZZ_REQUIRE(view.error().offset <= file.size() && !view.error().what.empty());
    return;
  }
  const bool content = view->check_all().has_value();
  if (right) {
    FUZZ_REQUIRE(view->check_checksums());
    for (std::uint32_t block = 0; block < view->block_count(); ++block)
      FUZZ_REQUIRE(view->check_block(block));
  }
  Hash128 hashes[kMaxPhfBurst];
  std::uint64_t actions[kMaxPhfBurst];
  for (unsigned i = 0; i < kMaxPhfBurst; ++i) {
    // Some with the fingerprint of a record, so that they are accepted.
    const std::uint8_t* record = view->record(i * 977 % view->slot_count());
    hashes[i] = {i * 0x9e3779b97f4a7c15U, Record::fingerprint(record)};
  }
  view->find_burst(hashes, kMaxPhfBurst, actions);
  for (unsigned i = 0; i < kMaxPhfBurst; ++i) {
    FUZZ_REQUIRE(actions[i] == view->find(hashes[i]));
    FUZZ_REQUIRE(!content || BaseSegmentView::allowed(actions[i], view->dictionary_size()));
  }
  for (std::uint32_t position = 0; position < view->dictionary_size(); ++position)
    (void)view->destination(position);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> input(data, size);
  read(input, false);
  if (size < 1 + sizeof(BaseHeader)) return 0;
  const auto content = input.subspan(1 + sizeof(BaseHeader));
  auto file = put_right(load<BaseHeader>(data + 1), content);
  if (file.empty()) return 0;
  read(file, true);
  // One byte wrong after all.
  if ((data[0] & 1) == 0) return 0;
  file[data[0] * 31U % file.size()] ^= 1;
  const auto damaged = BaseSegmentView::validate(file);
  FUZZ_REQUIRE(!damaged || !damaged->check_all());
  return 0;
}

}  // namespace sluice::index
