// Overlays that are used again: empty as new ones, no more than may be kept, none for ever.
#include "controlplane/store/overlay/overlay_pool.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace sluice::controlplane::store {
namespace {

constexpr std::uint64_t kBytes = 1 << 20;

const KeyHasher& hasher() {
  static const KeyHasher made(HashKey{{9}}, IdPasses::kOne);
  return made;
}

Hash128 hash_of(std::uint64_t key) {
  Id id{};
  std::memcpy(id.bytes.data(), &key, sizeof key);
  return hasher()(1, 2, id.bytes);
}

void put(Overlay& overlay, std::uint64_t key) {
  Id id{};
  std::memcpy(id.bytes.data(), &key, sizeof key);
  overlay.apply({.hash = hash_of(key),
                 .sequence = key + 1,
                 .table = 1,
                 .tenant = 2,
                 .op = Op::kPut,
                 .key = id.bytes,
                 .inline_value = key},
                hasher());
}

std::uint64_t fill(Overlay& overlay) {
  std::uint64_t key = 0;
  for (; overlay.fits(1, sizeof(Id)); ++key)
    put(overlay, key);
  return key;
}

TEST(OverlayPool, WhatComesBackIsAsGoodAsNew) {
  const auto pool = std::make_shared<OverlayPool>(kBytes);
  auto overlay = pool->take(Form::kCompact, kBytes);
  const Overlay* const first = overlay.get();
  const std::uint64_t keys = fill(*overlay);
  overlay.reset();
  EXPECT_EQ(pool->spares(), 1U);

  overlay = pool->take(Form::kCompact, kBytes);
  ASSERT_EQ(overlay.get(), first);
  EXPECT_EQ(pool->spares(), 0U);
  EXPECT_TRUE(overlay->empty());
  EXPECT_EQ(overlay->bytes_used(), 0U);
  EXPECT_EQ(overlay->min_sequence(), 0U);
  EXPECT_EQ(overlay->max_sequence(), 0U);
  EXPECT_TRUE(overlay->keys().empty());
  for (std::uint64_t key = 0; key < keys; ++key) {
    std::uint64_t value = 0;
    ASSERT_FALSE(overlay->find(hash_of(key), value));
    ASSERT_FALSE(overlay->filter().passes(hash_of(key)));
  }
  EXPECT_EQ(fill(*overlay), keys);
}

TEST(OverlayPool, OneOfAnotherFormOrSizeIsNotTaken) {
  const auto pool = std::make_shared<OverlayPool>(4 * kBytes);
  const Overlay* const spare = pool->take(Form::kCompact, kBytes).get();
  ASSERT_EQ(pool->spares(), 1U);
  const auto exact = pool->take(Form::kExact, kBytes);
  const auto large = pool->take(Form::kCompact, 2 * kBytes);
  EXPECT_EQ(exact->form(), Form::kExact);
  EXPECT_EQ(large->bytes(), 2 * kBytes);
  EXPECT_EQ(pool->spares(), 1U);
  EXPECT_EQ(pool->take(Form::kCompact, kBytes).get(), spare);
}

TEST(OverlayPool, KeepsNoMoreThanItMayAndTheNewest) {
  const auto pool = std::make_shared<OverlayPool>(2 * kBytes);
  auto a = pool->take(Form::kCompact, kBytes);
  auto b = pool->take(Form::kExact, kBytes);
  auto c = pool->take(Form::kExact, kBytes);
  const Overlay* const last = c.get();
  a.reset();
  b.reset();
  c.reset();
  EXPECT_EQ(pool->spares(), 2U);  // the compact one went
  EXPECT_NE(pool->take(Form::kExact, kBytes), nullptr);
  EXPECT_EQ(pool->spares(), 2U);
  // A large one alone may stay, too.
  const Overlay* const large = pool->take(Form::kExact, 3 * kBytes).get();
  EXPECT_EQ(pool->spares(), 1U);
  EXPECT_EQ(pool->take(Form::kExact, 3 * kBytes).get(), large);
  EXPECT_NE(large, last);
}

TEST(OverlayPool, SparesThatNobodyTakesAreFreed) {
  const auto pool = std::make_shared<OverlayPool>(4 * kBytes);
  pool->take(Form::kCompact, kBytes).reset();
  for (int second = 0; second < 9; ++second)
    pool->tick();
  EXPECT_EQ(pool->spares(), 1U);
  pool->take(Form::kCompact, kBytes).reset();  // begins anew
  for (int second = 0; second < 9; ++second)
    pool->tick();
  EXPECT_EQ(pool->spares(), 1U);
  pool->tick();
  EXPECT_EQ(pool->spares(), 0U);
  EXPECT_NE(pool->take(Form::kCompact, kBytes), nullptr);
}

TEST(OverlayPool, OverlaysMayOutliveTheirOwner) {
  auto pool = std::make_shared<OverlayPool>(kBytes);
  const auto overlay = pool->take(Form::kCompact, kBytes);
  pool.reset();
  put(*overlay, 1);
  std::uint64_t value = 0;
  EXPECT_TRUE(overlay->find(hash_of(1), value));
}

}  // namespace
}  // namespace sluice::controlplane::store
