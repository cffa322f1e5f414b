// The overlay against a map, its sets, its bounds, and readers beside the writer.
#include "controlplane/store/overlay/overlay.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/store/overlay/overlay_source.hpp"
#include "controlplane/store/segment/hash_order.hpp"

namespace sluice::controlplane::store {
namespace {

const KeyHasher& hasher() {
  static const KeyHasher made(HashKey{{9}}, IdPasses::kOne);
  return made;
}

std::vector<std::uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

class Writer {
 public:
  Writer(Form form, std::uint64_t bytes) : overlay(form, bytes) {}

  Hash128 hash(std::uint32_t key) const { return hasher()(1, 2, key_bytes(key)); }
  void put(std::uint32_t key, std::uint64_t number) { write(Op::kPut, key, number, ""); }
  void put(std::uint32_t key, const std::string& record) { write(Op::kPut, key, 0, record); }
  void erase(std::uint32_t key) { write(Op::kDelete, key, 0, ""); }
  void add(std::uint32_t key, const std::string& element) { write(Op::kSetAdd, key, 0, element); }
  void remove(std::uint32_t key, const std::string& element) {
    write(Op::kSetRemove, key, 0, element);
  }

  // "+a -b !" for add a, remove b, cleared; sorted.
  std::string set(std::uint32_t key) const {
    std::multiset<std::string> parts;
    for (const Overlay::Node* node = overlay.find(hash(key)); node != nullptr; node = node->next) {
      const auto value = node->value();
      const std::string text(value.begin(), value.end());
      if (node->operation() == Op::kDelete) parts.insert("!");
      if (node->operation() == Op::kSetAdd) parts.insert("+" + text);
      if (node->operation() == Op::kSetRemove) parts.insert("-" + text);
    }
    std::string all;
    for (const std::string& part : parts)
      all.append(all.empty() ? "" : " ").append(part);
    return all;
  }

  Overlay overlay;

 private:
  static std::array<std::uint8_t, 16> key_bytes(std::uint32_t key) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &key, sizeof key);
    return bytes;
  }
  void write(Op op, std::uint32_t key, std::uint64_t number, const std::string& value) {
    const auto key_copy = key_bytes(key);
    const auto value_copy = bytes_of(value);
    overlay.apply({.hash = hash(key),
                   .sequence = ++sequence_,
                   .table = 1,
                   .tenant = 2,
                   .op = op,
                   .key = key_copy,
                   .inline_value = number,
                   .value = value_copy},
                  hasher());
  }

  std::uint64_t sequence_ = 0;
};

