// The direct reader of rte_hash against the library, on tables whose hashes are chosen: full
// buckets, equal signatures, moved and deleted entries; and the tables that it must refuse.
#include "dataplane/table/hash_reader.hpp"

#include <gtest/gtest.h>
#include <rte_hash.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/eal.hpp"
#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::id_of;

struct FreeHash {
  void operator()(rte_hash* table) const noexcept { rte_hash_free(table); }
};
using Hash = std::unique_ptr<rte_hash, FreeHash>;

rte_hash_parameters parameters_for(std::uint32_t entries) {
  rte_hash_parameters parameters{};
  parameters.name = "reader_test";
  parameters.entries = entries;
  parameters.key_len = sizeof(Id);
  parameters.socket_id = SOCKET_ID_ANY;
  parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
  return parameters;
}

class HashReaderTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { testing::start_eal(); }

  void make(std::uint32_t entries) {
    const rte_hash_parameters parameters = parameters_for(entries);
    table_.reset();  // names are unique
    table_.reset(rte_hash_create(&parameters));
    ASSERT_NE(table_, nullptr);
    reader_ = HashReader::attach(table_.get(), entries);
    ASSERT_TRUE(reader_) << "not the layout of the library that this was written for";
  }
  bool set(const Id& id, std::uint32_t hash, std::uint64_t value) {
    return rte_hash_add_key_with_hash_data(table_.get(), &id, hash,
                                           reinterpret_cast<void*>(value)) == 0;
  }
  // Takes the place out of use and free again at once: nobody else reads.
  void erase(const Id& id, std::uint32_t hash) {
    const std::int32_t position = rte_hash_del_key_with_hash(table_.get(), &id, hash);
    if (position >= 0) rte_hash_free_key_with_position(table_.get(), position);
  }
  Action by_library(const Id& id, std::uint32_t hash) const {
    void* value = nullptr;
    rte_hash_lookup_with_hash_data(table_.get(), &id, hash, &value);
    return Action::from_bits(reinterpret_cast<std::uintptr_t>(value));
  }
  // The ways for near and far tables.
  void find_by_turns(const Id* ids, const std::uint32_t* hashes, unsigned n, Action* out) {
    far_ = !far_;
    if (far_) return reader_->find_at<Distance::kFar>(ids, hashes, n, out);
    reader_->find_at<Distance::kNear>(ids, hashes, n, out);
  }
  // Bursts of every size, and one by one.
  unsigned expect_agreement(const std::vector<Id>& ids, const std::vector<std::uint32_t>& hashes) {
    unsigned hits = 0;
    std::array<Action, HashReader::kMaxBurst> out;
    unsigned n = 1;
    for (std::size_t at = 0; at + n <= ids.size(); at += n, n = n % HashReader::kMaxBurst + 1) {
      out.fill(Action::from_bits(~0ULL));
      find_by_turns(&ids[at], &hashes[at], n, out.data());
      for (unsigned i = 0; i < n; ++i) {
        const Action expected = by_library(ids[at + i], hashes[at + i]);
        EXPECT_EQ(out[i], expected) << "number " << at + i;
        EXPECT_EQ(reader_->find(ids[at + i], hashes[at + i]), expected) << "number " << at + i;
        hits += expected.kind() != ActionKind::kNone ? 1 : 0;
      }
      for (unsigned i = n; i < HashReader::kMaxBurst; ++i)
        EXPECT_EQ(out[i].bits(), ~0ULL) << "beyond the burst";
    }
    return hits;
  }

  Hash table_;
  std::optional<HashReader> reader_;
  bool far_ = false;
};

