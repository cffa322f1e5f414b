#include "tests/golden/world.hpp"

#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring_elem.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/support/base_file.hpp"
#include "tests/support/eal.hpp"

namespace sluice::golden {
namespace {

using dataplane::AddressSet;
using dataplane::AdjacencyKey;
using dataplane::ForwardingState;
using dataplane::Group;
using dataplane::GroupMember;
using dataplane::Pipeline;
using dataplane::PipelineConfig;
using dataplane::PortTable;
using dataplane::RouteChange;
using dataplane::Tables;
using dataplane::TraceFilter;

constexpr unsigned kBuffers = 4095;
constexpr unsigned kExitRoom = 1023;
constexpr HashKey kHashKey{{1, 2, 3}};

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "golden world: %s\n", what);
  std::abort();
}

// What DPDK makes once per process: pool, ports over rings, exits.
struct Fabric {
  rte_mempool* pool;
  std::array<rte_ring*, kPorts> tx;
  rte_ring* host;
  rte_ring* hold;
  rte_ring* control;
  rte_ring* trace;
  PortTable ports;

  Fabric() {
    testing::start_eal(256);
    pool = rte_pktmbuf_pool_create("golden", kBuffers, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    require(pool != nullptr, "no memory pool");
    host = exit("golden_host");
    hold = exit("golden_hold");
    control = exit("golden_control");
    trace = rte_ring_create_elem("golden_trace", sizeof(link::TraceRecord), 64, 0,
                                 RING_F_SP_ENQ | RING_F_SC_DEQ);
    for (std::uint16_t port = 0; port < kPorts; ++port)
      open(port);
    ports.count = kPorts;
  }
  static rte_ring* exit(const std::string& name) {
    return rte_ring_create(name.c_str(), kExitRoom + 1, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
  }
  void open(std::uint16_t port) {
    const std::string name = "golden" + std::to_string(port);
    tx[port] = rte_ring_create(name.c_str(), kTxRoom + 1, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
    const int dpdk_port = rte_eth_from_ring(tx[port]);
    require(dpdk_port >= 0, "no ring port");
    const auto id = static_cast<std::uint16_t>(dpdk_port);
    rte_eth_conf conf{};
    require(rte_eth_dev_configure(id, 1, 1, &conf) == 0 &&
                rte_eth_rx_queue_setup(id, 0, 64, 0, nullptr, pool) == 0 &&
                rte_eth_tx_queue_setup(id, 0, 64, 0, nullptr) == 0 && rte_eth_dev_start(id) == 0,
            "ring port does not start");
    ports.port[port] = {.mac = World::router_mac(port),
                        .dpdk_port = id,
                        .vlan = port == 2 ? kTaggedVlan : std::uint16_t{0},
                        .mtu = 1500,
                        .sends_segments = true};
    ports.index_of_dpdk_port[id] = port;
  }
};

Fabric& fabric() {
  static Fabric one;
  return one;
}

std::unique_ptr<ForwardingState> first_state() {
  auto state = std::make_unique<ForwardingState>();
  state->router_id = World::router_id();
  state->ready = true;
  state->control_plane_connected = true;
  state->settings.hold_per_id = 2;
  state->settings.hold_ms = 500;
  state->settings.negative_cache_ms = 1000;
  state->settings.notices_per_second = 1000;
  state->settings.punts_per_second = 1000;
  for (std::uint16_t port = 0; port < kPorts; ++port) {
    auto& p = state->port[port];
    p.role = port == kTrunk ? link::PortRole::kTrunk : link::PortRole::kEdge;
    p.add_local(World::router_address(port, Family::kIpv4));
    p.add_local(World::router_address(port, Family::kIpv6));
  }
  const std::vector<IpAddress> peers = {World::host_address({kTrunk, Family::kIpv4, 1}),
                                        World::host_address({kTrunk, Family::kIpv6, 1})};
  state->peers = std::make_shared<const AddressSet>(peers);
  return state;
}

Bytes bytes_of(const rte_mbuf* frame) {
  Bytes out;
  for (const rte_mbuf* part = frame; part != nullptr; part = part->next) {
    const auto* data = rte_pktmbuf_mtod(part, const std::uint8_t*);
    out.insert(out.end(), data, data + part->data_len);
  }
  require(out.size() == frame->pkt_len, "packet length does not match its segments");
  return out;
}

std::array<std::uint8_t, 16> table_bytes(const IpAddress& address) {
  if (!address.is_v4()) return address.bytes;
  std::array<std::uint8_t, 16> out{};
  std::memcpy(out.data(), address.bytes.data() + 12, 4);
  return out;
}

}  // namespace

Id World::router_id() {
  Id id;
  id.bytes.fill(0xee);
  return id;
}
Id World::agent_id(const Host& host) {
  Id id;
  id.bytes = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x80, 0x88, 0x99};
  id.bytes[13] = static_cast<std::uint8_t>(host.port);
  id.bytes[14] = static_cast<std::uint8_t>(host.family);
  id.bytes[15] = host.number;
  return id;
}
std::uint16_t World::agent_port(const Host& host) {
  return static_cast<std::uint16_t>(20000 + host.port * 100 + host.number);
}
IpAddress World::host_address(const Host& host) {
  const std::string port = std::to_string(host.port);
  const std::string number = std::to_string(host.number + 9);
  return host.family == Family::kIpv4 ? *parse_ip("10.0." + port + "." + number)
                                      : *parse_ip("fd00:" + port + "::" + number);
}
IpAddress World::router_address(std::uint16_t port, Family family) {
  const std::string text = std::to_string(port);
  return family == Family::kIpv4 ? *parse_ip("10.0." + text + ".1")
                                 : *parse_ip("fd00:" + text + "::1");
}
MacAddress World::router_mac(std::uint16_t port) {
  return {0x02, 0, 0, 0, 0xff, static_cast<std::uint8_t>(port)};
}
MacAddress World::host_mac(const Host& host) {
  return {0x02,
          0xaa,
          static_cast<std::uint8_t>(host.family),
          static_cast<std::uint8_t>(host.port),
          0,
          host.number};
}

Packet World::message(const Host& from, const Id& to, std::size_t payload) {
  Packet packet;
  packet.to_mac = router_mac(from.port);
  packet.from_mac = host_mac(from);
  packet.vlan = from.port == 2 ? kTaggedVlan : std::uint16_t{0};
  packet.from = host_address(from);
  packet.to = router_address(from.port, from.family);
  packet.service = 0x48;
  packet.ttl = 17;
  packet.from_port = agent_port(from);
  packet.envelope.set_class_and_lifetime(3, 0);
  packet.envelope.hop_limit = 9;
  packet.envelope.tenant.set(kTenant);
  packet.envelope.message_type.set(0x1234);
  packet.envelope.sequence.set(0xcafe0001);
  packet.envelope.destination = to;
  packet.envelope.source = agent_id(from);
  packet.envelope.routing_key.set(0x0123456789abcdef);
  packet.envelope.timestamp_ns.set(kNowNs - 1'000'000);
  for (std::size_t i = 0; i < payload; ++i)
    packet.payload.push_back(static_cast<std::uint8_t>(i * 7 + 1));
  return packet;
}

Packet World::forwarded(const Packet& arrived, const Host& to) {
  return forwarded(arrived, to, agent_port(to));
}

Packet World::forwarded(const Packet& arrived, const Host& to, std::uint16_t udp_port) {
  Packet packet = arrived;
  packet.to_mac = host_mac(to);
  packet.from_mac = router_mac(to.port);
  packet.vlan = to.port == 2 ? kTaggedVlan : std::uint16_t{0};
  packet.from = router_address(to.port, to.family);
  packet.to = host_address(to);
  packet.ttl = 64;
  packet.from_port = kDefaultMessagePort;
  packet.to_port = udp_port;
  packet.envelope.hop_limit -= 1;
  if (to.family == Family::kIpv6) packet.udp_checksum = true;
  return packet;
}

Packet World::turned(const Packet& arrived) {
  Packet packet = arrived;
  std::swap(packet.to_mac, packet.from_mac);
  std::swap(packet.from, packet.to);
  std::swap(packet.from_port, packet.to_port);
  packet.ttl = 64;
  return packet;
}

World::World() : draft_(first_state()), counters_(std::make_unique<link::WorkerCounters>()) {
  Fabric& f = fabric();
  f.ports.up.store((1U << kPorts) - 1);
  sends_segments(true);
  auto tables = Tables::create({.routes = 1024, .adjacencies = 1024, .groups = 64});
  require(tables.has_value(), "no tables");
  tables_ = std::move(*tables);
  tables_->readers.add(0);
  require(tables_->set_hash_key(kHashKey).has_value(), "no route table");
  set_route(router_id(), Action(ActionKind::kLocal, 0, 0, kTenant, 1));
  publish();
  connect();
}

void World::connect() {
  Fabric& f = fabric();
  PipelineConfig config{
      .tsc_hz = rte_get_tsc_hz(),
      .seed = 42,
      .ports = &f.ports,
      .tables = tables_.get(),
      .mempool = f.pool,
      .counters = counters_.get(),
      .exits = {.to_host = f.host, .to_hold = f.hold, .to_control = f.control, .trace = f.trace}};
  for (std::uint16_t port = 0; port < kPorts; ++port)
    config.egress[port].tx_queue = 0;
  auto pipeline = Pipeline::create(config);
  require(pipeline.has_value(), "no pipeline");
  pipeline_ = std::move(*pipeline);
  now_tsc_ = rte_rdtsc();
  pipeline_->set_clock(now_tsc_, kNowNs);
}

World::~World() {
  for (std::uint16_t port = 0; port < kPorts; ++port)
    empty_tx(port);
  pipeline_->stop();
  outputs();
  records();
  for (rte_mbuf* frame : hoarded_)
    rte_pktmbuf_free(frame);
  tables_->readers.remove(0);
}

std::uint32_t World::adjacency(const Host& host) {
  const AdjacencyKey key{.port = host.port,
                         .vlan = host.port == 2 ? kTaggedVlan : std::uint16_t{0},
                         .family = host.family,
                         .destination = table_bytes(host_address(host))};
  if (const auto slot = tables_->adjacencies.find(key)) return *slot;
  const auto slot = tables_->adjacencies.find_or_allocate(key);
  set_adjacency(host, AdjacencyState::kUp);
  return *slot;
}

void World::set_adjacency(const Host& host, AdjacencyState state, std::uint32_t backup,
                          std::uint16_t mtu) {
  const AdjacencyKey key{.port = host.port,
                         .vlan = host.port == 2 ? kTaggedVlan : std::uint16_t{0},
                         .family = host.family,
                         .destination = table_bytes(host_address(host))};
  Adjacency line{};
  Bytes l2;
  for (const auto& mac : {host_mac(host), router_mac(host.port)})
    l2.insert(l2.end(), mac.begin(), mac.end());
  const auto put = [&](std::uint16_t value) {
    l2.push_back(static_cast<std::uint8_t>(value >> 8));
    l2.push_back(static_cast<std::uint8_t>(value));
  };
  if (host.port == 2) {
    put(kEtherTypeVlan);
    put(kTaggedVlan);
  }
  put(host.family == Family::kIpv4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
  std::memcpy(line.l2.data(), l2.data(), l2.size());
  line.l2_bytes = static_cast<std::uint8_t>(l2.size());
  line.state = state;
  line.family = host.family;
  line.epoch = 1;
  line.port = host.port;
  line.source = table_bytes(router_address(host.port, host.family));
  line.destination = key.destination;
  line.backup = backup;
  line.mtu = mtu;
  line.address_sum = checksum_fold(
      checksum_add(line.source.data(), 16, checksum_add(line.destination.data(), 16)));
  tables_->adjacencies.set(*tables_->adjacencies.find_or_allocate(key), line);
}

void World::set_route(const Id& id, Action action) {
  RouteChange change;
  tables_->set_routes(&id, &action, 1, &change);
}
void World::add_agent(const Host& host, std::uint16_t tenant) {
  set_route(agent_id(host),
            Action(ActionKind::kAdjacency, adjacency(host), agent_port(host), tenant, 1));
}

void World::add_group(const Id& capability, GroupPolicy policy, const std::vector<Host>& members) {
  std::vector<GroupMember> list;
  for (const Host& host : members) {
    list.push_back({.id = agent_id(host),
                    .adjacency = adjacency(host),
                    .udp_port = agent_port(host),
                    .tenant = kTenant,
                    .weight = 1});
  }
  const auto slot = tables_->groups.find_or_allocate(capability);
  tables_->groups.publish(*slot, std::make_unique<const Group>(capability, policy, list), 1);
  set_route(capability, Action(ActionKind::kGroup, *slot, 0, 0, 1));
}

void World::erase_group(const Id& capability) {
  tables_->groups.erase(*tables_->groups.find(capability));
}

void World::commit_base(const std::vector<Host>& agents, bool known) {
  std::vector<testing::BaseRoute> routes;
  std::vector<std::uint32_t> slots;
  for (const Host& host : agents) {
    const auto position = static_cast<std::uint32_t>(slots.size());
    routes.push_back(
        {agent_id(host), Action(ActionKind::kAdjacency, position, agent_port(host), kTenant, 0)});
    slots.push_back(known ? adjacency(host) : kNoIndex);
  }
  const testing::BaseFile file(kHashKey, routes, static_cast<std::uint32_t>(slots.size()), 1);
  const std::atomic<bool> cancel{false};
  const int descriptor = file.open();
  auto loaded = dataplane::load_base(descriptor, file.id(), -1, cancel);
  ::close(descriptor);
  require(loaded.has_value(), "no base segment");
  require(
      tables_->commit_base(std::make_shared<dataplane::LoadedBase>(std::move(*loaded)), slots, 1, 1)
          .has_value(),
      "no base");
}

// By turns with what the pipeline's thread, which is this one, must report meanwhile.
void World::prune() {
  std::size_t erased = 0;
  while (!tables_->prune(64, erased))
    tables_->readers.quiescent(0);
  while (!tables_->tend_filter(64)) {
  }
}

void World::delete_route(const Id& id) {
  require(tables_->erase_route(id, 1) != dataplane::RouteOutcome::kFull, "no room for a mark");
}

void World::publish() {
  tables_->publish(std::make_unique<const ForwardingState>(*draft_));
}
void World::without_routes() {
  tables_->routes.store(nullptr);
}
void World::trace(const Id& source, const Id& destination, std::uint32_t count) {
  tables_->publish(std::make_unique<const TraceFilter>(source, destination, count, 99));
}
void World::set_port_up(std::uint16_t port, bool up) {
  auto& mask = fabric().ports.up;
  mask.store(up ? mask.load() | 1U << port : mask.load() & ~(1U << port));
}
void World::sends_segments(bool yes) {
  for (auto& port : fabric().ports.port)
    port.sends_segments = yes;
}

namespace {

void fill(rte_ring* ring) {
  while (true) {
    rte_mbuf* plug = rte_pktmbuf_alloc(fabric().pool);
    if (rte_ring_sp_enqueue(ring, plug) == 0) continue;
    return rte_pktmbuf_free(plug);
  }
}
void empty(rte_ring* ring) {
  void* frame = nullptr;
  while (rte_ring_sc_dequeue(ring, &frame) == 0)
    rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
}

}  // namespace

void World::fill_tx(std::uint16_t port) {
  fill(fabric().tx[port]);
}
void World::empty_tx(std::uint16_t port) {
  empty(fabric().tx[port]);
}
void World::fill_control() {
  fill(fabric().control);
}
void World::empty_control() {
  empty(fabric().control);
}

rte_mbuf* World::make(std::uint16_t port, const Bytes& bytes) {
  rte_mbuf* frame = rte_pktmbuf_alloc(fabric().pool);
  require(frame != nullptr, "no buffer for the input");
  char* data = rte_pktmbuf_append(frame, static_cast<std::uint16_t>(bytes.size()));
  require(data != nullptr, "input too long for a buffer");
  std::ranges::copy(bytes, data);
  frame->port = fabric().ports.port[port].dpdk_port;
  return frame;
}

const PortTable& World::ports() {
  return fabric().ports;
}
rte_mempool* World::pool() {
  return fabric().pool;
}
void World::feed(std::uint16_t port, const std::vector<Bytes>& frames) {
  for (const Bytes& bytes : frames)
    require(rte_ring_sp_enqueue(fabric().tx[port], make(port, bytes)) == 0, "the port is full");
}

void World::receive(std::uint16_t port, const std::vector<Bytes>& frames) {
  std::vector<rte_mbuf*> burst;
  for (const Bytes& bytes : frames)
    burst.push_back(make(port, bytes));
  pipeline_->receive(port, burst.data(), static_cast<unsigned>(burst.size()), now_tsc_);
}
void World::release(std::uint16_t port, const std::vector<Bytes>& frames) {
  std::vector<rte_mbuf*> burst;
  for (const Bytes& bytes : frames)
    burst.push_back(make(port, bytes));
  pipeline_->receive_released(burst.data(), static_cast<unsigned>(burst.size()), now_tsc_);
}
void World::receive_chained(std::uint16_t port, const Bytes& first, const Bytes& second) {
  rte_mbuf* frame = make(port, first);
  require(rte_pktmbuf_chain(frame, make(port, second)) == 0, "cannot chain");
  pipeline_->receive(port, &frame, 1, now_tsc_);
}
void World::receive_flagged(std::uint16_t port, const Bytes& bytes, std::uint64_t ol_flags) {
  rte_mbuf* frame = make(port, bytes);
  frame->ol_flags |= ol_flags;
  pipeline_->receive(port, &frame, 1, now_tsc_);
}
void World::receive_without_headroom(std::uint16_t port, const Bytes& bytes) {
  rte_mbuf* frame = make(port, bytes);
  std::memmove(frame->buf_addr, rte_pktmbuf_mtod(frame, void*), bytes.size());
  frame->data_off = 0;
  pipeline_->receive(port, &frame, 1, now_tsc_);
}
void World::exhaust_buffers() {
  while (rte_mbuf* frame = rte_pktmbuf_alloc(fabric().pool))
    hoarded_.push_back(frame);
  require(!hoarded_.empty(), "pool was empty already");
  // One is for the input.
  rte_pktmbuf_free(hoarded_.back());
  hoarded_.pop_back();
}
void World::advance_ms(std::uint64_t ms) {
  now_tsc_ += rte_get_tsc_hz() / 1000 * ms;
  pipeline_->set_clock(now_tsc_, kNowNs + ms * 1'000'000);
}

std::vector<Output> World::outputs() {
  Fabric& f = fabric();
  std::vector<Output> all;
  const auto collect = [&](rte_ring* ring, int where) {
    void* element = nullptr;
    while (rte_ring_sc_dequeue(ring, &element) == 0) {
      auto* frame = static_cast<rte_mbuf*>(element);
      all.push_back({where, bytes_of(frame)});
      rte_pktmbuf_free(frame);
    }
  };
  for (std::uint16_t port = 0; port < kPorts; ++port)
    collect(f.tx[port], port);
  collect(f.host, kHost);
  collect(f.hold, kHold);
  collect(f.control, kControl);
  return all;
}

std::vector<link::TraceRecord> World::records() {
  std::vector<link::TraceRecord> all;
  link::TraceRecord record;
  while (rte_ring_sc_dequeue_elem(fabric().trace, &record, sizeof record) == 0)
    all.push_back(record);
  return all;
}

std::string World::counters() const {
  std::string text;
  const auto add = [&](unsigned port, std::string_view name, std::uint64_t value) {
    if (value == 0) return;
    if (!text.empty()) text += ' ';
    text += std::to_string(port) + "." + std::string(name) + "=" + std::to_string(value);
  };
  for (unsigned port = 0; port < kPorts; ++port) {
    const link::PortCounters& c = counters_->port[port];
    add(port, "frames", c.frames);
    add(port, "messages", c.messages);
    add(port, "to_host", c.to_host);
    add(port, "to_host_dropped", c.to_host_dropped);
    add(port, "released", c.released);
    add(port, "forwarded", c.forwarded);
    add(port, "replicated", c.replicated);
    add(port, "copies", c.copies);
    add(port, "copies_dropped", c.copies_dropped);
    add(port, "held", c.held);
    add(port, "punted", c.punted);
    add(port, "answered", c.answered);
    add(port, "notices", c.notices);
    add(port, "notices_limited", c.notices_limited);
    add(port, "egress_frames", c.egress_frames);
    add(port, "egress_queued", c.egress_queued);
    add(port, "egress_dropped", c.egress_dropped);
    for (unsigned reason = 0; reason < kDropReasons; ++reason)
      add(port, info(static_cast<DropReason>(reason)).label, c.dropped[reason]);
  }
  return text;
}

bool World::balanced() const {
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (const link::PortCounters& c : counters_->port) {
    in += c.messages + c.released;
    out += c.forwarded + c.replicated + c.held + c.punted + c.answered;
    for (const std::uint64_t dropped : c.dropped)
      out += dropped;
  }
  return in == out;
}

unsigned World::missing_buffers() const {
  return rte_mempool_in_use_count(fabric().pool) - static_cast<unsigned>(hoarded_.size());
}

}  // namespace sluice::golden
