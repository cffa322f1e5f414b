// Log files as anybody might leave them: the reader ends, gives only records that check, in order;
// what it could read is what is read again after the log was opened for writing. Input: steps of
// one byte (what), one byte (how much) and bytes; records are built with good checksums, so that
// mutation reaches what is behind them.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "controlplane/store/log/log_batch.hpp"
#include "controlplane/store/log/log_format.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/fault_fs.hpp"

namespace {

namespace log_format = sluice::controlplane::store::log_format;
using sluice::controlplane::store::BatchReader;
using sluice::controlplane::store::Buffer;
using sluice::controlplane::store::ByteView;
using sluice::controlplane::store::Entry;
using sluice::controlplane::store::FieldReader;
using sluice::controlplane::store::kMaxKeyBytes;
using sluice::controlplane::store::log_file_name;
using sluice::controlplane::store::LogEnd;
using sluice::controlplane::store::LogReader;
using sluice::controlplane::store::LogRecord;
using sluice::controlplane::store::LogWriter;
using sluice::controlplane::store::OpenMode;
using sluice::controlplane::store::put_bytes;
using sluice::controlplane::store::StoreId;
using sluice::test::FaultFs;

constexpr StoreId kStore = {5};

// A file, built step by step.
struct Builder {
  std::uint64_t base = 0;
  std::uint64_t sequence = 1;
  Buffer bytes;

  std::uint32_t salt() const { return log_format::salt_of(kStore, base); }
  void begin() {
    const auto header =
        log_format::encode({.salt = salt(), .base = base, .first_sequence = sequence});
    bytes.assign(header.begin(), header.end());
  }
};

void keep(FaultFs& fs, const Builder& builder) {
  auto file = fs.open("/l/" + log_file_name(builder.base), OpenMode::kCreate);
  if (file) (void)(*file)->append(builder.bytes);
}

void build(FaultFs& fs, FieldReader input) {
  Builder builder;
  builder.begin();
  while (const auto what = input.take<std::uint8_t>()) {
    const std::size_t amount = input.take<std::uint8_t>().value_or(0);
    const auto given = input.take_bytes(std::min<std::size_t>(amount, input.left()));
    const ByteView bytes = given.value_or(ByteView{});
    if (*what % 8 == 0) {  // noise
      put_bytes(builder.bytes, bytes);
    } else if (*what % 8 == 1) {  // the next file, maybe at another place
      keep(fs, builder);
      builder.base += builder.bytes.size() + (*what >= 128 ? amount : 0);
      builder.begin();
    } else if (*what % 8 == 2) {  // rot
      for (const auto at : bytes)
        builder.bytes[at % builder.bytes.size()] ^= *what;
    } else if (*what % 8 == 3) {
      builder.bytes.resize(builder.bytes.size() - std::min(amount, builder.bytes.size() - 1));
    } else {
      const std::uint32_t operations = *what / 8 % 4;
      const log_format::RecordHeader header{
          .payload_bytes = static_cast<std::uint32_t>(bytes.size()),
          .operations = operations,
          .sequence = *what % 8 == 4 ? builder.sequence + amount : builder.sequence,
          .durable = *what >= 128 ? builder.base + builder.bytes.size() : amount * 8};
      const std::size_t at = builder.bytes.size();
      builder.bytes.resize(at + header.size());
      log_format::encode_record(builder.bytes.data() + at, header, bytes, builder.salt());
      builder.sequence += operations;
    }
  }
  keep(fs, builder);
}

struct Read {
  bool good = false;
  std::vector<std::uint64_t> sequences;
  LogEnd end;
};

Read read(FaultFs& fs) {
  Read result;
  auto reader = LogReader::open(fs, {.directory = "/l", .store = kStore, .must_exist = false});
  if (!reader) return result;
  std::uint64_t expected = 0;
  for (LogRecord record;;) {
    const auto more = (*reader)->next(record);
    if (!more) {
      FUZZ_REQUIRE(!more.error().message().empty());
      return result;
    }
    if (!*more) break;
    FUZZ_REQUIRE(record.operations > 0 && record.sequence >= expected);
    expected = record.sequence + record.operations;
    result.sequences.push_back(record.sequence);
    BatchReader batch(record.payload, record.sequence);
    for (Entry entry;;) {
      const auto operation = batch.next(entry);
      if (!operation || !*operation) break;
      FUZZ_REQUIRE(!entry.key.empty() && entry.key.size() <= kMaxKeyBytes);
    }
  }
  result.good = true;
  result.end = (*reader)->end();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FaultFs fs;
  (void)fs.make_dir("/l");
  build(fs, FieldReader(ByteView(data, size)));
  const Read first = read(fs);
  if (!first.good) return 0;
  {
    auto log =
        LogWriter::create(fs, {.directory = "/l", .store = kStore, .reserve_bytes = 0}, first.end);
    FUZZ_REQUIRE(log.has_value());
    FUZZ_REQUIRE((*log)->commit(Buffer{1}, 1).has_value());
  }
  const Read again = read(fs);
  FUZZ_REQUIRE(again.good && !again.end.torn);
  FUZZ_REQUIRE(again.sequences.size() == first.sequences.size() + 1);
  FUZZ_REQUIRE(std::equal(first.sequences.begin(), first.sequences.end(), again.sequences.begin()));
  return 0;
}
