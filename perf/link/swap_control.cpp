#include "perf/link/swap_control.hpp"

#include <algorithm>
#include <cstdlib>
#include <span>

#include "perf/link/bench_ids.hpp"
#include "perf/support/report.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::perf {

namespace {

using link::CommandKind;
using link::EventKind;

constexpr std::uint64_t kPatienceNs = 30 * kNsPerSecond;

[[noreturn]] void give_up(std::string_view why) {
  progress("base swap: {}", why);
  std::exit(1);
}

}  // namespace

SwapControl::SwapControl(const std::string& socket_path, std::function<void()> turn)
    : turn_(std::move(turn)) {
  auto socket = controlplane::connect_and_greet(socket_path);
  if (!socket) give_up(socket.error().message());
  socket_ = std::move(*socket);
  for (const std::uint64_t end = monotonic_ns() + kPatienceNs; monotonic_ns() < end;) {
    turn_();
    auto connected = controlplane::take_welcome(socket_.get());
    if (!connected) continue;
    session_.emplace(std::move(*connected));
    return;
  }
  give_up("the dataplane does not answer");
}

void SwapControl::say(const std::vector<link::Command>& commands) {
  std::span<const link::Command> left(commands);
  while (!left.empty() || session_->applied() < session_->written()) {
    const auto n = session_->write(left.data(), static_cast<std::uint32_t>(left.size()));
    left = left.subspan(n);
    session_->wake_if_needed();
    turn_();
    listen();
  }
}

void SwapControl::offer(const link::SegmentId& segment, int file) {
  if (auto sent = controlplane::send_offer(socket_.get(), segment, file); !sent)
    give_up(sent.error().message());
}

void SwapControl::listen() {
  session_->drain({.on_event = [&](const link::Event& event) {
    if (event.kind == EventKind::kCommandRefused) give_up("a command was refused");
    if (event.kind == EventKind::kBaseRefused) give_up("a base was refused");
    heard_.push_back(event);
  }});
}

link::Event SwapControl::await(EventKind kind) {
  for (const std::uint64_t end = monotonic_ns() + kPatienceNs; monotonic_ns() < end;) {
    turn_();
    listen();
    while (!heard_.empty()) {
      const link::Event first = heard_.front();
      heard_.erase(heard_.begin());
      if (first.kind == kind) return first;
    }
  }
  give_up("an event did not come");
}

bool SwapControl::heard(EventKind kind) {
  turn_();
  listen();
  return std::ranges::any_of(heard_, [&](const link::Event& event) { return event.kind == kind; });
}

link::Command SwapControl::command(CommandKind kind) const {
  link::Command made{};
  made.header.kind = kind;
  made.header.epoch = epoch_;
  return made;
}

link::Command SwapControl::adjacency(std::uint32_t handle, const IpAddress& host) const {
  link::Command made = command(CommandKind::kAdjacencySet);
  auto& body = made.body.adjacency_set;
  body.handle = handle;
  body.state = AdjacencyState::kUp;
  body.family = Family::kIpv4;
  body.mac = {2, 1, 0, 0, 0, 1};
  body.backup = kNoIndex;
  store(body.source.data(), kRouterAddress.v4_part());
  store(body.destination.data(), host.v4_part());
  return made;
}

link::Command SwapControl::route(const Id& id, std::uint32_t handle, std::uint16_t udp_port) const {
  link::Command made = command(CommandKind::kRouteSet);
  made.body.route_set = {.id = id,
                         .kind = ActionKind::kAdjacency,
                         .reserved = 0,
                         .tenant = 0,
                         .handle = handle,
                         .udp_port = udp_port};
  return made;
}

link::Command SwapControl::deletion(const Id& id) const {
  link::Command made = command(CommandKind::kRouteDelete);
  made.body.route_delete.id = id;
  return made;
}

std::vector<link::Command> SwapControl::commit(const link::SegmentId& segment,
                                               std::uint64_t entries, std::uint32_t dictionary,
                                               std::uint32_t number) const {
  std::vector<link::Command> all;
  all.push_back(command(CommandKind::kBaseBegin));
  all.back().body.base_begin = {
      .segment = segment, .entries = entries, .dictionary = dictionary, .number = number};
  for (std::uint32_t position = 0; position < dictionary; ++position) {
    all.push_back(command(CommandKind::kBaseAdjacency));
    all.back().body.base_adjacency = {.position = position, .handle = position};
  }
  all.push_back(command(CommandKind::kBaseCommit));
  all.back().body.base.segment = segment;
  return all;
}

}  // namespace sluice::perf
