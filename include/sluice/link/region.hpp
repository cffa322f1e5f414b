// The shared region of one connection between control plane and dataplane: a memfd made by the
// dataplane for that connection only and handed over by SCM_RIGHTS. Layout is fixed at compile
// time: both sides compare magic, version and size, and nothing in the region tells where anything
// lies.
//
// Socket: SEQPACKET at <run-dir>/dataplane.sock. The control plane connects and sends Hello; the
// dataplane answers Welcome with four descriptors in this order: region memfd (read-write), status
// memfd (read-only), eventfd that wakes the dataplane, eventfd that wakes the control plane; or
// Welcome with a refusal and none. A closed socket is the end of the connection for both, and the
// region is never used again. After Welcome the control plane sends nothing but BaseOffer on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "sluice/base/cacheline.hpp"
#include "sluice/link/messages.hpp"
#include "sluice/link/ring.hpp"

namespace sluice::link {

inline constexpr std::uint64_t kRegionMagic = 0x31474552434c53ULL;  // "SLCREG1"
inline constexpr std::uint32_t kLayoutVersion = 2;

using CommandRing = Ring<Command, 65536>;
using EventRing = Ring<Event, 8192>;
using PuntRing = Ring<Slot, 1024>;
using InjectRing = Ring<Slot, 1024>;

struct alignas(4096) Region {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t reserved;
  std::uint64_t bytes;
  std::uint64_t dataplane_instance;  // StatusSegment::instance
  std::uint64_t connection;          // counts up within one instance
  std::uint8_t last_epoch;  // of the dataplane's tables when the connection began; 0: none yet
  std::array<std::uint8_t, 7> reserved2;

  // Written by the dataplane.
  alignas(kCacheLineBytes) std::uint64_t dataplane_heartbeat_ns;  // monotonic
  std::uint64_t applied_sequence;  // commands of this connection that took effect or were refused
  std::uint64_t events_lost;       // the event ring was full
  std::uint64_t punts_lost;

  // Written by the control plane.
  alignas(kCacheLineBytes) std::uint64_t controlplane_heartbeat_ns;  // monotonic

  CommandRing commands;
  EventRing events;
  PuntRing punts;
  InjectRing injects;
};
static_assert(std::is_trivially_copyable_v<Region>);

inline constexpr std::uint64_t kHeartbeatPeriodNs = 100'000'000;
// A peer that is connected but silent for so long is reported as stalled (not disconnected).
inline constexpr std::uint64_t kHeartbeatStalledNs = 2'000'000'000;

struct Hello {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t pid;
  std::uint64_t region_bytes;
  std::uint64_t status_bytes;
};
static_assert(sizeof(Hello) == 32);

enum class WelcomeResult : std::uint32_t {
  kAccepted = 0,
  kWrongVersion = 1,  // layout version or sizes differ: the two programs are of different builds
  kBusy = 2,          // another control plane is connected
  kBadHello = 3,
  kNoMemory = 4,
};
struct Welcome {
  std::uint64_t magic;
  std::uint32_t layout_version;
  WelcomeResult result;
  std::uint32_t other_pid;  // kBusy: who is connected
  std::uint32_t reserved;
};
static_assert(sizeof(Welcome) == 24);

}  // namespace sluice::link
