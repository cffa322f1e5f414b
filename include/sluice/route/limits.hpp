// Fixed limits that both processes, the shared memory layout and the packed action depend on.
// Changing one bumps the layout version of sluice/link/region.hpp.
#pragma once

#include <cstdint>

namespace sluice {

inline constexpr std::uint32_t kMaxPorts = 32;
inline constexpr std::uint32_t kMaxWorkers = 64;
inline constexpr std::uint32_t kMaxAdjacencies = 1u << 20;  // 20-bit index of an action
inline constexpr std::uint32_t kMaxGroups = 1u << 20;
inline constexpr std::uint32_t kMaxGroupMembers = 64;
inline constexpr std::uint32_t kMaxLocalAddressesPerPort = 16;
inline constexpr std::uint32_t kMaxPeers = 1024;
inline constexpr std::uint32_t kMaxAllowedPerTenant = 256;
inline constexpr std::uint32_t kNoIndex = UINT32_MAX;

}  // namespace sluice
