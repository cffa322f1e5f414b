// Pass A: sorts the frames of a burst into messages (into the batch, with their ids gathered for
// one lookup), frames for the kernel, and refused ones. Most frames are plain: data in untagged
// IPv4 to the port's first address, and are recognised with a few wide comparisons; every other
// frame goes through parse(). Both agree (tested by fuzzing one against the other). Worker only.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/pipeline/rewrite_plain.hpp"
#include "dataplane/pipeline/verdicts.hpp"

namespace sluice::dataplane {

struct PlainFrame {
  bool plain;
  std::uint16_t udp_bytes;
};

// Of an IPv4 header of 20 bytes that is not all zero: its words sum to 0xffff in one's complement,
// so their sum with end-around carry is a multiple of 0xffff. Such are the numbers whose product
// with the inverse of 0xffff modulo 2^64 is not above UINT64_MAX / 0xffff.
inline bool checksum_is_right(const std::uint8_t* ip) noexcept {
  constexpr std::uint64_t kMost = UINT64_MAX / 0xffff;
  constexpr std::uint64_t kInverse = 0 - kMost;
  static_assert(kInverse * 0xffff == 1);
  std::uint64_t sum = load<std::uint64_t>(ip);
  const auto second = load<std::uint64_t>(ip + 8);
  const std::uint64_t third = load<std::uint32_t>(ip + 16);
  sum += second;
  sum += sum < second;
  sum += third;
  sum += sum < third;
  return sum * kInverse <= kMost;
}

// `frame` has at least kMinPlainBytes. Branch-free but for the lifetime: what has to be zero is
// collected in one word, what must not be negative in the sign of another.
inline PlainFrame match_plain(const std::uint8_t* frame, std::uint32_t bytes, bool checksum_good,
                              const PlainPattern& pattern, std::uint64_t now_ns) noexcept {
  // The envelope's first eight bytes as a number: version, type, flags, class and lifetime, hop
  // limit, reason, payload length.
  const std::uint64_t envelope = load<Big64>(frame + plain::kEnvelope).get();
  constexpr std::uint64_t kMustBeZero =
      std::uint64_t{message_flag::kReserved} << 40 | std::uint64_t{0xff} << 16;
  const std::int64_t hop_limit = envelope >> 24 & 0xff;
  const std::int64_t payload = envelope & 0xffff;
  // The total length and the UDP length, each with the two bytes before it.
  const std::int64_t total = load<Big32>(frame + plain::kIp).get() & 0xffff;
  const std::int64_t udp_bytes = load<Big32>(frame + plain::kUdp + 2).get() & 0xffff;

  constexpr auto kIpBytes = static_cast<std::int64_t>(sizeof(Ipv4Header));
  constexpr auto kBefore = static_cast<std::int64_t>(sizeof(EthernetHeader));
  constexpr auto kAround = static_cast<std::int64_t>(sizeof(UdpHeader) + kEnvelopeBytes);
  const std::int64_t room = static_cast<std::int64_t>(bytes) - kBefore - total;
  const std::int64_t negative = room | (udp_bytes - kAround - payload) | (hop_limit - 1);
  std::uint64_t wrong = (envelope & kMustBeZero) | pattern.foreign_mac(frame) |
                        static_cast<std::uint64_t>(udp_bytes + kIpBytes - total) |
                        static_cast<std::uint64_t>(negative) >> 63;
  if (!checksum_good) wrong |= static_cast<std::uint64_t>(!checksum_is_right(frame + plain::kIp));

  const auto lifetime = static_cast<std::uint8_t>(envelope >> 32 & 31);
  if (lifetime != 0) {
    const auto timestamp =
        load<Big64>(frame + plain::kEnvelope + offsetof(Envelope, timestamp_ns)).get();
    wrong |= static_cast<std::uint64_t>(expired(lifetime, timestamp, now_ns));
  }
  const bool plain = static_cast<bool>(static_cast<unsigned>(wrong == 0) &
                                       static_cast<unsigned>(pattern.matches(frame)));
  return {plain, static_cast<std::uint16_t>(udp_bytes)};
}

inline constexpr std::uint32_t kMinPlainBytes =
    static_cast<std::uint32_t>(plain::kEnvelope + kEnvelopeBytes);

inline void prefetch_headers(const rte_mbuf& frame) noexcept {
  const std::uint8_t* start = frame_start(frame);
  __builtin_prefetch(start, 1, 3);
  __builtin_prefetch(start + kCacheLineBytes, 1, 3);
}

// One frame that is not plain. True: it is a message, and `layout` and `plain` say of which kind.
bool classify_general(Lane& lane, const Burst& burst, rte_mbuf* frame, Layout& layout,
                      bool& is_plain) noexcept;

template <bool kGuard>
inline void gather_ids(Batch& batch, unsigned i, const std::uint8_t* envelope) noexcept {
  const std::uint8_t* ids = envelope + offsetof(Envelope, destination);
  static_assert(offsetof(Envelope, source) == offsetof(Envelope, destination) + sizeof(Id));
  if constexpr (kGuard) {
    std::memcpy(&batch.id[2 * i], ids, 2 * sizeof(Id));
  } else {
    std::memcpy(&batch.id[i], ids, sizeof(Id));
  }
}

template <bool kGuard>
inline void classify(Lane& lane, const Burst& burst, rte_mbuf** frames, unsigned n) noexcept {
  constexpr unsigned kAhead = 6;
  Batch& batch = lane.batch;
  const PlainPattern pattern = lane.plain_pattern[burst.ingress];
  const std::uint32_t least = pattern.usable() ? kMinPlainBytes : UINT32_MAX;
  unsigned count = 0;
  std::uint64_t not_plain = 0;
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < n && i < kAhead; ++i)
    prefetch_headers(*frames[i]);
  for (unsigned i = 0; i < n; ++i) {
    if (i + kAhead < n) prefetch_headers(*frames[i + kAhead]);
    rte_mbuf* frame = frames[i];
    bytes += frame->pkt_len;
    const std::uint8_t* start = frame_start(*frame);
    const std::uint64_t checksum = frame->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    batch.frame[count] = frame;
    if (frame->data_len >= least && frame->nb_segs == 1 && checksum != RTE_MBUF_F_RX_IP_CKSUM_BAD)
        [[likely]] {
      const PlainFrame found = match_plain(
          start, frame->data_len, checksum == RTE_MBUF_F_RX_IP_CKSUM_GOOD, pattern, burst.now_ns);
      if (found.plain) [[likely]] {
        batch.layout[count] = Layout::plain_ipv4(found.udp_bytes);
        gather_ids<kGuard>(batch, count, start + plain::kEnvelope);
        ++count;
        continue;
      }
    }
    bool is_plain = false;
    if (!classify_general(lane, burst, frame, batch.layout[count], is_plain)) continue;
    gather_ids<kGuard>(batch, count, start + batch.layout[count].parsed().envelope_offset());
    not_plain |= static_cast<std::uint64_t>(!is_plain) << count;
    ++count;
  }
  if (!burst.counted) {
    lane.tally.frames += n;
    lane.tally.bytes += bytes;
  }
  batch.count = count;
  batch.plain = ~not_plain;  // bits beyond `count` mean nothing
  batch.traced = 0;
}

}  // namespace sluice::dataplane
