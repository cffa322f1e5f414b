#include "dataplane/io/ports.hpp"

#include <fmt/format.h>
#include <net/if.h>
#include <rte_ethdev.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "dataplane/io/device.hpp"

// Quirks of drivers, DPDK 22.11:
// - net_tap: as many receive as transmit queues; takes a buffer per descriptor at once; reports
//   the MAC address of its kernel interface, which is not ours but our neighbour's; once that
//   kernel interface is moved to another namespace it reports the link as down for ever.
// - net_af_packet, net_af_xdp: queue counts by their own arguments (qpairs, queue_count).
// - net_vmxnet3: at least 512 descriptors; rte_eth_dev_adjust_nb_rx_tx_desc knows.
// - net_null, net_ring, net_pcap: no MTU, no promiscuous mode: "not supported" is no failure.
// - net_ring: no MAC address.
// - net_memif, net_vhost: the link is up only while the other side is connected.

namespace sluice::dataplane {
namespace {

constexpr std::uint64_t kRssWish = RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP |
                                   RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6;

template <std::size_t n>
void copy_text(std::array<char, n>& out, std::string_view text) noexcept {
  const auto size = std::min(text.size(), n - 1);
  std::memcpy(out.data(), text.data(), size);
  out[size] = 0;
}

std::unexpected<Error> failed(const char* what, int code) {
  return fail(ErrorCode::kUnavailable,
              fmt::format("{}: {}", what, ::rte_strerror(code < 0 ? -code : code)),
              ErrorOrigin::kDataplane);
}

bool refused(int code) noexcept {
  return code != 0 && code != -ENOTSUP;
}

// A locally administered address made from the names of router and port: the same at every start,
// so that nobody's neighbour entries go stale.
MacAddress made_mac(std::string_view router, std::string_view port) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  const auto add = [&](std::string_view text) {
    for (const char c : text)
      hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  };
  add(router);
  add("/");
  add(port);
  MacAddress mac;
  std::memcpy(mac.data(), &hash, mac.size());
  mac[0] = 0x02;
  return mac;
}

rte_eth_conf make_conf(const rte_eth_dev_info& info, std::uint32_t mtu, std::uint16_t rx_queues,
                       bool rx_interrupts) {
  rte_eth_conf conf{};
  conf.rxmode.mtu = mtu;
  if (rx_queues > 1 && (info.flow_type_rss_offloads & kRssWish) != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & kRssWish;
  }
  // No checksum offloads: the pipeline checks IPv4's in the header that it reads anyway, and UDP's
  // are updated, not made; and software drivers "offload" by computing.
  // Copies of a message to several members: a header of their own before a shared payload.
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  conf.intr_conf.rxq = rx_interrupts ? 1 : 0;
  return conf;
}

}  // namespace

Ports::Ports(const PortsOptions& options, link::StatusSegment& status)
    : config_(*options.config),
      worker_nodes_(options.worker_nodes),
      rx_interrupts_(options.rx_interrupts),
      status_(status) {}

Result<std::unique_ptr<Ports>> Ports::create(const PortsOptions& options, const Mempools& pools,
                                             link::StatusSegment& status) {
  std::unique_ptr<Ports> ports(new Ports(options, status));
  const auto& wanted = options.config->ports;
  ports->ports_.reserve(wanted.size());
  for (std::uint16_t i = 0; i < wanted.size(); ++i) {
    if (auto ok = ports->open(i, pools); !ok)
      return fail(ok.error(), fmt::format("port {} ({})", wanted[i].name, wanted[i].device));
  }
  status.ports = ports->count();
  return ports;
}

Ports::~Ports() {
  stop();
  for (const auto& port : ports_)
    ::rte_eth_dev_close(port.id);
}

