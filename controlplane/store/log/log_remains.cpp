#include "controlplane/store/log/log_remains.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "controlplane/store/log/log_format.hpp"

namespace sluice::controlplane::store {
namespace {

using log_format::decode_file_header;
using log_format::decode_record;
using log_format::kAlignment;
using log_format::kFileHeader;
using log_format::kRecordHeader;
using log_format::salt_of;

class Scan {
 public:
  Scan(Fs& fs, const std::string& directory, const std::optional<StoreId>& store,
       const std::function<Status(const LogRecord&)>& each)
      : fs_(fs), directory_(directory), store_(store), each_(each) {}

  Status file(std::uint64_t base, std::uint64_t end_position) {
    path_ = fmt::format("{}/{}", directory_, log_file_name(base));
    auto bytes = read_file(fs_, path_, std::numeric_limits<std::uint64_t>::max());
    if (!bytes) return std::unexpected(bytes.error());
    bytes->resize(std::min<std::uint64_t>(bytes->size(), end_position - base));
    ++remains_.files;
    remains_.bytes += bytes->size();
    const auto salt = salt_for(base, *bytes);
    if (!salt) {
      tell(0, "the header is damaged, and with the manifest what it could be read with is lost");
      return {};
    }
    return records(*bytes, *salt);
  }

  LogRemains take() { return std::move(remains_); }

 private:
  void tell(std::uint64_t offset, std::string_view what) {
    remains_.damaged.push_back({path_, fmt::format("offset {}: {}", offset, what)});
  }

  std::optional<std::uint32_t> salt_for(std::uint64_t base, ByteView bytes) {
    const auto header = decode_file_header(bytes);
    if (store_) {
      // What was reserved and never written may be all there is of a file that was just begun.
      if (!header && std::ranges::any_of(bytes, [](std::uint8_t byte) { return byte != 0; }))
        tell(0, "the header does not check");
      return salt_of(*store_, base);
    }
    if (!header) return std::nullopt;
    return header->salt;
  }

  Status records(ByteView bytes, std::uint32_t salt) {
    std::uint64_t bad_from = 0;  // 0: what comes before is good
    std::uint64_t offset = kFileHeader;
    while (offset + kRecordHeader <= bytes.size()) {
      const auto header = decode_record(bytes.subspan(offset), salt);
      if (!header) {
        if (bad_from == 0) bad_from = offset;
        offset += kAlignment;
        continue;
      }
      end_bad(bytes, bad_from, offset);
      if (auto done = record(*header, bytes.subspan(offset + kRecordHeader, header->payload_bytes));
          !done) {
        return done;
      }
      offset += header->size();
    }
    if (bad_from == 0) bad_from = std::min<std::uint64_t>(offset, bytes.size());
    end_bad(bytes, bad_from, bytes.size());
    return {};
  }

  // Zeros are space that was reserved.
  void end_bad(ByteView bytes, std::uint64_t& from, std::uint64_t to) {
    if (from != 0 && std::ranges::any_of(bytes.subspan(from, to - from),
                                         [](std::uint8_t byte) { return byte != 0; })) {
      tell(from, fmt::format("{} bytes are no records", to - from));
    }
    from = 0;
  }

  Status record(const log_format::RecordHeader& header, ByteView payload) {
    if (header.operations == 0) return {};
    if (header.sequence < next_) return {};  // again
    if (next_ != 0) remains_.lost_operations += header.sequence - next_;
    next_ = header.sequence + header.operations;
    ++remains_.records;
    return each_(
        {.sequence = header.sequence, .operations = header.operations, .payload = payload});
  }

  Fs& fs_;
  const std::string& directory_;
  const std::optional<StoreId>& store_;
  const std::function<Status(const LogRecord&)>& each_;
  std::string path_;
  std::uint64_t next_ = 0;  // sequence; 0: before the first
  LogRemains remains_;
};

}  // namespace

Result<LogRemains> read_log_remains(Fs& fs, const std::string& directory,
                                    const std::optional<StoreId>& store,
                                    const std::function<Status(const LogRecord&)>& each,
                                    std::uint64_t end_position) {
  const auto names = fs.list(directory);
  if (!names) return std::unexpected(names.error());
  Scan scan(fs, directory, store, each);
  for (const auto& name : *names) {  // sorted, as the positions are
    const auto base = log_file_base(name);
    if (!base || *base >= end_position) continue;
    if (auto done = scan.file(*base, end_position); !done) return std::unexpected(done.error());
  }
  return scan.take();
}

}  // namespace sluice::controlplane::store
