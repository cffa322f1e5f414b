// AES-128 against the worked examples of FIPS-197: key expansion, one cipher run, and both on every
// instruction set of this machine.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "sluice/hash/id_hash.hpp"
#include "tests/unit/include/hash/isas.hpp"

namespace sluice {
namespace {

aes::Block block_of(std::string_view hex) {
  const std::optional<Id> id = parse_id(hex);
  EXPECT_TRUE(id.has_value()) << hex;
  return id.value_or(Id{}).bytes;
}

aes::Block block_of(const Hash128& hash) {
  aes::Block block;
  std::memcpy(block.data(), &hash, block.size());
  return block;
}

// FIPS-197, appendix A.1, words w0 to w43.
TEST(AesKeyExpansion, MatchesFips197AppendixA1) {
  constexpr std::string_view kWords[] = {
      "2b7e151628aed2a6abf7158809cf4f3c", "a0fafe1788542cb123a339392a6c7605",
      "f2c295f27a96b9435935807a7359f67f", "3d80477d4716fe3e1e237e446d7a883b",
      "ef44a541a8525b7fb671253bdb0bad00", "d4d1c6f87c839d87caf2b8bc11f915bc",
      "6d88a37a110b3efddbf98641ca0093fd", "4e54f70e5f5fc9f384a64fb24ea6dc4f",
      "ead27321b58dbad2312bf5607f8d292f", "ac7766f319fadc2128d12941575c006e",
      "d014f9a8c9ee2589e13f0cc8b6630ca6"};
  const aes::RoundKeys keys = aes::expand_key(HashKey{block_of(kWords[0])});
  for (std::size_t round = 0; round <= aes::kRounds; ++round) {
    EXPECT_EQ(keys.at[round], block_of(kWords[round])) << "round " << round;
  }
}

struct CipherVector {
  std::string_view source;
  std::string_view key;
  std::string_view plain;
  std::string_view cipher;
};

constexpr CipherVector kCipherVectors[] = {
    {"FIPS-197 appendix B", "2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734",
     "3925841d02dc09fbdc118597196a0b32"},
    {"FIPS-197 appendix C.1", "000102030405060708090a0b0c0d0e0f",
     "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"},
    {"SP 800-38A F.1.1 block 1", "2b7e151628aed2a6abf7158809cf4f3c",
     "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"},
    {"SP 800-38A F.1.1 block 4", "2b7e151628aed2a6abf7158809cf4f3c",
     "f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"},
};

TEST(AesScalar, MatchesPublishedVectors) {
  for (const CipherVector& v : kCipherVectors) {
    const aes::RoundKeys keys = aes::expand_key(HashKey{block_of(v.key)});
    EXPECT_EQ(aes::scalar::encrypt(keys, block_of(v.plain)), block_of(v.cipher)) << v.source;
  }
}

// Also usable by the compiler, so the vector holds before any test runs.
static_assert([] {
  aes::Block plain{};
  HashKey key{};
  for (std::size_t i = 0; i < 16; ++i) {
    key.bytes[i] = static_cast<std::uint8_t>(i);
    plain[i] = static_cast<std::uint8_t>(i * 17);
  }
  const aes::Block cipher = aes::scalar::encrypt(aes::expand_key(key), plain);
  return cipher[0] == 0x69 && cipher[7] == 0x30 && cipher[15] == 0x5a;
}());

class AesOnIsa : public testing::TestWithParam<Isa> {};

TEST_P(AesOnIsa, MatchesPublishedVectorsSingleAndInBursts) {
  for (const CipherVector& v : kCipherVectors) {
    const IdHasher hasher = IdHasher::create(HashKey{block_of(v.key)}, GetParam());
    ASSERT_EQ(hasher.isa(), GetParam());
    const std::array<Id, 3> ids = {Id{}, Id{block_of(v.plain)}, Id{block_of(v.plain)}};
    EXPECT_EQ(block_of(hasher(ids[1])), block_of(v.cipher)) << v.source;
    std::array<Hash128, 3> out{};
    hasher.burst(ids.data(), out.data(), 3);
    EXPECT_EQ(block_of(out[1]), block_of(v.cipher)) << v.source;
    EXPECT_EQ(block_of(out[2]), block_of(v.cipher)) << v.source;
  }
}

INSTANTIATE_TEST_SUITE_P(Aes, AesOnIsa, testing::ValuesIn(isas_of_this_cpu()),
                         [](const auto& at) { return std::string(to_string(at.param)); });

}  // namespace
}  // namespace sluice