Status Ports::open(std::uint16_t index, const Mempools& pools) {
  const auto& wanted = config_.ports[index];
  const auto device = parse_device(wanted.device);
  if (!device) return std::unexpected(device.error());
  Port port;
  port.name = wanted.name;
  if (::rte_eth_dev_get_port_by_name(device->name.c_str(), &port.id) != 0) {
    return fail(ErrorCode::kNotFound,
                "no driver took the device; the log has what DPDK said about it",
                ErrorOrigin::kDataplane);
  }
  if (port.id >= kMaxPorts)
    return fail(ErrorCode::kExhausted, "the device brings more DPDK ports than there is room for");
  for (const auto core : wanted.workers) {
    const auto& cores = config_.dataplane.workers;
    port.serving.push_back(
        static_cast<std::uint16_t>(std::ranges::find(cores, core) - cores.begin()));
  }
  if (auto ok = configure(port, wanted, pools); !ok) return ok;
  ports_.push_back(std::move(port));
  publish(index, wanted);
  return {};
}

Status Ports::configure(Port& port, const config::Port& wanted, const Mempools& pools) {
  rte_eth_dev_info info{};
  if (const int code = ::rte_eth_dev_info_get(port.id, &info); code != 0)
    return failed("reading what the device can", code);
  port.driver = info.driver_name == nullptr ? "" : info.driver_name;
  const auto device = parse_device(wanted.device);
  const auto* software = device->driver;
  if (software != nullptr) {
    port.start_hint = software->start_hint;
    port.neighbour_mac = software->neighbour_mac;
  }
  if (port.driver == "net_tap") {
    char name[IF_NAMESIZE] = {};
    if (::if_indextoname(info.if_index, name) != nullptr) port.tap_interface = name;
  }
  if (wanted.mtu > info.max_mtu || wanted.mtu < info.min_mtu) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("mtu {} is outside of what the device can: {} to {}; change "
                            "ports[].mtu",
                            wanted.mtu, info.min_mtu, info.max_mtu),
                ErrorOrigin::kConfig);
  }
  const auto queues = plan_queues(
      {wanted.rx_queues, port.serving, static_cast<std::uint16_t>(worker_nodes_.size())},
      {info.max_rx_queues, info.max_tx_queues, software != nullptr && software->equal_queues});
  if (!queues) return std::unexpected(queues.error());
  port.queues = *queues;
  port.node = software == nullptr ? ::rte_eth_dev_socket_id(port.id) : -1;

  // Interrupts where the driver can; what refuses them is polled.
  bool interrupts = rx_interrupts_ && (software == nullptr || port.driver == "net_tap");
  int code = -1;
  for (;; interrupts = false) {
    const auto conf = make_conf(info, wanted.mtu, port.queues.rx_queues, interrupts);
    code = ::rte_eth_dev_configure(port.id, port.queues.rx_queues, port.queues.tx_queues, &conf);
    if (code == 0 || !interrupts) break;
  }
  if (code != 0) return failed("configuring queues", code);
  port.rx_interrupts = interrupts;
  port.sends_segments = (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;

  auto descriptors = wanted.descriptors;
  if (software != nullptr && software->max_descriptors != 0)
    descriptors = std::min(descriptors, software->max_descriptors);
  if (auto ok = set_up_queues(port, descriptors, pools); !ok) return ok;
  if (code = ::rte_eth_dev_set_mtu(port.id, static_cast<std::uint16_t>(wanted.mtu)); refused(code))
    return failed("mtu", code);
  return {};
}

Status Ports::set_up_queues(const Port& port, std::uint32_t descriptors, const Mempools& pools) {
  auto rx_descriptors = static_cast<std::uint16_t>(descriptors);
  std::uint16_t tx_descriptors = rx_descriptors;
  int code = ::rte_eth_dev_adjust_nb_rx_tx_desc(port.id, &rx_descriptors, &tx_descriptors);
  if (code != 0) return failed("descriptors", code);
  const auto socket = static_cast<unsigned>(::rte_eth_dev_socket_id(port.id));
  for (std::uint16_t queue = 0; queue < port.queues.rx_queues; ++queue) {
    const int near = worker_nodes_[port.queues.poller[queue]];
    auto* pool = pools.of(port.node >= 0 ? port.node : near);
    code = ::rte_eth_rx_queue_setup(port.id, queue, rx_descriptors, socket, nullptr, pool);
    if (code != 0) return failed("receive queue", code);
  }
  for (std::uint16_t queue = 0; queue < port.queues.tx_queues; ++queue) {
    code = ::rte_eth_tx_queue_setup(port.id, queue, tx_descriptors, socket, nullptr);
    if (code != 0) return failed("transmit queue", code);
  }
  return {};
}

