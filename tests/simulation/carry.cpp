// The simulation's running part: what happens to packets, streams and timers of each node.
#include <algorithm>
#include <utility>

#include "tests/simulation/simulation.hpp"

namespace sluice::simulation {

using membership::Bytes;
using membership::Event;
using membership::EventKind;
using membership::InternPool;
using membership::StreamDecoder;
using membership::StreamRequest;
using membership::StreamRole;
using membership::TimerHeap;

namespace {
constexpr std::size_t kIpUdpBytes = 28;
constexpr std::size_t kCrcBytes = 5;
}  // namespace

std::uint32_t Simulation::keep(Packet packet) {
  if (free_packets_.empty()) {
    packets_.push_back(std::move(packet));
    return static_cast<std::uint32_t>(packets_.size() - 1);
  }
  const std::uint32_t index = free_packets_.back();
  free_packets_.pop_back();
  packets_[index] = std::move(packet);
  return index;
}

// Whose sending waits sends when it can again.
std::uint64_t Simulation::sending_ms(const Node& node) const noexcept {
  return node.starved == Starved::kBlocked ? std::max(node.thaw_ms, now_ms()) : now_ms();
}

void Simulation::Node::packet(const Endpoint& to, Bytes payload, bool crc) {
  traffic.packet_bytes += payload.size() + kIpUdpBytes + (crc ? kCrcBytes : 0);
  ++traffic.packets;
  const std::uint32_t target = index_of(to);
  if (target >= world->nodes_.size()) return;
  const std::uint64_t sent = world->sending_ms(*this);
  const auto delivery = world->network_.datagram(index, target, sent);
  for (int i = 0; i < delivery.copies; ++i) {
    const bool last = i + 1 == delivery.copies;
    const auto kept = world->keep({address_of(index), last ? std::move(payload) : Bytes(payload)});
    world->clockwork_.set(sent + delivery.delay_ms[i], {Happening::kPacket, target, kept});
  }
}

void Simulation::Node::open_stream(StreamRequest request) {
  const std::uint32_t target = index_of(request.to);
  ++traffic.streams;
  const std::uint64_t deadline = global_ms(request.deadline_ns);
  std::uint32_t exchange;
  if (world->free_exchanges_.empty()) {
    exchange = static_cast<std::uint32_t>(world->exchanges_.size());
    world->exchanges_.emplace_back();
  } else {
    exchange = world->free_exchanges_.back();
    world->free_exchanges_.pop_back();
  }
  const std::uint64_t sent = world->sending_ms(*this);
  const bool reachable = target < world->nodes_.size() &&
                         world->network_.connected(index, target, sent) &&
                         world->network_.connected(target, index, sent);
  const bool refused = reachable && !world->nodes_[target]->core;
  const std::uint64_t arrives =
      reachable ? sent + world->network_.stream_ms(index, target) : deadline;
  const bool failed = !reachable || refused || arrives >= deadline;
  if (!failed) traffic.stream_bytes += request.message.size();
  world->exchanges_[exchange] = {index, life, std::move(request), {}, failed};
  if (failed)
    world->clockwork_.set(std::min(arrives, deadline), {Happening::kReply, index, exchange});
  else
    world->clockwork_.set(arrives, {Happening::kRequest, target, exchange});
}

void Simulation::Node::event(const Event& event) {
  if (event.kind == EventKind::kUser) {
    std::string message(InternPool::text(event.meta));
    if (heard.insert(message).second) to_pass_on.push_back(std::move(message));
  }
  if (event.kind == EventKind::kLeaveDone)
    world->at(world->now_ms() + kEnd, [w = world, i = index, l = life] {
      if (w->nodes_[i]->life == l) w->end(*w->nodes_[i], false);
    });
  if (event.name.empty()) return;
  const std::uint32_t subject = index_of(event.name);
  if (subject >= world->nodes_.size() || subject == index) return;
  world->truth_.event(index, subject, event, event.from == name_of(index), world->now_ms());
}

void Simulation::handle(const Occurrence& occurrence) {
  ++handled_;
  Node& node = *nodes_[occurrence.node];
  switch (occurrence.what) {
    case Happening::kPacket:
      return deliver(node, occurrence.payload);
    case Happening::kWake:
      if (node.core && node.wake_ms == now_ms()) wake(node);
      return;
    case Happening::kRequest:
      return request(node, occurrence.payload);
    case Happening::kReply:
      return reply(node, occurrence.payload);
    case Happening::kThaw:
      if (node.core && node.life == occurrence.payload && node.thaw_ms == now_ms()) thaw(node);
      return;
    case Happening::kAction: {
      const auto action = std::move(actions_[occurrence.payload]);
      return action();
    }
  }
}

// Into the process, or into its socket's buffer while it does not read.
void Simulation::deliver(Node& node, std::uint32_t packet) {
  if (!node.core) {
    free_packets_.push_back(packet);
    return;
  }
  if (node.starved == Starved::kNo) return receive(node, packet);
  const std::size_t charge = packets_[packet].bytes.size() + kSocketCharge;
  if (node.inbox_bytes + charge > kSocketBuffer) {
    free_packets_.push_back(packet);
    return;
  }
  node.inbox_bytes += charge;
  node.inbox.push_back(packet);
}

void Simulation::receive(Node& node, std::uint32_t packet) {
  const Packet taken = std::move(packets_[packet]);
  free_packets_.push_back(packet);
  node.core->on_packet(node.local_ns(now_ms()), taken.from, decoder_.decode(taken.bytes));
  settle(node);
}

void Simulation::wake(Node& node) {
  node.wake_ms = 0;
  if (node.starved == Starved::kStopped) return;  // thaw() makes up for it
  node.core->on_timer(node.local_ns(now_ms()));
  settle(node);
}

// Timers and packets are ready together after a pause; which are handled first is chance.
void Simulation::thaw(Node& node) {
  const bool timers_first = network_.random().below(2) == 0;
  node.starved = Starved::kNo;
  node.inbox_bytes = 0;
  if (timers_first) node.core->on_timer(node.local_ns(now_ms()));
  while (!node.inbox.empty()) {
    const auto packet = node.inbox.front();
    node.inbox.pop_front();
    receive(node, packet);
  }
  node.core->on_timer(node.local_ns(now_ms()));
  while (!node.requests.empty()) {
    const auto exchange = node.requests.front();
    node.requests.pop_front();
    request(node, exchange);
  }
  settle(node);
}

// Sees to it that it is woken for its next timer.
void Simulation::settle(Node& node) {
  for (const std::string& message : node.to_pass_on)
    node.core->send_user(std::hash<std::string>{}(message),
                         {reinterpret_cast<const std::uint8_t*>(message.data()), message.size()},
                         true);
  node.to_pass_on.clear();
  const auto next = node.core->next_timer_ns();
  if (next == TimerHeap::kNever) return;
  const std::uint64_t ms = std::max(node.global_ms(next), now_ms() + 1);
  if (node.wake_ms != 0 && node.wake_ms <= ms && node.wake_ms > now_ms()) return;
  node.wake_ms = ms;
  clockwork_.set(ms, {Happening::kWake, node.index, 0});
}

void Simulation::request(Node& node, std::uint32_t exchange) {
  if (node.core && node.starved != Starved::kNo) {
    node.requests.push_back(exchange);
    return;
  }
  Exchange& e = exchanges_[exchange];
  const Node& asker = *nodes_[e.asker];
  const std::uint64_t deadline = asker.global_ms(e.request.deadline_ns);
  if (node.core && now_ms() < deadline) {
    StreamDecoder decoder(wire_, StreamRole::kAcceptor);
    if (decoder.feed(e.request.message) == StreamDecoder::State::kMessage)
      e.answer =
          node.core->on_stream(node.local_ns(now_ms()), address_of(e.asker), decoder.message());
    node.traffic.stream_bytes += e.answer.size();
    settle(node);
  }
  const std::uint64_t back = now_ms() + network_.stream_ms(node.index, e.asker);
  e.failed =
      e.answer.empty() || back >= deadline || !network_.connected(node.index, e.asker, now_ms());
  clockwork_.set(e.failed && !e.answer.empty() ? deadline : back,
                 {Happening::kReply, e.asker, exchange});
}

void Simulation::reply(Node& node, std::uint32_t exchange) {
  if (node.core && node.starved != Starved::kNo) {
    clockwork_.set(node.thaw_ms + 1, {Happening::kReply, node.index, exchange});
    return;
  }
  const Exchange e = std::move(exchanges_[exchange]);
  free_exchanges_.push_back(exchange);
  if (!node.core || node.life != e.life) return;
  const std::uint64_t now = node.local_ns(now_ms());
  StreamDecoder decoder(wire_, StreamRole::kDialer);
  if (!e.failed && decoder.feed(e.answer) == StreamDecoder::State::kMessage)
    node.core->on_stream_reply(now, e.request.id, decoder.message());
  else
    node.core->on_stream_failed(now, e.request.id);
  settle(node);
}

}  // namespace sluice::simulation
