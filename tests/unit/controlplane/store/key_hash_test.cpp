// The identity of keys: agrees with the dataplane for plain ids, separates tables and tenants, and
// does not mix up keys of different lengths.
#include "controlplane/store/key_hash.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sluice::controlplane::store {
namespace {

constexpr HashKey kKey = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

std::pair<std::uint64_t, std::uint64_t> pair_of(const Hash128& hash) {
  return {hash.lo, hash.hi};
}

std::vector<Id> random_ids(std::size_t n) {
  std::mt19937_64 random(7);
  std::vector<Id> ids(n);
  for (Id& id : ids) {
    for (auto& byte : id.bytes)
      byte = static_cast<std::uint8_t>(random());
  }
  return ids;
}

class KeyHash : public testing::TestWithParam<IdPasses> {};

TEST_P(KeyHash, IdsOfTheFirstTableHashAsInTheDataplane) {
  const KeyHasher hasher(kKey, GetParam());
  const IdHasher dataplane = IdHasher::create(kKey);
  for (const Id& id : random_ids(100))
    EXPECT_EQ(hasher(0, 0, id.bytes), dataplane(id));
}

TEST_P(KeyHash, BurstsAgreeWithSingleKeysForAnyLength) {
  const KeyHasher hasher(kKey, GetParam());
  const std::vector<Id> ids = random_ids(64);
  for (const auto& [table, tenant] : {std::pair{0, 0}, {1, 0}, {0, 1}, {255, 65535}}) {
    for (unsigned n = 0; n <= 64; ++n) {
      std::array<Hash128, 64> out;
      hasher.burst(static_cast<std::uint8_t>(table), static_cast<std::uint16_t>(tenant), ids.data(),
                   out.data(), n);
      for (unsigned i = 0; i < n; ++i) {
        ASSERT_EQ(out[i], hasher(static_cast<std::uint8_t>(table),
                                 static_cast<std::uint16_t>(tenant), ids[i].bytes));
      }
    }
  }
}

TEST_P(KeyHash, TableTenantLengthAndKeyOfTheIndexAllCount) {
  const KeyHasher hasher(kKey, GetParam());
  HashKey other_key = kKey;
  other_key.bytes[15] ^= 1;
  const KeyHasher other(other_key, GetParam());
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  std::size_t made = 0;
  for (std::size_t size = 1; size <= 40; ++size) {
    const std::vector<std::uint8_t> key(size, 0);
    for (std::uint8_t table = 0; table < 3; ++table) {
      for (const std::uint16_t tenant : std::array<std::uint16_t, 3>{0, 1, 256}) {
        seen.insert(pair_of(hasher(table, tenant, key)));
        seen.insert(pair_of(other(table, tenant, key)));
        made += 2;
      }
    }
  }
  EXPECT_EQ(seen.size(), made);
}

TEST_P(KeyHash, BitsOfStringHashesAreBalanced) {
  const KeyHasher hasher(kKey, GetParam());
  std::array<int, 128> ones{};
  constexpr int kKeys = 4096;
  for (int i = 0; i < kKeys; ++i) {
    const std::string name = "organisation/space/service/" + std::to_string(i);
    const Hash128 hash =
        hasher(2, 0, {reinterpret_cast<const std::uint8_t*>(name.data()), name.size()});
    for (unsigned bit = 0; bit < 64; ++bit) {
      ones[bit] += static_cast<int>(hash.lo >> bit & 1);
      ones[64 + bit] += static_cast<int>(hash.hi >> bit & 1);
    }
  }
  for (const int count : ones)
    EXPECT_NEAR(count, kKeys / 2, 200);  // six standard deviations of 32
}

TEST_P(KeyHash, ElementsOfDifferentSetsDiffer) {
  const KeyHasher hasher(kKey, GetParam());
  const std::array<std::uint8_t, 3> element = {1, 2, 3};
  const Hash128 a = hasher.element({1, 2}, element);
  EXPECT_NE(a, hasher.element({2, 1}, element));
  EXPECT_NE(a, hasher.element({1, 2}, std::span(element).first(2)));
  EXPECT_EQ(a, hasher.element({1, 2}, element));
}

INSTANTIATE_TEST_SUITE_P(Passes, KeyHash, testing::Values(IdPasses::kTwo, IdPasses::kOne),
                         [](const auto& of) { return of.param == IdPasses::kTwo ? "Two" : "One"; });

// Files of their formats hold these hashes, so they may never change.
TEST(KeyHashOfIds, IsWhatFilesHold) {
  const IdHasher aes = IdHasher::create(kKey);
  const auto with = [](const Hash128& word, const Hash128& mask) {
    return std::bit_cast<Id>(Hash128{word.lo ^ mask.lo, word.hi ^ mask.hi});
  };
  // Table 3 of tenant 0x102, as numbers in a word of the hash and as the secrets of three bytes.
  constexpr std::uint64_t kSpace = 0x3'0102;
  Hash128 secret{};
  for (const auto& [byte, value] : {std::pair<std::uint8_t, std::uint8_t>{0, 2}, {1, 1}, {2, 3}}) {
    const auto word = [&](std::uint8_t which) {
      const std::array<std::uint8_t, 3> what = {which, byte, value};
      return siphash24(SipKey{0x0807060504030201, 0x100f0e0d0c0b0a09}, what);
    };
    const Hash128 of = {word(0), word(1)};
    secret = {secret.lo ^ of.lo, secret.hi ^ of.hi};
  }
  const KeyHasher two(kKey, IdPasses::kTwo);
  const KeyHasher one(kKey, IdPasses::kOne);
  for (const Id& id : random_ids(100)) {
    EXPECT_EQ(two(3, 0x102, id.bytes), aes(with(aes(id), {kSpace, 0})));
    EXPECT_EQ(one(3, 0x102, id.bytes), aes(with(std::bit_cast<Hash128>(id), secret)));
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
