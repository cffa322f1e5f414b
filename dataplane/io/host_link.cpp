#include "dataplane/io/host_link.hpp"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <array>
#include <cstring>

#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {
namespace {

constexpr unsigned kBurst = 64;
constexpr std::size_t kVlanOffset = 12;  // of the tag, behind the two addresses
constexpr std::uint16_t kVlanMask = 0x0fff;

bool has_vlan(const rte_mbuf& frame, std::uint16_t vlan) noexcept {
  if (frame.data_len < sizeof(EthernetHeader) + sizeof(VlanHeader)) return false;
  const auto* at = rte_pktmbuf_mtod_offset(&frame, const std::uint8_t*, kVlanOffset);
  return load<Big16>(at).get() == kEtherTypeVlan &&
         (load<Big16>(at + sizeof(Big16)).get() & kVlanMask) == vlan;
}

// Moves the addresses forward and puts the tag between them and the type. False: no headroom.
bool push_vlan(rte_mbuf& frame, std::uint16_t vlan) noexcept {
  auto* start = rte_pktmbuf_prepend(&frame, sizeof(VlanHeader));
  if (start == nullptr) return false;
  std::memmove(start, start + sizeof(VlanHeader), kVlanOffset);
  store(start + kVlanOffset, Big16(kEtherTypeVlan));
  store(start + kVlanOffset + sizeof(Big16), Big16(vlan));
  return true;
}

}  // namespace

HostLink::HostLink(HostLinkOptions options, std::vector<HostInterface> interfaces)
    : options_(std::move(options)), interfaces_(std::move(interfaces)) {}

bool HostLink::to_kernel() noexcept {
  bool more = false;
  std::array<void*, kBurst> frames;
  for (const auto* worker : options_.workers) {
    unsigned left = 0;
    const unsigned n =
        ::rte_ring_sc_dequeue_burst(worker->rings.to_host, frames.data(), kBurst, &left);
    for (unsigned i = 0; i < n; ++i)
      to_kernel(*static_cast<rte_mbuf*>(frames[i]));
    ::rte_pktmbuf_free_bulk(reinterpret_cast<rte_mbuf**>(frames.data()), n);
    more = more || left > 0;
  }
  return more;
}

void HostLink::to_kernel(rte_mbuf& frame) noexcept {
  const auto port = frame.port < RTE_MAX_ETHPORTS && frame.port < kMaxPorts
                        ? options_.ports->index_of_dpdk_port[frame.port]
                        : kNoPort;
  if (port >= interfaces_.size()) return;
  const auto vlan = options_.ports->port[port].vlan;
  bool taken = false;
  if (vlan == 0) {
    taken = write(port, frame, 0);
  } else if (has_vlan(frame, vlan)) {
    taken = write(port, frame, sizeof(VlanHeader));
  } else {
    const auto type = load<Big16>(rte_pktmbuf_mtod_offset(&frame, const void*, kVlanOffset)).get();
    taken = type == kEtherTypeVlan && write(port, frame, 0);
  }
  if (!taken) link::add(options_.counters->port[port].to_host_dropped, 1);
}

// Leaves out `vlan_bytes` behind the addresses.
bool HostLink::write(std::uint16_t port, const rte_mbuf& frame, std::uint32_t vlan_bytes) noexcept {
  constexpr std::size_t kMaxSegments = 6;
  std::array<HostInterface::Piece, kMaxSegments + 2> pieces;
  const auto* data = rte_pktmbuf_mtod(&frame, const std::uint8_t*);
  if (frame.data_len < sizeof(EthernetHeader)) return false;
  std::size_t count = 0;
  if (vlan_bytes != 0) {
    pieces[count++] = {data, kVlanOffset};
    pieces[count++] = {data + kVlanOffset + vlan_bytes, frame.data_len - kVlanOffset - vlan_bytes};
  } else {
    pieces[count++] = {data, frame.data_len};
  }
  for (const auto* next = frame.next; next != nullptr; next = next->next) {
    if (count == pieces.size()) return false;
    pieces[count++] = {rte_pktmbuf_mtod(next, const void*), next->data_len};
  }
  return interfaces_[port].write({pieces.data(), count});
}

HostLink::Taken HostLink::from_kernel(std::uint16_t port) noexcept {
  const auto& worker = *options_.workers[options_.sender[port]];
  const auto& facts = options_.ports->port[port];
  const auto room = std::min(::rte_ring_free_count(worker.rings.transmit), kBurst);
  std::array<rte_mbuf*, kBurst> frames;
  if (room == 0 || ::rte_pktmbuf_alloc_bulk(options_.mempool, frames.data(), room) != 0)
    return Taken::kNoRoom;
  unsigned n = 0;
  unsigned used = 0;  // frames[0 .. used) came from the kernel, n of them are kept in front
  for (; used < room; ++used) {
    auto* frame = frames[used];
    const auto bytes =
        interfaces_[port].read(rte_pktmbuf_mtod(frame, void*), rte_pktmbuf_tailroom(frame));
    if (bytes == 0) break;
    frame->data_len = static_cast<std::uint16_t>(bytes);
    frame->pkt_len = static_cast<std::uint32_t>(bytes);
    frame->port = facts.dpdk_port;
    const bool tagged = bytes >= sizeof(EthernetHeader) &&
                        load<Big16>(rte_pktmbuf_mtod_offset(frame, const void*, kVlanOffset)) ==
                            Big16(kEtherTypeVlan);
    if (facts.vlan != 0 && !tagged && !push_vlan(*frame, facts.vlan)) continue;
    std::swap(frames[n++], frames[used]);
  }
  // One producer: this thread.
  ::rte_ring_sp_enqueue_bulk(worker.rings.transmit, reinterpret_cast<void**>(frames.data()), n,
                             nullptr);
  if (n > 0) worker.waker->wake();
  ::rte_pktmbuf_free_bulk(frames.data() + n, room - n);
  return used == room ? Taken::kMore : Taken::kAll;
}

bool HostLink::idle() const noexcept {
  for (const auto* worker : options_.workers) {
    if (::rte_ring_empty(worker->rings.to_host) == 0) return false;
  }
  return true;
}

}  // namespace sluice::dataplane
