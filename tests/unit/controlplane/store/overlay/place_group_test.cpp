// The eight places at once against one after the other.
#include "controlplane/store/overlay/place_group.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace sluice::controlplane::store {
namespace {

TEST(PlaceGroup, AgreesWithTheReference) {
  std::mt19937 engine(1);
  const auto random = [&] { return static_cast<std::uint32_t>(engine()); };
  struct alignas(32) {
    std::array<Place, kGroupPlaces> at;
  } group{};
  unsigned same = 0;
  for (int round = 0; round < 100'000; ++round) {
    // Few different tags, 0 among them, and sometimes free places in between.
    for (Place& place : group.at)
      place = random() % 5 == 0 ? 0 : (random() % 3) << kTagShift | (1 + random() % 0xff'ffff);
    const std::uint32_t tag = random() % 3;
    const PlaceGroup wanted = look_scalar(group.at.data(), tag);
    const PlaceGroup got = look(group.at.data(), tag);
    ASSERT_EQ(got.same, wanted.same);
    ASSERT_EQ(got.free, wanted.free);
    same += got.same != 0;
  }
  EXPECT_GT(same, 10'000U);
}

}  // namespace
}  // namespace sluice::controlplane::store