// Hashes out of a small set: many ids share both buckets and the signature.
TEST_F(HashReaderTest, AgreesWithTheLibraryUnderEveryMixture) {
  for (const unsigned distinct : {40U, 4000U, 1U << 20}) {
    ASSERT_NO_FATAL_FAILURE(make(4095));
    std::mt19937_64 random(distinct);
    std::vector<Id> ids;
    std::vector<std::uint32_t> hashes;
    for (std::uint64_t number = 0; number < 9000; ++number) {
      ids.push_back(id_of(number + 1));
      hashes.push_back(static_cast<std::uint32_t>(random() % distinct * 0x9e3779b1U));
    }
    for (unsigned round = 0; round < 3; ++round) {
      for (unsigned i = 0; i < 9000; ++i) {
        const std::uint64_t draw = random();
        if (draw % 3 == 0) {
          erase(ids[i], hashes[i]);
        } else if (draw % 3 == 1) {
          set(ids[i], hashes[i], draw | 2);
        }
      }
      EXPECT_GT(expect_agreement(ids, hashes), distinct == 40 ? 200U : 2500U);
    }
  }
}

TEST_F(HashReaderTest, NilIdIsAnIdLikeOthers) {
  ASSERT_NO_FATAL_FAILURE(make(255));
  const Id nil{};
  EXPECT_EQ(reader_->find(nil, 5), Action{});
  ASSERT_TRUE(set(nil, 5, 77));
  EXPECT_EQ(reader_->find(nil, 5).bits(), 77U);
  EXPECT_EQ(reader_->find(nil, 6), Action{});
  erase(nil, 5);
  EXPECT_EQ(reader_->find(nil, 5), Action{});
}

// The first entry with the signature was deleted; the id is behind it, in the same bucket.
TEST_F(HashReaderTest, LooksBehindAnEmptiedPlace) {
  ASSERT_NO_FATAL_FAILURE(make(255));
  for (std::uint64_t number = 1; number <= 12; ++number)
    ASSERT_TRUE(set(id_of(number), 0x12340007, number << 8));
  for (std::uint64_t gone = 1; gone <= 12; ++gone) {
    const Id gone_id = id_of(gone);
    rte_hash_del_key_with_hash(table_.get(), &gone_id, 0x12340007);
    for (std::uint64_t number = 1; number <= 12; ++number) {
      const Id id = id_of(number);
      const std::uint32_t hash = 0x12340007;
      Action found;
      reader_->find(&id, &hash, 1, &found);
      EXPECT_EQ(found.bits(), number > gone ? number << 8 : 0) << gone << " " << number;
    }
  }
}

TEST_F(HashReaderTest, RefusesTablesOfAnotherShape) {
  const auto refused = [](const rte_hash_parameters& parameters, std::uint32_t entries) {
    const Hash table(rte_hash_create(&parameters));
    EXPECT_NE(table, nullptr);
    return !HashReader::attach(table.get(), entries);
  };
  EXPECT_FALSE(refused(parameters_for(1000), 1000));
  EXPECT_TRUE(refused(parameters_for(1000), 1001)) << "entries";
  rte_hash_parameters other = parameters_for(1000);
  other.key_len = 24;
  EXPECT_TRUE(refused(other, 1000)) << "length of keys";
  other = parameters_for(1000);
  other.extra_flag |= RTE_HASH_EXTRA_FLAGS_EXT_TABLE;
  EXPECT_TRUE(refused(other, 1000)) << "extendable buckets";
  other = parameters_for(1000);
  other.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY;
  EXPECT_TRUE(refused(other, 1000)) << "with locks";
  other = parameters_for(1000);
  other.extra_flag = 0;
  EXPECT_TRUE(refused(other, 1000)) << "not concurrent";
}

// What is no rte_hash at all, or one whose pointers lead nowhere, is not followed.
TEST_F(HashReaderTest, FollowsNoPointerOutOfTheHeap) {
  alignas(64) std::array<std::uint8_t, 1024> bytes{};
  EXPECT_FALSE(HashReader::attach(reinterpret_cast<const rte_hash*>(bytes.data()), 1000));
  EXPECT_FALSE(HashReader::attach(nullptr, 1000));
}

}  // namespace
}  // namespace sluice::dataplane
