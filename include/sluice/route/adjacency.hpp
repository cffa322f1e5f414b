// An adjacency: everything needed to rewrite a message towards one host or router. One cache line,
// read by workers for every message, written only by the applier.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "sluice/base/cacheline.hpp"
#include "sluice/route/limits.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice {

enum class AdjacencyState : std::uint8_t {
  kFree = 0,
  kUnresolved = 1,  // the host is known, its link-layer address is not (yet): messages are held
  kUp = 2,
  kDown = 3,  // use the backup, else the message is undeliverable
};
inline constexpr std::uint8_t kMaxAdjacencyState = 3;

inline constexpr std::size_t kMaxL2Bytes = sizeof(EthernetHeader) + sizeof(VlanHeader);

struct alignas(kCacheLineBytes) Adjacency {
  std::array<std::uint8_t, kMaxL2Bytes> l2;  // complete header as sent, type field included
  std::uint8_t l2_bytes;                     // 14 or 18
  AdjacencyState state;
  Family family;
  std::uint8_t epoch;
  std::uint16_t port;
  std::array<std::uint8_t, 16> source;  // IPv4: in the first 4 bytes
  std::array<std::uint8_t, 16> destination;
  std::uint32_t backup;       // adjacency index or kNoIndex
  std::uint16_t mtu;          // largest IP packet, bytes
  std::uint16_t address_sum;  // folded checksum_add of source and destination
};
static_assert(sizeof(Adjacency) == kCacheLineBytes);

}  // namespace sluice
