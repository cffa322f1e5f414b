// The properties of the frame fuzz target (tests/fuzz/frame_fuzz.cpp) over its seeds, every
// truncation of them, and many random changes: so that they hold in every build, not only where
// libFuzzer is.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  for (const auto& entry : std::filesystem::directory_iterator(FRAME_SEEDS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    all.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return all;
}

void run(const Bytes& input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

TEST(FrameProperties, SeedsAndTheirTruncations) {
  const auto all = seeds();
  ASSERT_GE(all.size(), 10u);
  for (const Bytes& seed : all) {
    for (std::size_t n = 0; n <= seed.size(); ++n)
      run(Bytes(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(n)));
  }
}

TEST(FrameProperties, EveryByteChanged) {
  for (const Bytes& seed : seeds()) {
    for (std::size_t at = 0; at < seed.size(); ++at) {
      Bytes changed = seed;
      for (unsigned value = 0; value < 256; ++value) {
        changed[at] = static_cast<std::uint8_t>(value);
        run(changed);
      }
    }
  }
}

TEST(FrameProperties, RandomChanges) {
  const auto all = seeds();
  std::mt19937_64 random(20240607);
  for (unsigned i = 0; i < 200'000; ++i) {
    Bytes changed = all[random() % all.size()];
    for (std::uint64_t n = random() % 6; n > 0; --n)
      changed[random() % changed.size()] = static_cast<std::uint8_t>(random());
    if (random() % 8 == 0) changed.resize(random() % 300);
    run(changed);
  }
}

}  // namespace
