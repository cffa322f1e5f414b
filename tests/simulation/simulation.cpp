#include "tests/simulation/simulation.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace sluice::simulation {

using membership::Bytes;
using membership::Core;
using membership::CoreConfig;
using membership::encoded;
using membership::kDefaultPort;
using membership::kOwnVsn;
using membership::MemberState;
using membership::PacketMessage;
using membership::PushPull;
using membership::PushPullNode;
using membership::Random;
using membership::SavedState;
using membership::WireState;

Simulation::Simulation(const SimulationConfig& config)
    : config_(config),
      network_(config.nodes, config.seed * 77 + 1, config.links),
      truth_(config.nodes) {
  Random random(config.seed * 31 + 5);
  for (std::uint32_t i = 0; i < config.nodes; ++i) {
    auto node = std::make_unique<Node>();
    node->world = this;
    node->index = i;
    if (config.rates) {
      node->clock_offset_ns = static_cast<std::int64_t>(random.below(3600 * kNsPerSecond));
      node->clock_rate = 1 + (random.unit() - 0.5) * 2e-4;
    }
    node->clock_offset_ns += static_cast<std::int64_t>(kNsPerSecond);
    nodes_.push_back(std::move(node));
  }
}

Simulation::~Simulation() = default;

std::string Simulation::name_of(std::uint32_t node) {
  return fmt::format("node-{:05}", node);
}

Endpoint Simulation::address_of(std::uint32_t node) {
  return {IpAddress::v4(Big32(0x0a000001u + node)), kDefaultPort};
}

std::uint32_t Simulation::index_of(const Endpoint& endpoint) noexcept {
  return endpoint.address.v4_part().get() - 0x0a000001u;
}

std::uint32_t Simulation::index_of(std::string_view name) noexcept {
  std::uint32_t index = ~0u;
  const auto digits = name.substr(std::min<std::size_t>(name.size(), 5));
  std::from_chars(digits.data(), digits.data() + digits.size(), index);
  return index;
}

std::uint64_t Simulation::Node::local_ns(std::uint64_t ms) const noexcept {
  return static_cast<std::uint64_t>(clock_offset_ns) +
         static_cast<std::uint64_t>(static_cast<double>(ms) * 1e6 * clock_rate);
}

// The first millisecond at which the local clock shows at least this.
std::uint64_t Simulation::Node::global_ms(std::uint64_t local) const noexcept {
  const double ns = static_cast<double>(local - static_cast<std::uint64_t>(clock_offset_ns));
  auto ms = static_cast<std::uint64_t>(std::ceil(ns / clock_rate / 1e6));
  while (local_ns(ms) < local)
    ++ms;
  return ms;
}

void Simulation::make_core(Node& node, bool with_saved) {
  CoreConfig config;
  config.name = name_of(node.index);
  config.advertise = address_of(node.index);
  config.meta = Bytes(config_.meta_bytes, static_cast<std::uint8_t>(node.index));
  config.profile = config_.profile;
  config.lifeguard = config_.lifeguard;
  ++node.life;
  node.core = std::make_unique<Core>(
      std::move(config), pool_, node, config_.seed * 1'000'003 + node.index * 101 + node.life,
      node.local_ns(now_ms()), with_saved ? node.saved.get() : nullptr);
  truth_.started(node.index);
}

void Simulation::start(std::uint32_t node, const std::vector<std::uint32_t>& seeds,
                       bool with_saved) {
  Node& n = *nodes_[node];
  if (n.core) return;
  make_core(n, with_saved);
  std::vector<Endpoint> addresses;
  for (const auto seed : seeds)
    addresses.push_back(address_of(seed));
  n.core->set_seeds(n.local_ns(now_ms()), addresses);
  settle(n);
}

void Simulation::start_all_joined(std::uint32_t count) {
  std::vector<std::string> names;
  std::vector<Bytes> metas;
  std::vector<PushPullNode> list;
  for (std::uint32_t i = 0; i < count; ++i) {
    names.push_back(name_of(i));
    metas.emplace_back(config_.meta_bytes, static_cast<std::uint8_t>(i));
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    list.push_back({.name = names[i],
                    .address = address_of(i),
                    .meta = metas[i],
                    .incarnation = 1,
                    .state = WireState::kAlive,
                    .vsn = kOwnVsn});
  }
  for (std::uint32_t i = 0; i < count; ++i)
    make_core(*nodes_[i], false);
  for (std::uint32_t i = 0; i < count; ++i) {
    Node& node = *nodes_[i];
    node.core->on_stream(node.local_ns(now_ms()), address_of(i),
                         PushPull{.join = false, .nodes = list, .user_state = {}});
    settle(node);
  }
}

