// What the core counts, for metrics and tests: probes, suspicions, refutations, round trips, input
// refused and why. Counters only grow; one thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice::membership {

// Input that was well-formed and yet refused.
enum class Refused : std::uint8_t {
  kVersion,      // protocol or delegate versions do not meet ours
  kAddress,      // nobody can be reached there
  kIncarnation,  // not believed on hearsay
  kFull,         // the list is full
  kStale,        // would bring a dead member back without a higher incarnation
  kConflict,     // same name, another address
  kNotOurs,      // a ping meant for another name
  kRelays,       // too many indirect pings under way
  kTooManyPings,
  kCount,
};

struct CoreStats {
  // Upper bounds of the buckets are 2^i x 64 us; the last one has none.
  static constexpr std::size_t kRttBuckets = 16;

  std::uint64_t probes = 0;
  std::uint64_t probes_failed = 0;
  std::uint64_t probes_by_tcp = 0;  // answered over TCP only: UDP is in trouble
  std::uint64_t suspicions = 0;     // members that became suspected here
  std::uint64_t accusations = 0;    // ... because our own probe failed
  std::uint64_t confirmations = 0;
  std::uint64_t declared_dead = 0;    // a suspicion ran out here
  std::uint64_t refutations = 0;      // we were accused
  std::uint64_t own_words_asked = 0;  // members asked for their incarnation
  std::uint64_t leave_checks = 0;
  std::uint64_t leaves_refuted = 0;  // a leave was a lie
  std::uint64_t rejoin_attempts = 0;
  std::uint64_t push_pulls = 0;
  std::uint64_t push_pulls_failed = 0;
  std::uint64_t digests_sent = 0;
  std::uint64_t digests_differed = 0;  // of those received
  std::uint64_t stalls = 0;            // we were not run for longer than a probe interval
  std::uint64_t rtt_sum_ns = 0;
  std::uint64_t rtt_count = 0;
  std::array<std::uint64_t, kRttBuckets> rtt{};
  std::array<std::uint64_t, static_cast<std::size_t>(Refused::kCount)> refused{};

  void refuse(Refused reason) noexcept { ++refused[static_cast<std::size_t>(reason)]; }
  std::uint64_t refusals(Refused reason) const noexcept {
    return refused[static_cast<std::size_t>(reason)];
  }
  void add_rtt(std::uint64_t ns) noexcept {
    rtt_sum_ns += ns;
    ++rtt_count;
    ++rtt[std::min<std::size_t>(std::bit_width(ns / 64'000), kRttBuckets - 1)];
  }
};

}  // namespace sluice::membership
