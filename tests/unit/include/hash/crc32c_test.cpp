// CRC-32C: the vectors of RFC 3720 appendix B.4 and the catalogue's check value, then the fast form
// against the scalar one on random bytes of every length around the stream boundaries.
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <random>
#include <string_view>
#include <vector>

#include "sluice/hash/crc32c.hpp"

namespace sluice {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

TEST(Crc32c, KnownVectors) {
  Bytes rising(32);
  std::iota(rising.begin(), rising.end(), std::uint8_t{0});
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8a9136aaU);
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62a8ab43U);
  EXPECT_EQ(crc32c(rising), 0x46dd794eU);
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c_scalar(bytes_of("123456789")), 0xe3069283U);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, FastFormEqualsScalarForm) {
  std::mt19937_64 random(11);
  Bytes data(20'000);
  for (auto& byte : data)
    byte = static_cast<std::uint8_t>(random());
  std::vector<std::size_t> sizes = {3071, 3072, 3073, 3080, 6143, 6144, 6145, 9216, 19'990};
  for (std::size_t size = 0; size < 80; ++size)
    sizes.push_back(size);
  for (const std::size_t size : sizes) {
    for (const std::size_t offset : {0, 1, 7}) {
      const auto part = std::span(data).subspan(offset, size);
      const auto before = static_cast<std::uint32_t>(random());
      ASSERT_EQ(crc32c(part, before), crc32c_scalar(part, before)) << size << "+" << offset;
    }
  }
}

TEST(Crc32c, PartsContinue) {
  std::mt19937_64 random(12);
  Bytes data(10'000);
  for (auto& byte : data)
    byte = static_cast<std::uint8_t>(random());
  const auto whole = crc32c(data);
  for (const std::size_t cut : {0, 1, 100, 3072, 5000, 10'000}) {
    const auto first = crc32c(std::span(data).first(cut));
    EXPECT_EQ(crc32c(std::span(data).subspan(cut), first), whole) << cut;
  }
}

}  // namespace
}  // namespace sluice
