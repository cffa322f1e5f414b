#include "dataplane/worker/dispatch.hpp"

#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {
namespace {

std::uint64_t mix(std::uint64_t sum, std::uint64_t word) noexcept {
  sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
  return sum ^ sum >> 32;
}

std::uint64_t mix_ports(std::uint64_t sum, const std::uint8_t* frame, std::uint32_t bytes,
                        std::size_t offset) noexcept {
  if (offset + 4 > bytes) return sum;
  return mix(sum, load<std::uint32_t>(frame + offset));
}

std::uint64_t hash_ipv4(const std::uint8_t* frame, std::uint32_t bytes, std::size_t l2) noexcept {
  if (l2 + sizeof(Ipv4Header) > bytes) return 0;
  const auto ip = load<Ipv4Header>(frame + l2);
  const std::uint64_t sum = mix(0, ip.source.raw() | std::uint64_t{ip.destination.raw()} << 32);
  const bool fragment = (ip.fragment.get() & 0x3fff) != 0;
  if (ip.protocol != kIpProtocolUdp || fragment) return sum;
  return mix_ports(sum, frame, bytes, l2 + (ip.version_and_length & 15) * std::size_t{4});
}

std::uint64_t hash_ipv6(const std::uint8_t* frame, std::uint32_t bytes, std::size_t l2) noexcept {
  if (l2 + sizeof(Ipv6Header) > bytes) return 0;
  std::uint64_t sum = 0;
  for (std::size_t at = offsetof(Ipv6Header, source); at < sizeof(Ipv6Header); at += 8)
    sum = mix(sum, load<std::uint64_t>(frame + l2 + at));
  if (frame[l2 + offsetof(Ipv6Header, next_header)] != kIpProtocolUdp) return sum;
  return mix_ports(sum, frame, bytes, l2 + sizeof(Ipv6Header));
}

}  // namespace

std::uint32_t flow_hash(const std::uint8_t* frame, std::uint32_t bytes) noexcept {
  std::size_t l2 = sizeof(EthernetHeader);
  if (bytes < l2) return 0;
  std::uint16_t type = load<EthernetHeader>(frame).type.get();
  if (type == kEtherTypeVlan && bytes >= l2 + sizeof(VlanHeader)) {
    type = load<VlanHeader>(frame + l2).type.get();
    l2 += sizeof(VlanHeader);
  }
  if (type == kEtherTypeIpv4) return static_cast<std::uint32_t>(hash_ipv4(frame, bytes, l2));
  if (type == kEtherTypeIpv6) return static_cast<std::uint32_t>(hash_ipv6(frame, bytes, l2));
  return 0;
}

Dispatcher::Dispatcher(std::uint16_t self, const std::vector<rte_ring*>& rings) {
  for (std::uint16_t worker = 0; worker < rings.size() || worker <= self; ++worker) {
    rte_ring* ring = worker < rings.size() ? rings[worker] : nullptr;
    if (worker != self && ring == nullptr) continue;
    targets_.push_back({.worker = worker, .ring = worker == self ? nullptr : ring});
  }
}

unsigned Dispatcher::spread(Pipeline& pipeline, std::uint16_t port, rte_mbuf** frames,
                            unsigned n) noexcept {
  std::uint64_t handed = 0;
  std::uint64_t bytes = 0;
  unsigned own = 0;
  for (unsigned i = 0; i < n; ++i) {
    rte_mbuf* frame = frames[i];
    const std::uint64_t hash =
        flow_hash(rte_pktmbuf_mtod(frame, const std::uint8_t*), frame->data_len);
    Target& target = targets_[hash * targets_.size() >> 32];
    if (target.ring == nullptr) {
      frames[own++] = frame;
      continue;
    }
    target.frame[target.count++] = frame;
    ++handed;
    bytes += frame->pkt_len;
  }
  if (handed != 0) pipeline.count_dispatched(port, handed, bytes);
  for (Target& target : targets_) {
    if (target.count == 0) continue;
    const unsigned taken = rte_ring_sp_enqueue_burst(
        target.ring, reinterpret_cast<void* const*>(target.frame.data()), target.count, nullptr);
    if (taken != 0) wakeups_ |= std::uint64_t{1} << target.worker;
    if (taken < target.count) {
      pipeline.drop(port, target.frame.data() + taken, target.count - taken,
                    DropReason::kDispatchFull);
    }
    target.count = 0;
  }
  return own;
}

}  // namespace sluice::dataplane