void Ports::publish(std::uint16_t index, const config::Port& wanted) {
  const auto& port = ports_[index];
  auto& info = status_.port[index];
  auto& facts = table_.port[index];
  rte_ether_addr address{};
  ::rte_eth_macaddr_get(port.id, &address);
  std::copy_n(address.addr_bytes, facts.mac.size(), facts.mac.begin());
  if (port.neighbour_mac || rte_is_valid_assigned_ether_addr(&address) == 0)
    facts.mac = made_mac(config_.router.name, port.name);
  facts.dpdk_port = port.id;
  facts.vlan = static_cast<std::uint16_t>(wanted.vlan);
  facts.mtu = static_cast<std::uint16_t>(wanted.mtu);
  facts.sends_segments = port.sends_segments;
  table_.index_of_dpdk_port[port.id] = index;
  table_.count = static_cast<std::uint16_t>(index + 1);

  copy_text(info.name, port.name);
  copy_text(info.host_interface, wanted.host_interface);
  copy_text(info.driver, port.driver);
  copy_text(info.device, wanted.device);
  info.mac = facts.mac;
  info.role =
      wanted.role == config::PortRole::kTrunk ? link::PortRole::kTrunk : link::PortRole::kEdge;
  info.source_guard = wanted.source_guard ? 1 : 0;
  info.dispatch = port.queues.dispatch ? 1 : 0;
  info.rx_queues = port.queues.rx_queues;
  info.tx_queues = port.queues.tx_queues;
  info.mtu = facts.mtu;
  info.vlan = facts.vlan;
  info.socket = port.node;
  for (const auto worker : port.serving)
    info.workers |= std::uint64_t{1} << worker;
}

Status Ports::start() {
  for (auto& port : ports_) {
    int code = ::rte_eth_dev_start(port.id);
    if (code != 0) {
      const auto what = port.start_hint.empty() ? std::string("starting")
                                                : fmt::format("starting ({})", port.start_hint);
      return fail(failed(what.c_str(), code).error(), "port " + port.name);
    }
    port.started = true;
    // Neighbour discovery arrives as multicast; what cannot filter it takes everything.
    if (refused(::rte_eth_promiscuous_disable(port.id)))
      spdlog::warn("event=promiscuous_stays_on port={}", port.name);
    code = ::rte_eth_allmulticast_enable(port.id);
    if (code != 0 && ::rte_eth_promiscuous_enable(port.id) == 0)
      spdlog::info("event=promiscuous port={} reason=no_allmulticast", port.name);
    const auto index = static_cast<std::size_t>(&port - ports_.data());
    spdlog::info(
        "event=port_started port={} driver={} mac={} rx_queues={} tx_queues={} mtu={}"
        " dispatch={} interrupts={}",
        port.name, port.driver, to_string(table_.port[index].mac), port.queues.rx_queues,
        port.queues.tx_queues, table_.port[index].mtu, port.queues.dispatch ? "yes" : "no",
        port.rx_interrupts ? "yes" : "no");
  }
  return {};
}

void Ports::stop() noexcept {
  for (auto& port : ports_) {
    if (port.started) ::rte_eth_dev_stop(port.id);
    port.started = false;
  }
}

std::vector<PlacedPort> Ports::placement() const {
  std::vector<PlacedPort> placed;
  for (const auto& port : ports_)
    placed.push_back({port.name, port.node, port.serving});
  return placed;
}

}  // namespace sluice::dataplane
