// Messages for a capability: one member or all of them; and what happens behind a congested port.
#include <map>

#include "tests/golden/row.hpp"

namespace sluice::golden {
namespace {

constexpr std::uint8_t kOne = message_flag::kCapability;
constexpr std::uint8_t kAll = message_flag::kCapability | message_flag::kAllMembers;

const std::vector<Host> kMembers = {
    {1, Family::kIpv4, 1}, {2, Family::kIpv4, 2}, {1, Family::kIpv6, 3}, {2, Family::kIpv6, 4}};

Id capability() {
  Id id;
  id.bytes.fill(0xc4);
  return id;
}
Packet to_group(std::uint8_t flags, std::size_t payload = 200) {
  Packet packet = World::message(kSender, capability(), payload);
  packet.envelope.flags = flags;
  return packet;
}

std::function<void(World&)> group(GroupPolicy policy, std::vector<Host> members) {
  return [=](World& world) {
    world.add_agent(kSender);
    world.add_group(capability(), policy, members);
  };
}

// Outputs in the order in which World::outputs() lists them.
std::vector<Output> by_port(const std::vector<std::pair<Packet, Host>>& sent) {
  std::vector<Output> all;
  for (std::uint16_t port = 0; port < kPorts; ++port) {
    for (const auto& [packet, host] : sent) {
      if (host.port == port) all.push_back({port, build(World::forwarded(packet, host))});
    }
  }
  return all;
}

void add_one(std::vector<Row>& rows) {
  const Packet packet = to_group(kOne);
  // The first turn goes to the second place of the order (the cursor starts at nought).
  std::vector<std::pair<Packet, Host>> turns;
  for (const std::size_t i : {1, 2, 3, 0})
    turns.push_back({packet, kMembers[i]});
  rows.push_back({.name = "round_robin",
                  .set_up = group(GroupPolicy::kRoundRobin, kMembers),
                  .frames = {4, build(packet)},
                  .expected = by_port(turns),
                  .counters = "0.frames=4 0.messages=4 0.forwarded=4 1.egress_frames=2 "
                              "2.egress_frames=2"});
  rows.push_back({.name = "never_to_the_sender",
                  .set_up = group(GroupPolicy::kRoundRobin, {kSender, kReceiver}),
                  .frames = {2, build(packet)},
                  .expected = by_port({{packet, kReceiver}, {packet, kReceiver}}),
                  .counters = "0.frames=2 0.messages=2 0.forwarded=2 1.egress_frames=2"});
  const auto down = [](World& world) {
    group(GroupPolicy::kHash, {kReceiver, kMembers[1]})(world);
    world.set_adjacency(kReceiver, AdjacencyState::kDown);
  };
  rows.push_back({.name = "hash_skips_member_that_is_down",
                  .set_up = down,
                  .frames = {build(packet)},
                  .expected = by_port({{packet, kMembers[1]}}),
                  .counters = forwarded_counters(0, 2)});
  rows.push_back({.name = "not_to_who_offers_an_agents_name",
                  .set_up = group(GroupPolicy::kRoundRobin, kMembers),
                  .frames = {build(to_group(0))},
                  .expected = {},
                  .counters = dropped("unknown_destination")});
  rows.push_back({.name = "empty_group",
                  .set_up = group(GroupPolicy::kRoundRobin, {}),
                  .frames = {build(packet)},
                  .expected = {},
                  .counters = dropped("empty_group")});
  rows.push_back({.name = "only_the_sender",
                  .set_up = group(GroupPolicy::kRoundRobin, {kSender}),
                  .frames = {build(packet)},
                  .expected = {},
                  .counters = dropped("empty_group")});
  rows.push_back({.name = "unresolved_member_holds",
                  .set_up =
                      [](World& world) {
                        group(GroupPolicy::kHash, {kReceiver})(world);
                        world.set_adjacency(kReceiver, AdjacencyState::kUnresolved);
                      },
                  .frames = {build(packet)},
                  .expected = {{kHold, build(packet)}},
                  .counters = dropped("held")});
  rows.push_back({.name = "group_that_is_gone",
                  .set_up =
                      [](World& world) {
                        group(GroupPolicy::kHash, {kReceiver})(world);
                        world.erase_group(capability());
                      },
                  .frames = {build(packet)},
                  .expected = {},
                  .counters = dropped("unreachable")});
}

void add_all(std::vector<Row>& rows) {
  for (const bool segments : {true, false}) {
    for (const bool checksum : {true, false}) {
      Packet packet = to_group(kAll, 900);
      packet.udp_checksum = checksum;
      std::vector<std::pair<Packet, Host>> sent;
      for (const Host& member : kMembers)
        sent.push_back({packet, member});
      rows.push_back(
          {.name = std::string("all_members") + (segments ? "_shared" : "_copied") +
                   (checksum ? "" : "_no_checksum"),
           .set_up =
               [=](World& world) {
                 group(GroupPolicy::kRoundRobin, kMembers)(world);
                 world.sends_segments(segments);
               },
           .frames = {build(packet)},
           .expected = by_port(sent),
           .counters = dropped("replicated") + " 0.copies=4 1.egress_frames=2 2.egress_frames=2"});
    }
  }
  const Packet packet = to_group(kAll);
  rows.push_back(
      {.name = "all_but_one_that_is_down",
       .set_up =
           [](World& world) {
             group(GroupPolicy::kRoundRobin, {kReceiver, kMembers[1], kSender})(world);
             world.set_adjacency(kReceiver, AdjacencyState::kDown);
           },
       .frames = {build(packet)},
       .expected = by_port({{packet, kMembers[1]}}),
       .counters = dropped("replicated") + " 0.copies=1 0.copies_dropped=1 2.egress_frames=1"});
  rows.push_back({.name = "all_are_down",
                  .set_up =
                      [](World& world) {
                        group(GroupPolicy::kRoundRobin, {kReceiver})(world);
                        world.set_adjacency(kReceiver, AdjacencyState::kDown);
                      },
                  .frames = {build(packet)},
                  .expected = {},
                  .counters = dropped("adjacency_down")});
  rows.push_back({.name = "all_is_only_the_sender",
                  .set_up = group(GroupPolicy::kRoundRobin, {kSender}),
                  .frames = {build(packet)},
                  .expected = {},
                  .counters = dropped("replicated")});
  rows.push_back(
      {.name = "no_buffer_for_copies",
       .set_up = group(GroupPolicy::kRoundRobin, kMembers),
       .input =
           [=](World& world) {
             world.exhaust_buffers();
             world.receive(0, {build(packet)});
           },
       .expected = by_port({{packet, kMembers[3]}}),
       .counters = dropped("replicated") + " 0.copies=1 0.copies_dropped=3 2.egress_frames=1"});
}

Packet of_class(std::uint8_t traffic_class, std::uint8_t flags = 0) {
  Packet packet = World::message(kSender, World::agent_id(kReceiver), 1);
  packet.envelope.set_class_and_lifetime(traffic_class, 0);
  packet.envelope.flags = flags;
  return packet;
}
void pair_of_agents(World& world) {
  world.add_agent(kSender);
  world.add_agent(kReceiver);
}
Bytes leaves(const Packet& packet) {
  return build(World::forwarded(packet, kReceiver));
}

void add_congestion(std::vector<Row>& rows) {
  // Waits while the port is full, leaves best class first, in order within it.
  rows.push_back({.name = "strict_priority",
                  .set_up = pair_of_agents,
                  .input =
                      [](World& world) {
                        world.fill_tx(1);
                        for (const std::uint8_t c : Bytes{0, 5, 7, 5})
                          world.receive(0, {build(of_class(c))});
                        world.empty_tx(1);
                        world.pipeline().drain_egress();
                      },
                  .expected = {{1, leaves(of_class(7))},
                               {1, leaves(of_class(5))},
                               {1, leaves(of_class(5))},
                               {1, leaves(of_class(0))}},
                  .counters = "0.frames=4 0.messages=4 0.forwarded=4 1.egress_frames=4 "
                              "1.egress_queued=4"});
  // 512 wait; one more of the same class has no room and its sender is told; a better one pushes
  // the newest of the lowest class out.
  const Packet asks = of_class(2, message_flag::kNotify);
  rows.push_back(
      {.name = "egress_full",
       .set_up = pair_of_agents,
       .input =
           [=](World& world) {
             world.fill_tx(1);
             for (int i = 0; i < 8; ++i)
               world.receive(0, {64, build(of_class(2))});
             world.receive(0, {build(asks)});
             world.receive(0, {build(of_class(3))});
             world.empty_tx(1);
             for (int i = 0; i < 9; ++i) {
               world.pipeline().drain_egress();
               if (i < 8) world.empty_tx(1);
             }
           },
       .expected = {{0, build(notice_for(asks, NoticeReason::kCongested))},
                    // 63 at a time: the last turn has the rest of 512.
                    {1, leaves(of_class(2))},
                    {1, leaves(of_class(2))},
                    {1, leaves(of_class(2))},
                    {1, leaves(of_class(2))},
                    {1, leaves(of_class(2))},
                    {1, leaves(of_class(2))},
                    {1, leaves(of_class(2))},
                    {1, leaves(of_class(2))}},
       .counters = "0.frames=514 0.messages=514 0.forwarded=512 0.egress_full=2 0.notices=1 "
                   "0.egress_frames=1 1.egress_frames=512 1.egress_queued=513 1.egress_dropped=1"});
  rows.push_back({.name = "link_lost_while_waiting",
                  .set_up = pair_of_agents,
                  .input =
                      [](World& world) {
                        world.fill_tx(1);
                        world.receive(0, {3, build(of_class(2))});
                        world.set_port_up(1, false);
                        world.pipeline().drain_egress();
                        world.empty_tx(1);
                      },
                  .expected = {},
                  .counters = "0.frames=3 0.messages=3 0.port_down=3 1.egress_queued=3 "
                              "1.egress_dropped=3"});
  rows.push_back({.name = "stopped_while_waiting",
                  .set_up = pair_of_agents,
                  .input =
                      [](World& world) {
                        world.fill_tx(1);
                        world.receive(0, {3, build(of_class(2))});
                        world.pipeline().stop();
                        world.empty_tx(1);
                      },
                  .expected = {},
                  .counters = "0.frames=3 0.messages=3 0.shutdown=3 1.egress_queued=3 "
                              "1.egress_dropped=3"});
}

}  // namespace

std::vector<Row> group_rows() {
  std::vector<Row> rows;
  add_one(rows);
  add_all(rows);
  add_congestion(rows);
  return rows;
}

}  // namespace sluice::golden
