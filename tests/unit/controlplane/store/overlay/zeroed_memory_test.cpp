// Memory for tables: zero, all of it there, and large ones in whole huge pages.
#include "controlplane/store/overlay/zeroed_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>

namespace sluice::controlplane::store {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;

TEST(ZeroedMemory, IsZeroAndWritableToItsEnd) {
  for (const std::size_t bytes : {std::size_t{1}, kHuge / 2 - 1, kHuge / 2, kHuge, 3 * kHuge + 5}) {
    const ZeroedMemory memory(bytes);
    ASSERT_EQ(memory.size(), bytes);
    const std::span all(static_cast<std::uint8_t*>(memory.data()), bytes);
    EXPECT_TRUE(std::ranges::all_of(all, [](std::uint8_t byte) { return byte == 0; }));
    std::ranges::fill(all, std::uint8_t{1});
  }
}

TEST(ZeroedMemory, LargeTablesBeginAtAHugePage) {
  for (const std::size_t bytes : {kHuge / 2, kHuge + 4096, 5 * kHuge}) {
    const ZeroedMemory memory(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % kHuge, 0U) << bytes;
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
