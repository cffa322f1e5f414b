#include "perf/pipeline/bench_world.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "perf/support/built_base.hpp"
#include "sluice/wire/envelope.hpp"

namespace sluice::perf {
namespace {

using dataplane::AdjacencyKey;
using dataplane::ForwardingState;
using dataplane::RouteChange;
using dataplane::RouteOutcome;
using dataplane::Tables;

constexpr std::uint32_t kRouterAddress = 10U << 24 | 1;  // 10.0.0.1
constexpr MacAddress kRouterMac = {2, 0, 0, 0, 0, 1};
constexpr unsigned kBuffers = 16383;
constexpr std::size_t kMegabyte = 1 << 20;

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string(what) + ": " + rte_strerror(rte_errno));
}

// splitmix64: a permutation, so ids of different numbers differ.
std::uint64_t scramble(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

std::size_t meminfo_kib(const std::string& label) {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;) {
    std::size_t value = 0;
    if (word == label && file >> value) return value;
  }
  return 0;
}

constexpr HashKey kKey{{7, 1, 3}};

template <class T>
void put(std::array<std::uint8_t, 16>& to, const T& value) {
  std::memcpy(to.data(), &value, sizeof value);
}

}  // namespace

Id id_of(std::uint64_t number) {
  const std::array<std::uint64_t, 2> halves = {scramble(number), ~scramble(number)};
  Id id;
  std::memcpy(id.bytes.data(), halves.data(), sizeof id);
  return id;
}
std::uint32_t host_address(std::uint64_t agent) {
  return (10U << 24) + 256 + static_cast<std::uint32_t>(agent % kHosts);
}
std::uint16_t agent_port(std::uint64_t agent) {
  return static_cast<std::uint16_t>(10'000 + agent / kHosts % 50'000);
}

bool start_eal(int cpu, unsigned ports, std::size_t table_bytes, bool may_take_huge_pages) {
  const std::size_t megabytes = table_bytes / kMegabyte + 256;
  const std::size_t free_megabytes =
      meminfo_kib("HugePages_Free:") * (meminfo_kib("Hugepagesize:") / 1024);
  const bool huge = may_take_huge_pages && free_megabytes >= megabytes;
  static std::vector<std::string> words = {"bench",
                                           "--lcores",
                                           "0@" + std::to_string(cpu),
                                           "--no-pci",
                                           "--no-shconf",
                                           "--no-telemetry",
                                           "--log-level",
                                           "lib.eal:error",
                                           "-m",
                                           std::to_string(megabytes)};
  if (huge) {
    words.emplace_back("--in-memory");
  } else {
    words.emplace_back("--no-huge");
  }
  for (unsigned i = 0; i < ports; ++i)
    words.push_back("--vdev=net_null" + std::to_string(i) + ",size=" + std::to_string(kFrameBytes));
  std::vector<char*> arguments;
  for (std::string& word : words)
    arguments.push_back(word.data());
  require(rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0,
          "DPDK does not start");
  return huge;
}

BenchWorld::BenchWorld(unsigned ports, std::uint64_t agents, bool source_guard) {
  make_tables(ports, agents + 64);
  add_agents(agents);
  set_guard(source_guard);
}

BenchWorld::BenchWorld(unsigned ports, std::uint64_t agents, const BaseTier& tier) {
  make_tables(ports, tier.delta_capacity);
  put_into_base(agents);
  if (tier.delta > 0) add_agents(agents, std::max<std::uint64_t>(agents / tier.delta, 1));
  while (!tables_->tend_filter(1'000'000)) {
  }
  set_guard(false);
}