void Simulation::end(Node& node, bool keep) {
  if (!node.core) return;
  if (keep) node.saved = std::make_unique<SavedState>(node.core->save());
  node.core.reset();
  node.wake_ms = 0;
  node.starved = Starved::kNo;
  for (const auto packet : node.inbox)
    free_packets_.push_back(packet);
  node.inbox.clear();
  node.inbox_bytes = 0;
  for (const auto exchange : node.requests) {
    exchanges_[exchange].failed = true;  // reset by the kernel
    clockwork_.set(now_ms() + 1, {Happening::kReply, exchanges_[exchange].asker, exchange});
  }
  node.requests.clear();
  truth_.stopped(node.index);
}

void Simulation::kill(std::uint32_t node) {
  end(*nodes_[node], true);
}

void Simulation::leave(std::uint32_t node) {
  Node& n = *nodes_[node];
  if (!n.core) return;
  truth_.stopped(node);
  n.core->leave(n.local_ns(now_ms()));
  settle(n);
}

void Simulation::starve(std::uint32_t node, Starved how, std::uint64_t for_ms) {
  Node& n = *nodes_[node];
  if (!n.core) return;
  n.starved = how;
  n.thaw_ms = now_ms() + for_ms;
  clockwork_.set(n.thaw_ms, {Happening::kThaw, node, n.life});
}

void Simulation::at(std::uint64_t ms, std::function<void()> action) {
  actions_.push_back(std::move(action));
  clockwork_.set(ms, {Happening::kAction, 0, static_cast<std::uint32_t>(actions_.size() - 1)});
}

void Simulation::run_until(std::uint64_t ms) {
  clockwork_.run(ms, [this](const Occurrence& o) { handle(o); });
}

std::int64_t Simulation::run_until_converged(std::uint64_t within_ms) {
  const std::uint64_t begin = now_ms();
  while (truth_.wrong() != 0) {
    if (now_ms() - begin >= within_ms) return -1;
    run_for(10);
  }
  return static_cast<std::int64_t>(now_ms() - begin);
}

void Simulation::inject(std::uint32_t to, const PacketMessage& message) {
  clockwork_.set(now_ms() + 1,
                 {Happening::kPacket, to, keep({address_of(0xfffff), encoded(message)})});
}

void Simulation::send_user(std::uint32_t node, std::string message) {
  Node& n = *nodes_[node];
  if (n.heard.insert(message).second) n.to_pass_on.push_back(std::move(message));
  settle(n);
}

Traffic Simulation::total_traffic() const {
  Traffic total;
  for (const auto& node : nodes_) {
    total.packets += node->traffic.packets;
    total.packet_bytes += node->traffic.packet_bytes;
    total.streams += node->traffic.streams;
    total.stream_bytes += node->traffic.stream_bytes;
  }
  return total;
}

std::string Simulation::check() {
  if (!truth_.breach().empty()) return truth_.breach();
  for (const auto& node : nodes_) {
    if (!node->core) continue;
    const auto view = node->core->view();
    std::size_t seen = 0;
    for (std::uint32_t i = 0; i < nodes_.size(); ++i)
      seen += truth_.sees(node->index, i);
    const std::size_t held =
        view.members.count(MemberState::kAlive) + view.members.count(MemberState::kSuspect);
    if (truth_.running(node->index) && seen != held)
      return fmt::format("{}: events say {} members, the list holds {}", node->index, seen, held);
    if (view.members.size() + view.lost.size() > nodes_.size() + view.members.size() / 8 + 8)
      return fmt::format("{}: {} members and {} lost of {}", node->index, view.members.size(),
                         view.lost.size(), nodes_.size());
    if (view.queued > nodes_.size())
      return fmt::format("{}: {} messages queued", node->index, view.queued);
    // Some hundred bytes a member, a queued message of up to 300 for each, timers.
    const std::size_t bound = 65'536 + nodes_.size() * 700;
    if (node->core->memory_bytes() > bound)
      return fmt::format("{}: {} bytes", node->index, node->core->memory_bytes());
  }
  return {};
}

}  // namespace sluice::simulation
