// What the processes of the link benchmark agree on: ids by number, and the router's address. Pure;
// any thread.
#pragma once

#include "sluice/base/bytes.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::perf {

inline const IpAddress kRouterAddress = IpAddress::v4(Big32(0x0a0000feu));

// splitmix64: a permutation, so ids look random and are distinct.
inline std::uint64_t scramble(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

inline Id bench_id(std::uint64_t number) {
  Id id;
  store(id.bytes.data(), scramble(number));
  store(id.bytes.data() + 8, scramble(~number));
  return id;
}

}  // namespace sluice::perf
