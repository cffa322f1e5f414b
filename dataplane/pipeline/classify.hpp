// Pass A: sorts the frames of a burst into messages (into the batch, with their ids gathered for
// one lookup), frames for the kernel, and refused ones. Most frames are plain: data in untagged
// IPv4 to the port's first address, and are recognised with a few wide comparisons; every other
// frame goes through parse(). Both agree (tested by fuzzing one against the other). Worker only.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "dataplane/pipeline/rewrite_plain.hpp"
#include "dataplane/pipeline/verdicts.hpp"

namespace sluice::dataplane {

// Masks and expected bits of three eight-byte windows of a plain frame, fixed for a burst.
struct PlainPattern {
  // Offsets of the windows: Ethernet type to identification; fragment to source; destination
  // address and both ports.
  static constexpr std::size_t kFirst = 12;
  static constexpr std::size_t kSecond = 20;
  static constexpr std::size_t kThird = plain::kDestination;

  bool usable = false;  // the port is untagged and has an IPv4 address
  std::uint64_t third = 0;

  explicit PlainPattern(const Reception& port) noexcept;
};

// Bytes of a message in the windows above, as a little-endian number of eight bytes.
constexpr std::uint64_t byte_at(std::size_t offset, std::size_t window,
                                std::uint64_t byte) noexcept {
  return byte << 8 * (offset - window);
}

inline PlainPattern::PlainPattern(const Reception& port) noexcept {
  if (port.vlan != 0) return;
  for (const IpAddress& address : port.local) {
    if (!address.is_v4()) continue;
    usable = true;
    third = address.v4_part().raw() | std::uint64_t{Big16(port.message_port).raw()} << 48;
    return;
  }
}

struct PlainFrame {
  bool plain;
  std::uint16_t udp_bytes;
};

// `frame` has at least the bytes of an empty message. Branch-free but for the lifetime: everything
// that has to be equal or within bounds is collected in one word.
inline PlainFrame match_plain(const std::uint8_t* frame, std::uint32_t bytes, bool checksum_good,
                              const PlainPattern& pattern, std::uint64_t now_ns) noexcept {
  constexpr std::size_t kFirst = PlainPattern::kFirst;
  constexpr std::size_t kSecond = PlainPattern::kSecond;
  constexpr std::uint64_t kFirstMask = 0xffffff;  // Ethernet type, version and header length
  constexpr std::uint64_t kFirstWant = byte_at(12, kFirst, 0x08) | byte_at(14, kFirst, 0x45);
  constexpr std::uint64_t kSecondMask =
      byte_at(20, kSecond, 0x3f) | byte_at(21, kSecond, 0xff) | byte_at(23, kSecond, 0xff);
  constexpr std::uint64_t kSecondWant = byte_at(23, kSecond, kIpProtocolUdp);
  constexpr std::uint64_t kThirdMask = 0xffff0000ffffffff;  // not the source port
  // Envelope: version and length, type data, reserved flags, reason.
  constexpr std::uint64_t kEnvelopeMask = 0x0000ff0000c0ffff;
  constexpr std::uint64_t kEnvelopeWant = kVersionAndLength;

  const auto first = load<std::uint64_t>(frame + kFirst);
  const auto second = load<std::uint64_t>(frame + kSecond);
  const auto third = load<std::uint64_t>(frame + PlainPattern::kThird);
  const auto envelope = load<std::uint64_t>(frame + plain::kEnvelope);

  std::uint64_t wrong =
      ((first & kFirstMask) ^ kFirstWant) | ((second & kSecondMask) ^ kSecondWant) |
      ((third & kThirdMask) ^ pattern.third) | ((envelope & kEnvelopeMask) ^ kEnvelopeWant);
  const std::uint64_t hop_limit = envelope >> 32 & 0xff;
  const std::uint32_t payload = std::byteswap(static_cast<std::uint16_t>(envelope >> 48));
  const std::uint32_t total = std::byteswap(static_cast<std::uint16_t>(first >> 32));
  const std::uint32_t udp_bytes = load<Big16>(frame + plain::kUdp + 4).get();
  // Header checksum over both halves of each word at once; the windows overlap by nothing.
  const std::uint64_t start = load<std::uint64_t>(frame + plain::kIp);
  const std::uint64_t middle = load<std::uint64_t>(frame + plain::kIp + 8);
  const std::uint64_t sum = (start & 0xffffffff) + (start >> 32) + (middle & 0xffffffff) +
                            (middle >> 32) + (third & 0xffffffff);
  wrong |= static_cast<std::uint64_t>((checksum_fold(sum) != 0xffff) & !checksum_good);
  wrong |= static_cast<std::uint64_t>((hop_limit == 0) | ((frame[0] & 1) != 0));
  wrong |= static_cast<std::uint64_t>((total + sizeof(EthernetHeader) > bytes) |
                                      (udp_bytes + sizeof(Ipv4Header) != total) |
                                      (payload + kEnvelopeBytes + sizeof(UdpHeader) > udp_bytes));

  const auto lifetime = static_cast<std::uint8_t>(envelope >> 24 & 31);
  if (lifetime != 0) {
    const auto timestamp =
        load<Big64>(frame + plain::kEnvelope + offsetof(Envelope, timestamp_ns)).get();
    wrong |= static_cast<std::uint64_t>(expired(lifetime, timestamp, now_ns));
  }
  return {wrong == 0, static_cast<std::uint16_t>(udp_bytes)};
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
  const PlainPattern pattern(burst.reception);
  unsigned count = 0;
  std::uint64_t plain_ones = 0;
  for (unsigned i = 0; i < n && i < kAhead; ++i)
    prefetch_headers(*frames[i]);
  for (unsigned i = 0; i < n; ++i) {
    if (i + kAhead < n) prefetch_headers(*frames[i + kAhead]);
    rte_mbuf* frame = frames[i];
    const std::uint8_t* start = frame_start(*frame);
    const std::uint64_t checksum = frame->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    const bool looks_plain = pattern.usable & (frame->data_len >= kMinPlainBytes) &
                             (frame->nb_segs == 1) & (checksum != RTE_MBUF_F_RX_IP_CKSUM_BAD);
    batch.frame[count] = frame;
    if (looks_plain) [[likely]] {
      const PlainFrame found = match_plain(
          start, frame->data_len, checksum == RTE_MBUF_F_RX_IP_CKSUM_GOOD, pattern, burst.now_ns);
      if (found.plain) [[likely]] {
        batch.layout[count] = Layout::plain_ipv4(found.udp_bytes);
        gather_ids<kGuard>(batch, count, start + plain::kEnvelope);
        plain_ones |= std::uint64_t{1} << count;
        ++count;
        continue;
      }
    }
    bool is_plain = false;
    if (!classify_general(lane, burst, frame, batch.layout[count], is_plain)) continue;
    gather_ids<kGuard>(batch, count, start + batch.layout[count].parsed().envelope_offset());
    plain_ones |= static_cast<std::uint64_t>(is_plain) << count;
    ++count;
  }
  batch.count = count;
  batch.plain = plain_ones;
  batch.traced = 0;
}

}  // namespace sluice::dataplane
