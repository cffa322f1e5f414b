// Hashes of keys for tests of what is built from hashes: the same from the same seed, any two
// different. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "sluice/hash/aes_key.hpp"

namespace sluice::controlplane::store {

inline std::vector<Hash128> random_keys(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Hash128> keys(n);
  for (Hash128& key : keys)
    key = {random(), random()};
  return keys;
}

}  // namespace sluice::controlplane::store
