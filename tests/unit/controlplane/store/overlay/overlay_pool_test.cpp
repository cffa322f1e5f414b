// Overlays that are used again: empty as new ones, no more than were needed lately.
#include "controlplane/store/overlay/overlay_pool.hpp"

#include <gtest/gtest.h>

#include <array>
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
  const auto pool = std::make_shared<OverlayPool>();
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
  const auto pool = std::make_shared<OverlayPool>();
  const Overlay* const spare = pool->take(Form::kCompact, kBytes).get();
  ASSERT_EQ(pool->spares(), 1U);
  const auto exact = pool->take(Form::kExact, kBytes);
  const auto large = pool->take(Form::kCompact, 2 * kBytes);
  EXPECT_EQ(exact->form(), Form::kExact);
  EXPECT_EQ(large->bytes(), 2 * kBytes);
  EXPECT_EQ(pool->spares(), 1U);
  EXPECT_EQ(pool->take(Form::kCompact, kBytes).get(), spare);
}

void tick_for(OverlayPool& pool, int seconds) {
  for (int second = 0; second < seconds; ++second)
    pool.tick();
}

TEST(OverlayPool, KeepsWhatWasNeededLately) {
  const auto pool = std::make_shared<OverlayPool>();
  auto take = [&] { return pool->take(Form::kCompact, kBytes); };
  {
    const std::array busy = {take(), take(), take(), take()};
  }
  EXPECT_EQ(pool->spares(), 4U);
  tick_for(*pool, 10);
  EXPECT_EQ(pool->spares(), 4U);  // in this window there were none at first
  {
    const std::array less_busy = {take(), take(), take()};
  }
  tick_for(*pool, 10);
  EXPECT_EQ(pool->spares(), 3U);
  {
    const auto one = take();
    tick_for(*pool, 9);
    EXPECT_EQ(pool->spares(), 2U);
  }
  tick_for(*pool, 1);
  EXPECT_EQ(pool->spares(), 1U);
  tick_for(*pool, 10);
  EXPECT_EQ(pool->spares(), 0U);
  EXPECT_NE(take(), nullptr);
}

TEST(OverlayPool, WhatNobodyCanTakeGoesFirst) {
  const auto pool = std::make_shared<OverlayPool>();
  pool->take(Form::kExact, kBytes).reset();
  pool->take(Form::kCompact, kBytes).reset();
  ASSERT_EQ(pool->spares(), 2U);
  tick_for(*pool, 10);
  pool->take(Form::kCompact, kBytes).reset();
  tick_for(*pool, 10);
  ASSERT_EQ(pool->spares(), 1U);
  (void)pool->take(Form::kCompact, kBytes);
  EXPECT_EQ(pool->spares(), 1U);  // it was the compact one
}

TEST(OverlayPool, OverlaysMayOutliveTheirOwner) {
  auto pool = std::make_shared<OverlayPool>();
  const auto overlay = pool->take(Form::kCompact, kBytes);
  pool.reset();
  put(*overlay, 1);
  std::uint64_t value = 0;
  EXPECT_TRUE(overlay->find(hash_of(1), value));
}

}  // namespace
}  // namespace sluice::controlplane::store
