#include "controlplane/store/log/log_format.hpp"

#include <fmt/format.h>

#include <cstring>

namespace sluice::controlplane::store {

namespace {

constexpr std::string_view kPrefix = "log-";
constexpr std::size_t kDigits = 16;

}  // namespace

std::string log_file_name(std::uint64_t base) {
  return fmt::format("{}{:016x}", kPrefix, base);
}

std::optional<std::uint64_t> log_file_base(std::string_view name) {
  if (!name.starts_with(kPrefix) || name.size() != kPrefix.size() + kDigits) return std::nullopt;
  std::uint64_t base = 0;
  for (const char digit : name.substr(kPrefix.size())) {
    const bool decimal = digit >= '0' && digit <= '9';
    if (!decimal && (digit < 'a' || digit > 'f')) return std::nullopt;
    base = base << 4 | static_cast<std::uint64_t>(decimal ? digit - '0' : digit - 'a' + 10);
  }
  return base;
}

namespace log_format {

namespace {

constexpr std::string_view kMagic = "SLLOG01\n";
constexpr std::size_t kHeaderChecksumAt = 60;

}  // namespace

std::uint32_t salt_of(const StoreId& store, std::uint64_t base) noexcept {
  std::array<std::uint8_t, 8> bytes;
  sluice::store(bytes.data(), base);
  return crc32c(bytes, crc32c(store));
}

std::array<std::uint8_t, kFileHeader> encode(const FileHeader& header) noexcept {
  std::array<std::uint8_t, kFileHeader> bytes{};
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  sluice::store(bytes.data() + 8, header.version);
  sluice::store(bytes.data() + 12, header.salt);
  sluice::store(bytes.data() + 16, header.base);
  sluice::store(bytes.data() + 24, header.first_sequence);
  sluice::store(bytes.data() + kHeaderChecksumAt, crc32c(ByteView(bytes).first(kHeaderChecksumAt)));
  return bytes;
}

std::optional<FileHeader> decode_file_header(ByteView bytes) noexcept {
  if (bytes.size() < kFileHeader) return std::nullopt;
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return std::nullopt;
  if (load<std::uint32_t>(bytes.data() + kHeaderChecksumAt) !=
      crc32c(bytes.first(kHeaderChecksumAt))) {
    return std::nullopt;
  }
  return FileHeader{.version = load<std::uint32_t>(bytes.data() + 8),
                    .salt = load<std::uint32_t>(bytes.data() + 12),
                    .base = load<std::uint64_t>(bytes.data() + 16),
                    .first_sequence = load<std::uint64_t>(bytes.data() + 24)};
}

void encode_record(std::uint8_t* to, const RecordHeader& header, ByteView payload,
                   std::uint32_t salt) noexcept {
  const std::size_t space = padded(payload.size());
  std::uint8_t* body = to + kRecordHeader;
  if (!payload.empty()) std::memcpy(body, payload.data(), payload.size());
  std::memset(body + payload.size(), 0, space - payload.size());
  sluice::store(to + 4, crc32c({body, space}, salt));
  sluice::store(to + 8, static_cast<std::uint32_t>(payload.size()));
  sluice::store(to + 12, header.operations);
  sluice::store(to + 16, header.sequence);
  sluice::store(to + 24, header.durable);
  sluice::store(to, crc32c({to + 4, kRecordHeader - 4}, salt));
}

std::optional<RecordHeader> decode_record(ByteView bytes, std::uint32_t salt) noexcept {
  if (bytes.size() < kRecordHeader) return std::nullopt;
  const std::uint8_t* from = bytes.data();
  if (load<std::uint32_t>(from) != crc32c(bytes.subspan(4, kRecordHeader - 4), salt)) {
    return std::nullopt;
  }
  const RecordHeader header{.payload_bytes = load<std::uint32_t>(from + 8),
                            .operations = load<std::uint32_t>(from + 12),
                            .sequence = load<std::uint64_t>(from + 16),
                            .durable = load<std::uint64_t>(from + 24)};
  if (header.payload_bytes > kMaxLogPayload || header.size() > bytes.size()) return std::nullopt;
  const ByteView body = bytes.subspan(kRecordHeader, header.size() - kRecordHeader);
  if (load<std::uint32_t>(from + 4) != crc32c(body, salt)) return std::nullopt;
  return header;
}

}  // namespace log_format
}  // namespace sluice::controlplane::store
