// Index segments that nobody may trust: whatever is in them, opening, looking up and reading
// through them stay in their memory and come to an end, and what comes out are entries that the
// store may have, in order. The input is a byte of modes, a header, then the sections packed;
// places and checksums are put right, so that what lies behind them is reached.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "controlplane/store/segment/hash_order.hpp"
#include "controlplane/store/segment/segment.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/fault_fs.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::uint64_t kMostBytes = 256 << 10;

void fill(std::vector<std::uint8_t>& file, const SegmentHeader& header,
          std::span<const std::uint8_t> content) {
  const std::pair<std::uint64_t, std::uint64_t> sections[] = {
      {kSegmentAlignment, header.cold_bytes},
      {header.records_offset,
       header.function().slot_count() * record_bytes(static_cast<Form>(header.form))},
      {header.pilots_offset, header.function().pilot_count()},
      {header.filter_offset, header.filter_bytes()},
      {header.seeds_offset, 2 * std::uint64_t{header.parts}},
      {header.fences_offset, header.fences * sizeof(Fence)}};
  for (const auto& [offset, size] : sections) {
    const auto part = content.first(std::min<std::uint64_t>(size, content.size()));
    std::ranges::copy(part, file.begin() + static_cast<std::ptrdiff_t>(offset));
    content = content.subspan(part.size());
  }
}

std::vector<std::uint8_t> put_right(SegmentHeader header, std::span<const std::uint8_t> content) {
  header.magic = kSegmentMagic;
  header.format = header.format % kNewestSegmentFormat + 1;
  header.header_bytes = sizeof header;
  header.form = header.form % 2 + 1;
  header.has_filter %= 2;
  if (!index::valid(header.function()) || header.function().slot_count() > 4096) return {};
  if (header.has_block_filter()) header.filter_segment_bytes = BlockFilter::kBlockBytes;
  if (!header.valid_filter() || header.filter_bytes() > 65'536) return {};
  if (header.cold_bytes > 65'536 || header.fences > 1024) return {};
  header.keys = std::min(header.keys, header.function().slot_count());
  header.entries = std::max(header.entries, header.keys);
  set_segment_offsets(header);
  if (header.total_bytes > kMostBytes) return {};
  std::vector<std::uint8_t> file(header.total_bytes);
  fill(file, header, content);
  for (std::uint32_t block = 0; block < header.checksum_count; ++block) {
    const std::uint64_t begin = kSegmentAlignment + block * kSegmentBlockBytes;
    const std::uint64_t size = std::min(kSegmentBlockBytes, header.checksums_offset - begin);
    sluice::store(file.data() + header.checksums_offset + block * 4,
                  crc32c(std::span(file).subspan(begin, size)));
  }
  header.checksums_check = crc32c(std::span(file).subspan(header.checksums_offset));
  sluice::store(file.data(), header);
  header.header_check = segment_header_check(std::span(file).first<kSegmentAlignment>());
  sluice::store(file.data(), header);
  return file;
}

void look_up(const Segment& segment, const std::vector<Hash128>& hashes) {
  const auto n = static_cast<unsigned>(std::min<std::size_t>(hashes.size(), 64));
  if (segment.info().form == Form::kCompact) {
    std::uint64_t values[64] = {};
    std::uint64_t found = 0;
    FUZZ_REQUIRE(segment.lookup(hashes.data(), n, values, found) || !segment.damage());
    for (unsigned i = 0; i < 64; ++i) {
      const bool here = (found >> i & 1) != 0;
      FUZZ_REQUIRE(here ? i < n && values[i] <= kDeletedValue : values[i] == 0);
    }
    return;
  }
  for (unsigned i = 0; i < n; ++i) {
    Segment::KeyEntries entries;
    const auto found = segment.find(hashes[i], entries);
    FUZZ_REQUIRE(found != Segment::Found::kDamaged || !segment.damage());
    if (found != Segment::Found::kYes) continue;
    Entry entry;
    while (entries.next(entry))
      FUZZ_REQUIRE(entry.hash == hashes[i] && allowed(entry, Form::kExact));
    FUZZ_REQUIRE(!entries.damaged() || !segment.damage());
  }
}

void read(const Segment& segment, std::uint64_t from) {
  const auto source = segment.source(from);
  std::vector<Hash128> seen = {{from, from}, {0, 0}, {~std::uint64_t{0}, ~std::uint64_t{0}}};
  Entry entry;
  Entry before;
  bool any = false;
  for (;;) {
    const auto more = source->next(entry);
    FUZZ_REQUIRE(more || more.error().code() == ErrorCode::kCorrupt);
    if (!more || !*more) break;
    FUZZ_REQUIRE(allowed(entry, segment.info().form) && entry.hash.lo >= from);
    FUZZ_REQUIRE(!any || order(before, entry) < 0);
    before = entry;
    any = true;
    seen.push_back(entry.hash);
  }
  look_up(segment, seen);
}

void open_and_read(std::span<const std::uint8_t> bytes, std::uint64_t from, bool right) {
  test::FaultFs fs;
  auto file = fs.open("s", OpenMode::kCreate);
  FUZZ_REQUIRE(file && (*file)->append(bytes));
  const auto segment = Segment::open(fs, "s");
  FUZZ_REQUIRE(segment || !right);
  if (!segment) return;
  const auto go_on = [](std::uint64_t, std::uint64_t) { return true; };
  read(**segment, 0);  // with checks of blocks
  const Status verified = (*segment)->verify(go_on);
  FUZZ_REQUIRE(!right || verified || !(*segment)->damage());
  read(**segment, from);
  read(**segment, 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> input(data, size);
  if (size < 1 + sizeof(SegmentHeader)) return 0;
  if ((data[0] & 1) != 0) open_and_read(input.subspan(1), 0, false);
  const auto file =
      put_right(load<SegmentHeader>(data + 1), input.subspan(1 + sizeof(SegmentHeader)));
  if (!file.empty()) open_and_read(file, std::uint64_t{data[0]} << 56, true);
  return 0;
}

}  // namespace sluice::controlplane::store
