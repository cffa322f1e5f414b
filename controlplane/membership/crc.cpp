#include <array>

#include "controlplane/membership/codec.hpp"

namespace sluice::membership {
namespace {

// Four tables: four bytes per step. Packets are small, so nothing faster is worth its code.
constexpr auto kTables = [] {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = value >> 1 ^ ((value & 1) != 0 ? 0xedb88320U : 0);
    tables[0][i] = value;
  }
  for (std::size_t t = 1; t < tables.size(); ++t) {
    for (std::size_t i = 0; i < 256; ++i) {
      const auto before = tables[t - 1][i];
      tables[t][i] = before >> 8 ^ tables[0][before & 255];
    }
  }
  return tables;
}();

}  // namespace

std::uint32_t crc32_ieee(ByteView data) noexcept {
  std::uint32_t crc = 0xffffffffU;
  while (data.size() >= 4) {
    crc ^= load<std::uint32_t>(data.data());
    crc = kTables[3][crc & 255] ^ kTables[2][crc >> 8 & 255] ^ kTables[1][crc >> 16 & 255] ^
          kTables[0][crc >> 24];
    data = data.subspan(4);
  }
  for (const auto byte : data)
    crc = crc >> 8 ^ kTables[0][(crc ^ byte) & 255];
  return ~crc;
}

}  // namespace sluice::membership
