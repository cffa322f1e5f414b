// The bytes of log files (described in log.hpp), for LogReader and LogWriter only. Any thread; no
// state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "controlplane/store/file/checksum.hpp"
#include "controlplane/store/log/log.hpp"

namespace sluice::controlplane::store::log_format {

inline constexpr std::size_t kFileHeader = 64;
inline constexpr std::size_t kRecordHeader = 32;
inline constexpr std::size_t kAlignment = 8;
inline constexpr std::uint32_t kVersion = 1;

constexpr std::size_t padded(std::size_t bytes) noexcept {
  return (bytes + kAlignment - 1) & ~(kAlignment - 1);
}

// What checksums of a file begin with.
std::uint32_t salt_of(const StoreId& store, std::uint64_t base) noexcept;

struct FileHeader {
  std::uint32_t version = kVersion;
  std::uint32_t salt = 0;
  std::uint64_t base = 0;
  std::uint64_t first_sequence = 0;
};

std::array<std::uint8_t, kFileHeader> encode(const FileHeader& header) noexcept;
// Nothing when magic or checksum is wrong; the caller judges the rest.
std::optional<FileHeader> decode_file_header(ByteView bytes) noexcept;

struct RecordHeader {
  std::uint32_t payload_bytes = 0;
  std::uint32_t operations = 0;
  std::uint64_t sequence = 0;
  std::uint64_t durable = 0;

  std::size_t size() const noexcept { return kRecordHeader + padded(payload_bytes); }
};

// Header, payload and padding to `to`, which has header.size() bytes.
void encode_record(std::uint8_t* to, const RecordHeader& header, ByteView payload,
                   std::uint32_t salt) noexcept;

// The record at the front of `bytes`, all of it checked, payload too; nothing when it is none.
std::optional<RecordHeader> decode_record(ByteView bytes, std::uint32_t salt) noexcept;

}  // namespace sluice::controlplane::store::log_format
