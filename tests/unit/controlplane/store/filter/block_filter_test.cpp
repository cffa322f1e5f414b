// The filter of blocks: no key that was added is ever kept out, strangers pass as rarely as its
// memory says, the fast question agrees with the reference, and blocks follow the keys' order.
#include "controlplane/store/filter/block_filter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <vector>

#include "tests/unit/controlplane/store/random_keys.hpp"

namespace sluice::controlplane::store {
namespace {

// Of `bits` per key.
class Filled {
 public:
  Filled(const std::vector<Hash128>& keys, unsigned bits)
      : blocks_(BlockFilter::blocks_for(keys.size(), bits)), memory_(new Block[blocks_]()) {
    for (const Hash128& key : keys)
      BlockFilter::add(memory_[0].words, blocks_, key);
  }

  BlockFilter view() const { return {memory_[0].words, blocks_}; }
  std::uint32_t blocks() const { return blocks_; }

 private:
  struct alignas(BlockFilter::kBlockBytes) Block {
    BlockFilter::Word words[BlockFilter::kWords];
  };

  std::uint32_t blocks_;
  std::unique_ptr<Block[]> memory_;
};

TEST(BlockFilter, PassesEveryKeyOfAnyNumber) {
  for (const std::size_t n : {1U, 2U, 31U, 1000U, 120'000U}) {
    const auto keys = random_keys(n, n);
    const Filled filled(keys, 12);
    for (const Hash128& key : keys)
      ASSERT_TRUE(filled.view().passes(key)) << n;
  }
}

TEST(BlockFilter, StrangersPassAsRarelyAsItsMemorySays) {
  struct Wanted {
    unsigned bits;
    double least;
    double most;
  };
  for (const auto& [bits, least, most] :
       {Wanted{8, 0.02, 0.035}, {12, 0.003, 0.007}, {16, 0.0005, 0.002}}) {
    const Filled filled(random_keys(100'000, 1), bits);
    constexpr unsigned kStrangers = 500'000;
    unsigned passed = 0;
    for (const Hash128& stranger : random_keys(kStrangers, 2))
      passed += filled.view().passes(stranger);
    EXPECT_GT(passed, least * kStrangers) << bits;
    EXPECT_LT(passed, most * kStrangers) << bits;
  }
}

TEST(BlockFilter, AgreesWithTheReference) {
  const Filled filled(random_keys(1000, 3), 8);
  unsigned passed = 0;
  for (const Hash128& key : random_keys(200'000, 4)) {
    ASSERT_EQ(filled.view().passes(key), filled.view().passes_scalar(key));
    passed += filled.view().passes(key);
  }
  EXPECT_GT(passed, 1000U);
}

// Segment files hold these bits, so which they are may never change.
TEST(BlockFilter, BitsAreWhatFilesHold) {
  std::array<BlockFilter::Word, 4 * BlockFilter::kWords> words{};
  BlockFilter::add(words.data(), 4, {0x8000'0000'0000'0001, 0});
  std::array<std::uint32_t, 4 * BlockFilter::kWords> wanted{};
  // Block 2 of 4; in each word the bit that the upper five bits of its salt name.
  const std::array<unsigned, BlockFilter::kWords> bits = {13, 23, 7, 20, 10, 19, 3, 11};
  for (unsigned i = 0; i < BlockFilter::kWords; ++i)
    wanted[2 * BlockFilter::kWords + i] = 1U << bits[i];
  for (std::size_t i = 0; i < words.size(); ++i)
    EXPECT_EQ(words[i].load(), wanted[i]) << i;
  BlockFilter::add(words.data(), 4, {0x0000'0000'1234'5678, 0});
  EXPECT_EQ(words[0].load(), 1U << 2);
  EXPECT_EQ(words[7].load(), 1U << 0);
}

TEST(BlockFilter, NothingPassesAnEmptyOne) {
  const Filled filled({}, 8);
  for (const Hash128& key : random_keys(1000, 5))
    ASSERT_FALSE(filled.view().passes(key));
}

TEST(BlockFilter, StaysInsideItsMemory) {
  const Filled filled(random_keys(1000, 6), 12);
  const BlockFilter view = filled.view();
  const BlockFilter::Word* const first = view.block_of({0, 0});
  EXPECT_EQ(view.block_of({~std::uint64_t{0}, 0}),
            first + (filled.blocks() - 1) * BlockFilter::kWords);
  for (const Hash128& key : random_keys(1000, 7)) {
    ASSERT_GE(view.block_of(key), first);
    ASSERT_LT(view.block_of(key), first + filled.blocks() * BlockFilter::kWords);
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