TEST(Overlay, NumbersAgreeWithAMap) {
  Writer writer(Form::kCompact, 1 << 20);
  std::map<std::uint32_t, std::uint64_t> model;
  std::mt19937 random(1);
  for (int i = 0; i < 50'000; ++i) {
    const std::uint32_t key = random() % 4096;
    if (random() % 4 == 0) {
      writer.erase(key);
      model[key] = kDeletedValue;
    } else {
      writer.put(key, static_cast<std::uint64_t>(i));
      model[key] = static_cast<std::uint64_t>(i);
    }
  }
  unsigned strangers_passed = 0;
  for (std::uint32_t key = 0; key < 8192; ++key) {
    std::uint64_t value = 0;
    const bool found = writer.overlay.find(writer.hash(key), value);
    ASSERT_EQ(found, model.contains(key));
    if (found) {
      ASSERT_EQ(value, model[key]);
      ASSERT_TRUE(writer.overlay.filter().passes(writer.hash(key)));
    } else {
      strangers_passed += writer.overlay.filter().passes(writer.hash(key));
    }
  }
  EXPECT_LT(strangers_passed, 4096 / 20);
  EXPECT_EQ(writer.overlay.entries(), model.size());
  EXPECT_EQ(writer.overlay.keys().size(), model.size());
  EXPECT_EQ(writer.overlay.min_sequence(), 1U);
  EXPECT_EQ(writer.overlay.max_sequence(), 50'000U);
}

TEST(Overlay, RecordsAreReplacedAndDeleted) {
  Writer writer(Form::kExact, 1 << 20);
  writer.put(1, std::string("first"));
  writer.put(1, std::string("second, longer"));
  writer.put(2, std::string());
  writer.erase(3);
  const Overlay::Node* const one = writer.overlay.find(writer.hash(1));
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(one->operation(), Op::kPut);
  EXPECT_EQ(std::string(one->value().begin(), one->value().end()), "second, longer");
  EXPECT_EQ(one->tenant, 2);
  EXPECT_EQ(one->table, 1);
  EXPECT_EQ(one->key().size(), 16U);
  EXPECT_EQ(one->sequence, 2U);
  EXPECT_EQ(writer.overlay.find(writer.hash(2))->value().size(), 0U);
  EXPECT_EQ(writer.overlay.find(writer.hash(3))->operation(), Op::kDelete);
  EXPECT_EQ(writer.overlay.find(writer.hash(4)), nullptr);
}

TEST(Overlay, SetsKeepTheNewestOperationOfEachElement) {
  Writer writer(Form::kExact, 1 << 20);
  writer.add(1, "a");
  writer.add(1, "b");
  writer.remove(1, "a");
  writer.remove(1, "c");
  EXPECT_EQ(writer.set(1), "+b -a -c");
  writer.erase(1);
  EXPECT_EQ(writer.set(1), "!");
  writer.add(1, "a");
  EXPECT_EQ(writer.set(1), "! +a");
  writer.remove(1, "a");
  writer.add(1, "b");
  EXPECT_EQ(writer.set(1), "! +b -a");
  EXPECT_EQ(writer.overlay.keys().size(), 1U);  // the elements' slots are no keys
  writer.add(2, "a");
  EXPECT_EQ(writer.set(2), "+a");
  EXPECT_EQ(writer.overlay.keys().size(), 2U);
}

TEST(Overlay, SaysWhenItIsFullBeforeItIs) {
  Writer writer(Form::kCompact, 128 << 10);
  std::uint32_t key = 0;
  while (writer.overlay.fits(1, 16)) {
    ++key;
    writer.put(key, std::uint64_t{key});
  }
  EXPECT_GT(key, 500U);
  EXPECT_DOUBLE_EQ(writer.overlay.filled(), 1);
  EXPECT_LT(writer.overlay.bytes_used(), (128U << 10) * 2);
  for (std::uint32_t k = 1; k <= key; ++k) {
    std::uint64_t value = 0;
    ASSERT_TRUE(writer.overlay.find(writer.hash(k), value));
    ASSERT_EQ(value, k);
  }
  Writer empty(Form::kExact, 1);
  EXPECT_TRUE(empty.overlay.fits(1, kMaxKeyBytes + kMaxRecordBytes));
}

// Whichever ends first: slots, or the arena.
TEST(Overlay, FilledGoesFromNothingToOne) {
  for (const std::size_t bytes : {1, 500, 5000}) {
    Writer writer(Form::kExact, 4 << 20);
    EXPECT_EQ(writer.overlay.filled(), 0);
    double before = 0;
    for (std::uint32_t key = 0; writer.overlay.fits(1, 16 + bytes); ++key) {
      writer.put(key, std::string(bytes, 'v'));
      ASSERT_GT(writer.overlay.filled(), before);
      before = writer.overlay.filled();
    }
    EXPECT_GT(before, 0.99) << bytes;
    EXPECT_LE(before, 1) << bytes;
  }
}

// Pages of a large table that nothing was written to stay the kernel's: neither looked at nor
// cleared.
TEST(Overlay, WhatItCostsIsWhatItHolds) {
  const auto faults = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  const auto resident_pages = [] {
    std::uint64_t all = 0;
    std::uint64_t resident = 0;
    std::ifstream("/proc/self/statm") >> all >> resident;
    return resident;
  };
  Writer writer(Form::kExact, 512 << 20);
  for (std::uint32_t key = 0; key < 5; ++key)
    writer.put(key, std::string("v"));
  const auto faults_before = faults();
  EXPECT_EQ(writer.overlay.keys().size(), 5U);
  EXPECT_LT(faults() - faults_before, 20);
  const auto pages_before = resident_pages();
  writer.overlay.clear();
  EXPECT_LT(resident_pages(), pages_before + 8192);
  EXPECT_TRUE(writer.overlay.keys().empty());
}

// Each takes two slots: its key's and its own.
TEST(Overlay, SetsOfOneElementFillIt) {
  Writer writer(Form::kExact, 1);
  std::uint32_t keys = 0;
  while (writer.overlay.fits(1, 16 + 1))
    writer.add(++keys, "e");
  EXPECT_GT(keys, 300U);
  for (std::uint32_t key = 1; key <= keys; ++key)
    ASSERT_EQ(writer.set(key), "+e");
  EXPECT_EQ(writer.set(keys + 1), "");
  EXPECT_EQ(writer.overlay.keys().size(), keys);
}

// Keys of the last line go on at the beginning of the table, and are still last in the order.
TEST(Overlay, ASourceIsInOrderAlsoAroundTheEndOfTheTable) {
  const auto overlay = std::make_shared<Overlay>(Form::kCompact, 1);
  std::mt19937_64 random(3);
  std::uint64_t keys = 0;
  for (; overlay->fits(1, sizeof(Id)); ++keys) {
    const std::uint64_t lo = keys % 8 == 0 ? ~(random() >> 32) : random();
    const Id id{};
    Entry entry{.hash = {lo, random()}, .sequence = keys + 1, .op = Op::kPut};
    entry.key = id.bytes;
    overlay->apply(entry, hasher());
  }
  OverlaySource source(overlay);
  Entry before;
  Entry entry;
  std::uint64_t seen = 0;
  for (; source.next(entry).value(); ++seen, before = entry) {
    std::uint64_t value = 0;
    ASSERT_TRUE(overlay->find(entry.hash, value));
    if (seen != 0) {
      ASSERT_TRUE(order(before.hash, entry.hash) < 0);
    }
  }
  EXPECT_EQ(seen, keys);
}

// Meaningful under the thread sanitizer; elsewhere it checks that readers never see half an entry.
TEST(Overlay, ReadersSeeWholeEntriesBesideTheWriter) {
  Writer numbers(Form::kCompact, 1 << 20);
  Writer sets(Form::kExact, 1 << 20);
  constexpr std::uint32_t kKeys = 4000;
  std::atomic<std::uint32_t> written{0};
  std::thread reader([&] {
    std::uint32_t upto = 0;
    while (upto < kKeys) {
      upto = written.load(std::memory_order_acquire);
      for (std::uint32_t key = upto > 50 ? upto - 50 : 1; key <= upto; ++key) {
        std::uint64_t value = 0;
        ASSERT_TRUE(numbers.overlay.find(numbers.hash(key), value));
        ASSERT_TRUE(value == key || value == key + kKeys);
        ASSERT_EQ(sets.set(key % 8).find(std::string("+e").append(std::to_string(key % 16))) ==
                      std::string::npos,
                  false);
      }
    }
  });
  for (std::uint32_t key = 1; key <= kKeys; ++key) {
    numbers.put(key, std::uint64_t{key});
    sets.add(key % 8, std::string("e").append(std::to_string(key % 16)));
    written.store(key, std::memory_order_release);
    numbers.put(key, std::uint64_t{key} + kKeys);
  }
  reader.join();
}

// A slot that was free when a reader came to it may have another key at the next look. Until many
// keys were written in the midst of looking, which takes two CPUs; alone it is a formality.
TEST(Overlay, AKeyThatIsNotThereIsNotTakenForOneThatComes) {
  constexpr std::uint64_t kMostKeys = 20'000;
  constexpr unsigned kWantedBeside = 1000;
  constexpr unsigned kLooks = 2000;  // then the writer may need this CPU
  const auto key = [](std::uint64_t i) { return Hash128{i * 0x9e3779b97f4a7c15U, 1}; };
  const auto stranger = [](std::uint64_t i) { return Hash128{i * 0x9e3779b97f4a7c15U, 2}; };
  for (const Form form : {Form::kCompact, Form::kExact}) {
    Overlay overlay(form, 4 << 20);
    std::atomic<std::uint64_t> looked_for{0};
    std::atomic<std::uint64_t> written{0};
    std::uint64_t found = 0;
    std::thread reader([&] {
      unsigned beside = 0;
      for (std::uint64_t i = 1; i <= kMostKeys && beside < kWantedBeside; ++i) {
        looked_for.store(i, std::memory_order_release);
        unsigned looks = 0;
        while (written.load(std::memory_order_acquire) < i) {
          if (looks++ == kLooks) {
            looks = 0;
            std::this_thread::yield();
          }
          std::uint64_t value = 0;
          found += form == Form::kCompact ? overlay.find(stranger(i), value)
                                          : overlay.find(stranger(i)) != nullptr;
        }
        beside += looks > 1;
      }
      looked_for.store(kMostKeys + 1, std::memory_order_release);
    });
    for (std::uint64_t i = 1;; ++i) {
      while (looked_for.load(std::memory_order_acquire) < i)
        std::this_thread::yield();
      if (looked_for.load(std::memory_order_relaxed) > kMostKeys) break;
      const Id id{};
      Entry entry{.hash = key(i), .sequence = i, .op = Op::kPut};
      entry.key = id.bytes;
      overlay.apply(entry, hasher());
      written.store(i, std::memory_order_release);
    }
    reader.join();
    EXPECT_EQ(found, 0U);
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
