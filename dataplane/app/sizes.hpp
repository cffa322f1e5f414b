// Fixed sizes of the rings between threads and of buffer caches. Constants; the memory plan counts
// with them before anything is allocated.
#pragma once

#include <cstdint>

namespace sluice::dataplane {

// All powers of two (rte_ring). To the manager: what comes within one of its turns at full rate
// and is not a message; more is dropped and counted.
inline constexpr std::uint32_t kToHostRing = 1024;
inline constexpr std::uint32_t kToHoldRing = 4096;
inline constexpr std::uint32_t kToControlRing = 1024;
inline constexpr std::uint32_t kReleaseRing = 4096;
inline constexpr std::uint32_t kTransmitRing = 1024;
inline constexpr std::uint32_t kTraceRing = 256;
inline constexpr std::uint32_t kDeniedRing = 256;
inline constexpr std::uint32_t kWorkerRing = 2048;  // dispatch and transmission between workers

inline constexpr std::uint32_t kMempoolCache = 256;  // buffers kept by each lcore

}  // namespace sluice::dataplane