void BenchWorld::make_tables(unsigned ports, std::uint64_t capacity) {
  pool_ = rte_pktmbuf_pool_create("bench", kBuffers, 512, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
  require(pool_ != nullptr, "no buffers");
  open_ports(ports);
  auto tables = Tables::create({.routes = capacity, .adjacencies = 65'536, .groups = 64});
  if (!tables) throw std::runtime_error("no tables");
  tables_ = std::move(*tables);
  if (!tables_->set_hash_key(kKey)) throw std::runtime_error("no route table");
  add_hosts();
}

BenchWorld::~BenchWorld() {
  for (std::uint16_t i = 0; i < ports_.count; ++i)
    rte_eth_dev_stop(ports_.port[i].dpdk_port);
  tables_.reset();
  rte_mempool_free(pool_);
}

void BenchWorld::open_ports(unsigned ports) {
  for (std::uint16_t i = 0; i < ports; ++i) {
    const rte_eth_conf conf{};
    require(rte_eth_dev_configure(i, 1, 1, &conf) == 0 &&
                rte_eth_rx_queue_setup(i, 0, 512, 0, nullptr, pool_) == 0 &&
                rte_eth_tx_queue_setup(i, 0, 512, 0, nullptr) == 0 && rte_eth_dev_start(i) == 0,
            "null port does not start");
    ports_.port[i] = {.mac = kRouterMac, .dpdk_port = i, .sends_segments = true};
    ports_.index_of_dpdk_port[i] = i;
  }
  ports_.count = static_cast<std::uint16_t>(ports);
  ports_.up.store((1U << ports) - 1);
}

void BenchWorld::add_hosts() {
  for (std::uint32_t host = 0; host < kHosts; ++host) {
    const Big32 address(host_address(host));
    AdjacencyKey key{.port = 0, .vlan = 0, .family = Family::kIpv4, .destination = {}};
    put(key.destination, address);
    Adjacency line{};
    const EthernetHeader l2{
        {2, 1, 0, 0, static_cast<std::uint8_t>(host >> 8), static_cast<std::uint8_t>(host)},
        kRouterMac,
        Big16(kEtherTypeIpv4)};
    std::memcpy(line.l2.data(), &l2, sizeof l2);
    line.l2_bytes = sizeof l2;
    line.state = AdjacencyState::kUp;
    line.family = Family::kIpv4;
    line.epoch = 1;
    put(line.source, Big32(kRouterAddress));
    line.destination = key.destination;
    line.backup = kNoIndex;
    line.mtu = 1500;
    line.address_sum = checksum_fold(
        checksum_add(line.source.data(), 4, checksum_add(line.destination.data(), 4)));
    const auto slot = tables_->adjacencies.find_or_allocate(key);
    if (!slot) throw std::runtime_error("no room for hosts");
    tables_->adjacencies.set(*slot, line);
    adjacency_.push_back(*slot);
  }
}

Action BenchWorld::action_of(std::uint64_t agent, std::uint32_t index, std::uint8_t epoch) const {
  return {ActionKind::kAdjacency, index, agent_port(agent), kTenant, epoch};
}

// Every `step`-th.
void BenchWorld::add_agents(std::uint64_t agents, std::uint64_t step) {
  std::array<Id, 64> ids;
  std::array<Action, 64> actions;
  std::array<RouteChange, 64> changes;
  for (std::uint64_t next = 0; next < agents;) {
    unsigned n = 0;
    for (; n < 64 && next < agents; ++n, next += step) {
      ids[n] = id_of(next);
      actions[n] = action_of(next, adjacency_[next % kHosts], 1);
    }
    tables_->set_routes(ids.data(), actions.data(), n, changes.data());
    for (unsigned i = 0; i < n; ++i) {
      if (changes[i].outcome == RouteOutcome::kFull) throw std::runtime_error("route table full");
    }
  }
}

void BenchWorld::put_into_base(std::uint64_t agents) {
  constexpr unsigned kThreads = 2;
  auto built = build_base(kKey, agents, kHosts, kThreads, [&](std::uint64_t agent) {
    const auto position = static_cast<std::uint32_t>(agent % kHosts);
    return std::pair(id_of(agent), action_of(agent, position, 0));
  });
  if (!tables_->commit_base(std::move(built.loaded), adjacency_, 1, 1))
    throw std::runtime_error("no base");
  std::size_t pruned = 0;
  while (!tables_->prune(1'000'000, pruned)) {
  }
}

void BenchWorld::set_guard(bool on) {
  auto state = std::make_unique<ForwardingState>();
  state->router_id.bytes.fill(0xee);
  state->ready = true;
  state->control_plane_connected = true;
  state->settings.hold_per_id = 8;
  state->settings.hold_ms = 500;
  state->settings.negative_cache_ms = 1000;
  state->settings.notices_per_second = 10'000;
  state->settings.punts_per_second = 10'000;
  for (auto& port : state->port)
    port.source_guard = on;
  for (unsigned i = 0; i < ports_.count; ++i)
    state->port[i].add_local(IpAddress::v4(Big32(kRouterAddress)));
  tables_->publish(std::move(state));
}

MessageMaker::MessageMaker(std::uint64_t agents, Order order) : agents_(agents), order_(order) {
  std::memset(frame_, 0x5a, sizeof frame_);
  const EthernetHeader l2{kRouterMac, {2, 1, 0, 0, 9, 9}, Big16(kEtherTypeIpv4)};
  Ipv4Header ip{.version_and_length = 0x45,
                .service = 0,
                .total_length = Big16(static_cast<std::uint16_t>(kFrameBytes - sizeof l2)),
                .identification = Big16(std::uint16_t{0}),
                .fragment = Big16(std::uint16_t{0x4000}),
                .ttl = 64,
                .protocol = kIpProtocolUdp,
                .checksum = Big16(std::uint16_t{0}),
                .source = Big32(std::uint32_t{0}),
                .destination = Big32(kRouterAddress)};
  checksum_without_source_ = checksum_fold(checksum_add(&ip, sizeof ip));
  const UdpHeader udp{Big16(std::uint16_t{0}), Big16(kDefaultMessagePort),
                      Big16(static_cast<std::uint16_t>(kFrameBytes - sizeof l2 - sizeof ip)),
                      Big16(std::uint16_t{0x1234})};
  Envelope envelope{};
  envelope.version_and_length = kVersionAndLength;
  envelope.hop_limit = 8;
  envelope.payload_length.set(kPayloadBytes);
  envelope.tenant.set(kTenant);
  std::memcpy(frame_, &l2, sizeof l2);
  std::memcpy(frame_ + 14, &ip, sizeof ip);
  std::memcpy(frame_ + 34, &udp, sizeof udp);
  std::memcpy(frame_ + 42, &envelope, sizeof envelope);
}

std::uint64_t MessageMaker::next_random() noexcept {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  return state_;
}

void MessageMaker::make(std::uint8_t* frame) noexcept {
  const std::uint64_t number = next_random();
  const std::uint64_t source = (number >> 32) * agents_ >> 32;
  std::uint64_t destination = (number & 0xffffffff) * agents_ >> 32;
  if (order_ == Order::kSequential) {
    destination = sequence_;
    sequence_ = sequence_ + 1 < agents_ ? sequence_ + 1 : 0;
  }
  std::memcpy(frame, frame_, sizeof frame_);
  const std::uint32_t address = Big32(host_address(source)).raw();
  const std::uint32_t sum = checksum_without_source_ + (address & 0xffff) + (address >> 16);
  store(frame + 24, static_cast<std::uint16_t>(~checksum_fold(sum)));
  store(frame + 26, address);
  store(frame + 34, Big16(agent_port(source)));
  store(frame + 42 + 16, id_of(destination));
  store(frame + 42 + 32, id_of(source));
}

}  // namespace sluice::perf
