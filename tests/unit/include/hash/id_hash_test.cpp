// Every kernel of the id hash against the scalar one, on random ids and keys: all burst sizes, all
// alignments, no byte written or read outside the burst; and what create() promises.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "sluice/hash/id_hash.hpp"
#include "tests/unit/include/hash/isas.hpp"

namespace sluice {
namespace {

constexpr unsigned kMaxBurst = 64;
constexpr std::uint64_t kSeed = 0x51751ce;

class Random {
 public:
  template <std::size_t kSize>
  std::array<std::uint8_t, kSize> bytes() {
    std::array<std::uint8_t, kSize> out;
    std::ranges::generate(out, [this] { return static_cast<std::uint8_t>(engine_()); });
    return out;
  }
  std::vector<Id> ids(std::size_t n) {
    std::vector<Id> out(n);
    for (Id& id : out)
      id = Id{bytes<16>()};
    return out;
  }
  HashKey key() { return HashKey{bytes<16>()}; }

 private:
  std::mt19937_64 engine_{kSeed};
};

class IdHashOnIsa : public testing::TestWithParam<Isa> {
 protected:
  Random random_;
};

TEST_P(IdHashOnIsa, EqualsScalarForEveryBurstSize) {
  for (int repeat = 0; repeat < 8; ++repeat) {
    const HashKey key = random_.key();
    const IdHasher reference = IdHasher::create(key, Isa::kScalar);
    const IdHasher hasher = IdHasher::create(key, GetParam());
    ASSERT_EQ(hasher.isa(), GetParam());
    const std::vector<Id> ids = random_.ids(kMaxBurst + 70);
    for (unsigned n = 0; n <= ids.size(); ++n) {
      std::vector<Hash128> expected(n);
      std::vector<Hash128> got(n);
      std::vector<std::uint32_t> signatures(n);
      reference.burst(ids.data(), expected.data(), n);
      hasher.burst(ids.data(), got.data(), n);
      hasher.burst32(ids.data(), signatures.data(), n);
      for (unsigned i = 0; i < n; ++i) {
        ASSERT_EQ(got[i], expected[i]) << "id " << i << " of " << n;
        ASSERT_EQ(signatures[i], expected[i].signature()) << "id " << i << " of " << n;
        ASSERT_EQ(hasher(ids[i]), expected[i]) << "id " << i;
      }
    }
  }
}

TEST_P(IdHashOnIsa, TakesIdsAtAnyAddress) {
  const HashKey key = random_.key();
  const IdHasher reference = IdHasher::create(key, Isa::kScalar);
  const IdHasher hasher = IdHasher::create(key, GetParam());
  const std::vector<Id> ids = random_.ids(kMaxBurst);
  std::vector<Hash128> expected(kMaxBurst);
  reference.burst(ids.data(), expected.data(), kMaxBurst);
  alignas(64) std::array<std::uint8_t, 64 + kMaxBurst * sizeof(Id)> buffer{};
  for (std::size_t shift = 0; shift < 64; ++shift) {
    std::memcpy(buffer.data() + shift, ids.data(), kMaxBurst * sizeof(Id));
    const Id* shifted = reinterpret_cast<const Id*>(buffer.data() + shift);
    for (const unsigned n : {1U, 3U, 7U, 31U, 32U, 45U, 64U}) {
      std::vector<Hash128> got(n);
      hasher.burst(shifted, got.data(), n);
      ASSERT_TRUE(std::ranges::equal(got, std::span(expected).first(n)))
          << "shift " << shift << ", n " << n;
    }
  }
}

// Results at every alignment their type allows, with guards on both sides.
TEST_P(IdHashOnIsa, WritesExactlyTheBurst) {
  constexpr std::size_t kGuard = 16;
  const IdHasher hasher = IdHasher::create(random_.key(), GetParam());
  const std::vector<Id> ids = random_.ids(kMaxBurst);
  const Hash128 guard{0xdeadbeefdeadbeef, 0xfeedfacefeedface};
  for (std::size_t shift = 0; shift < 4; ++shift) {
    for (unsigned n = 0; n <= kMaxBurst; ++n) {
      std::vector<Hash128> full(shift + kMaxBurst + 2 * kGuard, guard);
      hasher.burst(ids.data(), full.data() + kGuard + shift, n);
      std::vector<std::uint32_t> low(shift + kMaxBurst + 2 * kGuard, 0xdeadbeef);
      hasher.burst32(ids.data(), low.data() + kGuard + shift, n);
      for (std::size_t i = 0; i < full.size(); ++i) {
        if (i >= kGuard + shift && i < kGuard + shift + n) continue;
        ASSERT_EQ(full[i], guard) << "n " << n << ", at " << i;
        ASSERT_EQ(low[i], 0xdeadbeefU) << "n " << n << ", at " << i;
      }
    }
  }
}

// The last id ends where readable memory ends, the first begins where it begins.
TEST_P(IdHashOnIsa, ReadsExactlyTheBurst) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* map = ::mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(map, MAP_FAILED);
  auto* start = static_cast<std::uint8_t*>(map) + page;
  ASSERT_EQ(::mprotect(start, page, PROT_READ | PROT_WRITE), 0);
  const HashKey key = random_.key();
  const IdHasher reference = IdHasher::create(key, Isa::kScalar);
  const IdHasher hasher = IdHasher::create(key, GetParam());
  const std::vector<Id> ids = random_.ids(kMaxBurst);
  for (unsigned n = 1; n <= kMaxBurst; ++n) {
    const std::size_t bytes = n * sizeof(Id);
    std::vector<Hash128> expected(n);
    reference.burst(ids.data(), expected.data(), n);
    for (std::uint8_t* at : {start, start + page - bytes}) {
      std::memcpy(at, ids.data(), bytes);
      std::vector<Hash128> got(n);
      std::vector<std::uint32_t> signatures(n);
      hasher.burst(reinterpret_cast<const Id*>(at), got.data(), n);
      hasher.burst32(reinterpret_cast<const Id*>(at), signatures.data(), n);
      ASSERT_EQ(got, expected) << "n " << n;
      ASSERT_TRUE(std::ranges::equal(signatures, expected, {}, {}, &Hash128::signature));
    }
  }
  ::munmap(map, 3 * page);
}

TEST_P(IdHashOnIsa, CopiesHashAlike) {
  const IdHasher hasher = IdHasher::create(random_.key(), GetParam());
  IdHasher copy;
  copy = hasher;
  const Id id = random_.ids(1)[0];
  EXPECT_EQ(copy.isa(), hasher.isa());
  EXPECT_EQ(copy(id), hasher(id));
}

INSTANTIATE_TEST_SUITE_P(IdHash, IdHashOnIsa, testing::ValuesIn(isas_of_this_cpu()),
                         [](const auto& at) { return std::string(to_string(at.param)); });

TEST(IdHasher, RunsOnTheBestInstructionSetByDefault) {
  EXPECT_EQ(IdHasher::create(HashKey{}).isa(), best_isa());
}

TEST(IdHasher, NeverTakesAnInstructionSetTheMachineLacks) {
  for (const Isa isa : kAllIsas) {
    const IdHasher hasher = IdHasher::create(HashKey{}, isa);
    EXPECT_TRUE(has_isa(hasher.isa())) << to_string(isa);
    EXPECT_EQ(hasher.isa(), has_isa(isa) ? isa : best_isa()) << to_string(isa);
  }
}

TEST(IdHasher, DependsOnEveryBitOfIdAndKey) {
  Random random;
  const HashKey key = random.key();
  const Id id = random.ids(1)[0];
  const Hash128 base = IdHasher::create(key)(id);
  for (std::size_t bit = 0; bit < 128; ++bit) {
    Id other_id = id;
    other_id.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    HashKey other_key = key;
    other_key.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_NE(IdHasher::create(key)(other_id), base) << "id bit " << bit;
    EXPECT_NE(IdHasher::create(other_key)(id), base) << "key bit " << bit;
  }
}

}  // namespace
}  // namespace sluice
