// Ids to look up, made beforehand and read in a stream, as a worker reads them from its messages,
// and the clock around the look-ups. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>
#include <utility>

#include "dataplane/table/node_array.hpp"
#include "perf/support/tsc.hpp"
#include "sluice/base/ids.hpp"

namespace sluice::perf {

// A permutation of the numbers makes ids that look random (splitmix64), distinct for each number.
inline std::uint64_t scramble(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

inline Id scrambled_id(std::uint64_t number) {
  const std::array<std::uint64_t, 2> halves = {scramble(number), scramble(~number)};
  Id id;
  std::memcpy(id.bytes.data(), halves.data(), sizeof id);
  return id;
}

class QueryStream {
 public:
  static constexpr std::size_t kMost = 1U << 22;

  QueryStream() : ids_(std::move(*dataplane::NodeArray<Id>::create(kMost, dataplane::kAnyNode))) {}

  // Ids of numbers below `routes`, in the order "random" or "sequential"; those that shall miss get
  // numbers above.
  void fill(std::size_t routes, std::string_view order, unsigned hit_percent) {
    std::mt19937_64 random(routes + hit_percent);
    for (std::size_t i = 0; i < kMost; ++i) {
      const std::uint64_t draw = random();
      const bool hit = draw % 100 < hit_percent;
      const std::uint64_t number = order == "random" ? (draw >> 8) % routes : i % routes;
      ids_[i] = scrambled_id(hit ? number : routes + (draw >> 8));
    }
  }

  // Of work(ids, burst), for about so many ids. Goes on where the last call stopped.
  template <class Work>
  double cycles_per_id(unsigned burst, std::size_t ids, const Work& work) {
    const std::size_t bursts = std::max<std::size_t>(1, ids / burst);
    const std::uint64_t start = tsc_begin();
    for (std::size_t i = 0; i < bursts; ++i) {
      if (next_ + burst > kMost) next_ = 0;
      work(&ids_[next_], burst);
      next_ += burst;
    }
    const std::uint64_t end = tsc_end();
    return static_cast<double>(end - start) / static_cast<double>(bursts * burst);
  }

 private:
  dataplane::NodeArray<Id> ids_;
  std::size_t next_ = 0;
};

}  // namespace sluice::perf
