// Frames as they come from the wire: parsing reads nothing outside them, the short way of classify
// agrees with it, and a message that is rewritten for any next hop keeps a UDP checksum that was
// right, right.
//
// Input: one byte of choices, then the frame.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "dataplane/pipeline/classify.hpp"
#include "dataplane/pipeline/parse.hpp"
#include "dataplane/pipeline/rewrite.hpp"
#include "dataplane/pipeline/rewrite_plain.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::uint64_t kNowNs = 1'700'000'000'000'000'000;
constexpr std::size_t kHeadroom = 128;
const IpAddress kLocal4 = IpAddress::v4(Big32(0x0a000001U));
const IpAddress kLocal6 = IpAddress::v6({0xfd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});

Adjacency next_hop(bool six, bool tagged) {
  Adjacency line{};
  for (std::size_t i = 0; i < line.l2.size(); ++i)
    line.l2[i] = static_cast<std::uint8_t>(0x20 + i);
  line.l2_bytes = tagged ? 18 : 14;
  line.state = AdjacencyState::kUp;
  line.family = six ? Family::kIpv6 : Family::kIpv4;
  for (std::size_t i = 0; i < (six ? 16U : 4U); ++i) {
    line.source[i] = static_cast<std::uint8_t>(0x81 + i);
    line.destination[i] = static_cast<std::uint8_t>(0xa3 + 3 * i);
  }
  line.address_sum = checksum_fold(
      checksum_add(line.source.data(), 16, checksum_add(line.destination.data(), 16)));
  return line;
}

// Whether the datagram's checksum is right; recomputed from the bytes alone.
bool checksum_right(const std::uint8_t* frame, std::size_t l2, std::size_t l3) {
  const std::uint8_t* ip = frame + l2;
  const std::uint8_t* udp = ip + l3;
  const auto header = load<UdpHeader>(udp);
  std::uint64_t sum = l3 == 20 ? checksum_add(ip + 12, 8) : checksum_add(ip + 8, 32);
  sum += Big16(std::uint16_t{17}).raw();
  sum += header.length.raw();
  return checksum_fold(checksum_add(udp, header.length.get(), sum)) == 0xffff;
}

void check_rewrite(const std::vector<std::uint8_t>& frame, const Parsed& parsed) {
  const auto old = load<UdpHeader>(frame.data() + parsed.udp_offset());
  const bool unchecked = old.checksum.raw() == 0;
  const bool right = !unchecked && checksum_right(frame.data(), parsed.l2_bytes, parsed.l3_bytes);
  for (const bool six : {false, true}) {
    for (const bool tagged : {false, true}) {
      const Adjacency to = next_hop(six, tagged);
      std::vector<std::uint8_t> buffer(kHeadroom);
      buffer.insert(buffer.end(), frame.begin(), frame.begin() + parsed.frame_bytes());
      std::uint8_t* start = rewrite(buffer.data() + kHeadroom, parsed, to, {7600, 4711});
      FUZZ_REQUIRE(start >= buffer.data());
      FUZZ_REQUIRE(start + header_bytes(to) + parsed.udp_bytes == buffer.data() + buffer.size());
      const auto udp = load<UdpHeader>(start + header_bytes(to));
      if (unchecked && !six) {
        FUZZ_REQUIRE(udp.checksum.raw() == 0);
      } else {
        FUZZ_REQUIRE(udp.checksum.raw() != 0);
        const bool now = checksum_right(start, to.l2_bytes, ip_bytes(to.family));
        FUZZ_REQUIRE(now == (right || unchecked));
      }
      if (!six) FUZZ_REQUIRE(checksum_fold(checksum_add(start + to.l2_bytes, 20)) == 0xffff);
    }
  }
}

void check_plain_rewrite(const std::vector<std::uint8_t>& frame, const Parsed& parsed) {
  const Adjacency to = next_hop(false, false);
  std::vector<std::uint8_t> general = frame;
  std::vector<std::uint8_t> plain_way = frame;
  general.resize(parsed.frame_bytes());
  plain_way.resize(parsed.frame_bytes());
  FUZZ_REQUIRE(rewrite(general.data(), parsed, to, {7600, 4711}) == general.data());
  rewrite_plain_ipv4(plain_way.data(), to, raw_ports(Big16(std::uint16_t{7600}).raw(), 4711));
  FUZZ_REQUIRE(general == plain_way);
}

void check_frame(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return;
  const std::uint8_t choices = data[0];
  // A copy of its own exact size, so that the address sanitizer sees every byte read beyond.
  const std::vector<std::uint8_t> frame(data + 1, data + size);
  const std::array<IpAddress, 2> local = {kLocal4, kLocal6};
  MacAddress mac = {2, 0, 0, 0, 0, 1};
  if ((choices & 16) == 0)
    std::copy_n(frame.begin(), std::min(frame.size(), mac.size()), mac.begin());
  mac[0] &= 0xfe;  // no port has a multicast address
  const Reception port{.local = local,
                       .mac = mac,
                       .message_port = 7600,
                       .vlan = (choices & 1) != 0 ? std::uint16_t{100} : std::uint16_t{0},
                       .now_ns = kNowNs};
  const auto checksum = static_cast<IpChecksum>((choices >> 1 & 3) % 3);
  const FrameView view{frame.data(), static_cast<std::uint32_t>(frame.size()), (choices & 8) != 0};
  const Parsed parsed = parse(view, port, checksum);

  if (parsed.kind == FrameKind::kDrop) FUZZ_REQUIRE(parsed.reason < DropReason::kCount);
  if (parsed.has_envelope) {
    FUZZ_REQUIRE(parsed.frame_bytes() <= frame.size());
    FUZZ_REQUIRE(parsed.udp_bytes >= sizeof(UdpHeader) + kEnvelopeBytes);
    FUZZ_REQUIRE(!view.chained);
  }
  const PlainPattern pattern(local, mac, port.message_port, port.vlan);
  bool is_plain = false;
  if (pattern.usable() && frame.size() >= kMinPlainBytes && !view.chained &&
      checksum != IpChecksum::kBad) {
    const PlainFrame found =
        match_plain(frame.data(), view.bytes, checksum == IpChecksum::kGood, pattern, kNowNs);
    is_plain = found.plain;
    if (is_plain) {
      FUZZ_REQUIRE(parsed.kind == FrameKind::kMessage);
      FUZZ_REQUIRE(parsed.l2_bytes == 14 && parsed.l3_bytes == 20);
      FUZZ_REQUIRE(parsed.udp_bytes == found.udp_bytes);
    }
  }
  if (parsed.kind != FrameKind::kMessage) return;
  FUZZ_REQUIRE(std::memcmp(frame.data(), mac.data(), mac.size()) == 0);
  const auto envelope = load<Envelope>(frame.data() + parsed.envelope_offset());
  const bool should_be_plain = parsed.l2_bytes == 14 && parsed.l3_bytes == 20 &&
                               envelope.type == 0 && envelope.header_bytes() == kEnvelopeBytes;
  FUZZ_REQUIRE(is_plain == should_be_plain);
  if (is_plain) check_plain_rewrite(frame, parsed);
  check_rewrite(frame, parsed);
}

}  // namespace
}  // namespace sluice::dataplane

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::dataplane::check_frame(data, size);
  return 0;
}
