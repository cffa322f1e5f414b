// Well-formed messages that are not simply forwarded: policy, routes, next hops, hold, punt, echo,
// notices. One row per drop reason that a worker can give, with the notice where there is one.
#include "tests/golden/row.hpp"

namespace sluice::golden {
namespace {

using dataplane::TenantLimit;
using dataplane::Tenants;

void agents(World& world) {
  world.add_agent(kSender);
  world.add_agent(kReceiver);
}

Packet good(std::uint8_t flags = 0) {
  Packet packet = World::message(kSender, World::agent_id(kReceiver));
  packet.envelope.flags = flags;
  return packet;
}

// The message is dropped; and again with the notify flag, when the sender is told.
void refused(std::vector<Row>& rows, const std::string& name, std::string_view reason,
             std::function<void(World&)> set_up, Packet packet = good(),
             NoticeReason told = NoticeReason::kNone, std::uint16_t port = 0) {
  packet.envelope.flags = 0;
  rows.push_back({.name = name,
                  .set_up = set_up,
                  .port = port,
                  .frames = {build(packet)},
                  .expected = {},
                  .counters = dropped(reason, port)});
  packet.envelope.flags = message_flag::kNotify;
  Row with{.name = name + "_notify",
           .set_up = set_up,
           .port = port,
           .frames = {build(packet)},
           .expected = {},
           .counters = dropped(reason, port)};
  if (told != NoticeReason::kNone) {
    const std::string p = std::to_string(port) + ".";
    with.expected = {{port, build(notice_for(packet, told))}};
    with.counters += " " + p + "notices=1 " + p + "egress_frames=1";
  }
  rows.push_back(with);
}

Row one(std::string name, std::function<void(World&)> set_up, const Packet& packet,
        std::vector<Output> expected, std::string counters, std::uint16_t port = 0) {
  return {.name = std::move(name),
          .set_up = std::move(set_up),
          .port = port,
          .frames = {build(packet)},
          .expected = std::move(expected),
          .counters = std::move(counters)};
}

void add_source_guard(std::vector<Row>& rows) {
  const auto told = NoticeReason::kSourceDenied;
  Packet unknown = good();
  unknown.envelope.source.bytes.fill(0x33);
  refused(rows, "source_unknown", "source_denied", agents, unknown, told);
  Packet stolen = good();  // somebody else's id
  stolen.envelope.source = World::agent_id(kReceiver);
  refused(rows, "source_of_other_host", "source_denied", agents, stolen, told);
  Packet port = good();
  port.from_port += 1;
  refused(rows, "source_udp_port", "source_denied", agents, port, told);
  Packet address = good();
  address.from = *parse_ip("10.0.0.77");
  refused(rows, "source_address", "source_denied", agents, address, told);
  Packet tenant = good();
  tenant.envelope.tenant.set(8);
  refused(rows, "source_tenant", "source_denied", agents, tenant, told);
  const Host six{0, Family::kIpv6, 1};
  Packet address6 = World::message(six, World::agent_id(kReceiver));
  address6.from = *parse_ip("fd00:0::99");
  refused(
      rows, "source_address_v6", "source_denied",
      [=](World& world) {
        agents(world);
        world.add_agent(six);
      },
      address6, told);
  // Nobody can have them abuse us to talk to everybody on the wire.
  Packet broadcast = address;
  broadcast.from_mac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  refused(rows, "source_mac_broadcast", "source_denied", agents, broadcast);
  broadcast = address;
  broadcast.from = *parse_ip("255.255.255.255");
  refused(rows, "source_address_broadcast", "source_denied", agents, broadcast);
  Packet multicast6 = address6;
  multicast6.from = *parse_ip("ff02::1");
  refused(rows, "source_address_multicast_v6", "source_denied", agents, multicast6);
  // The right sender on the wrong port.
  const Packet elsewhere = [] {
    Packet packet = World::message({1, Family::kIpv4, 9}, World::agent_id(kReceiver));
    packet.envelope.source = World::agent_id(kSender);
    return packet;
  }();
  refused(rows, "source_on_other_port", "source_denied", agents, elsewhere, told, 1);
  // Without guard the same message goes.
  rows.push_back(one(
      "guard_off",
      [](World& world) {
        agents(world);
        world.state().port[0].source_guard = false;
        world.publish();
      },
      unknown, {{1, build(World::forwarded(unknown, kReceiver))}}, forwarded_counters(0, 1)));
  Packet stranger = World::message({kTrunk, Family::kIpv4, 2}, World::agent_id(kReceiver));
  refused(rows, "unknown_peer", "unknown_peer", agents, stranger, NoticeReason::kNone, kTrunk);
}

void add_tenants(std::vector<Row>& rows) {
  const auto other_tenant = [](World& world) {
    world.add_agent(kSender);
    world.add_agent(kReceiver, 8);
  };
  refused(rows, "tenant", "tenant_denied", other_tenant, good(), NoticeReason::kTenantDenied);
  rows.push_back(one(
      "tenant_allowed",
      [=](World& world) {
        other_tenant(world);
        world.state().tenants =
            std::make_shared<const Tenants>(world.state().tenants->with_allowed(kTenant, 8, true));
        world.publish();
      },
      good(), {{1, build(World::forwarded(good(), kReceiver))}}, forwarded_counters(0, 1)));
  // Two may go at once, the third is over the rate; plain and general way alike.
  for (const bool general : {false, true}) {
    Packet packet = good();
    packet.envelope.type =
        static_cast<std::uint8_t>(general ? MessageType::kEcho : MessageType::kData);
    const Bytes out = build(World::forwarded(packet, kReceiver));
    Row row{.name = std::string("rate_limited_") + (general ? "echo" : "data"),
            .set_up =
                [](World& world) {
                  agents(world);
                  world.state().tenants = std::make_shared<const Tenants>(
                      world.state().tenants->with(kTenant, {.rate_per_second = 1, .burst = 2}));
                  world.publish();
                },
            .frames = {3, build(packet)},
            .expected = {{1, out}, {1, out}},
            .counters = "0.frames=3 0.messages=3 0.forwarded=2 0.rate_limited=1 1.egress_frames=2"};
    rows.push_back(row);
  }
}

void add_types(std::vector<Row>& rows) {
  for (const std::uint8_t type : Bytes{2, 5, 6, 9}) {
    Packet packet = good();
    packet.envelope.type = type;
    refused(rows, "edge_type_" + std::to_string(type), "type_not_allowed", agents, packet);
  }
  for (const std::uint8_t type : Bytes{1, 3, 4, 9}) {
    Packet packet = World::message(kPeer, World::agent_id(kReceiver));
    packet.envelope.type = type;
    refused(rows, "trunk_type_" + std::to_string(type), "type_not_allowed", agents, packet,
            NoticeReason::kNone, kTrunk);
  }
  Packet to_router = good();
  to_router.envelope.destination = World::router_id();
  refused(rows, "data_to_router", "type_not_allowed", agents, to_router);
}

void add_punts(std::vector<Row>& rows) {
  for (const std::uint8_t type : Bytes{1, 3, 4}) {
    Packet packet = good();
    packet.envelope.type = type;
    packet.envelope.source.bytes.fill(0x44);  // not registered yet
    rows.push_back(one("punt_type_" + std::to_string(type), {}, packet, {{kControl, build(packet)}},
                       dropped("punted")));
  }
  Packet control = good();
  control.envelope.type = 1;
  refused(
      rows, "no_control_plane", "no_control_plane",
      [](World& world) {
        world.state().control_plane_connected = false;
        world.publish();
      },
      control, NoticeReason::kUnreachable);
  refused(
      rows, "punts_forbidden", "punt_limited",
      [](World& world) {
        world.state().settings.punts_per_second = 0;
        world.publish();
      },
      control, NoticeReason::kRateLimited);
  Packet big = World::message(kSender, World::router_id(), 1984 - 64 + 1);
  big.envelope.type = 1;
  Packet notice = big;
  notice.envelope.flags = message_flag::kNotify;
  rows.push_back(one("punt_too_big", {}, big, {}, dropped("punt_too_big")));
  rows.push_back(one("punt_too_big_notify", {}, notice,
                     {{0, build(notice_for(notice, NoticeReason::kTooBig))}},
                     dropped("punt_too_big") + " 0.notices=1 0.egress_frames=1"));
  for (const bool notify : {false, true}) {
    Packet late = control;
    late.envelope.flags = notify ? message_flag::kNotify : std::uint8_t{0};
    Row full =
        one(notify ? "punt_full_notify" : "punt_full", agents, late, {}, dropped("punt_full"));
    full.input = [frame = build(late)](World& world) {
      world.fill_control();
      world.receive(0, {frame});
      world.empty_control();
    };
    if (notify) {
      full.expected = {{0, build(notice_for(late, NoticeReason::kCongested))}};
      full.counters += " 0.notices=1 0.egress_frames=1";
    }
    rows.push_back(full);
  }
  big.payload.pop_back();
  rows.push_back(one("punt_just_fits", {}, big, {{kControl, build(big)}}, dropped("punted")));
}

void add_routes(std::vector<Row>& rows) {
  refused(
      rows, "no_route_table", "no_route_table", [](World& world) { world.without_routes(); },
      good(), NoticeReason::kUnreachable);
  refused(
      rows, "unreachable", "unreachable",
      [](World& world) {
        world.add_agent(kSender);
        world.set_route(World::agent_id(kReceiver),
                        Action(ActionKind::kUnreachable, 0, 0, kTenant, 1));
      },
      good(), NoticeReason::kUnreachable);
  refused(
      rows, "adjacency_down", "adjacency_down",
      [](World& world) {
        agents(world);
        world.set_adjacency(kReceiver, AdjacencyState::kDown);
      },
      good(), NoticeReason::kUnreachable);
  refused(
      rows, "port_down", "port_down",
      [](World& world) {
        agents(world);
        world.set_port_up(1, false);
      },
      good(), NoticeReason::kUnreachable);
  refused(
      rows, "too_big", "too_big",
      [](World& world) {
        agents(world);
        world.set_adjacency(kReceiver, AdjacencyState::kUp, kNoIndex, 20 + 8 + 64 + 99);
      },
      good(), NoticeReason::kTooBig);
  rows.push_back(one(
      "just_fits",
      [](World& world) {
        agents(world);
        world.set_adjacency(kReceiver, AdjacencyState::kUp, kNoIndex, 20 + 8 + 64 + 100);
      },
      good(), {{1, build(World::forwarded(good(), kReceiver))}}, forwarded_counters(0, 1)));
  // Larger headers than there is room for in front of the message: none is overwritten.
  const Host six_tagged{2, Family::kIpv6, 1};
  for (const bool notify : {false, true}) {
    Packet packet = World::message(kSender, World::agent_id(six_tagged));
    if (notify) packet.envelope.flags = message_flag::kNotify;
    Row row = one(
        notify ? "no_headroom_notify" : "no_headroom",
        [=](World& world) {
          world.add_agent(kSender);
          world.add_agent(six_tagged);
        },
        packet, {}, dropped("no_buffer"));
    row.input = [frame = build(packet)](World& world) { world.receive_without_headroom(0, frame); };
    if (notify) {
      row.expected = {{0, build(notice_for(packet, NoticeReason::kCongested))}};
      row.counters += " 0.notices=1 0.egress_frames=1";
    }
    rows.push_back(row);
  }
  // The same size of headers fits where the old ones were.
  Row same_size = one("no_headroom_needed", agents, good(),
                      {{1, build(World::forwarded(good(), kReceiver))}}, forwarded_counters(0, 1));
  same_size.input = [](World& world) { world.receive_without_headroom(0, build(good())); };
  rows.push_back(same_size);
  // The backup takes over when the first is down, and when its port is.
  const Host backup{2, Family::kIpv6, 8};
  const Bytes by_backup = build(World::forwarded(good(), backup, World::agent_port(kReceiver)));
  const auto with_backup = [=](World& world, AdjacencyState state) {
    agents(world);
    world.set_adjacency(kReceiver, state, world.adjacency(backup));
  };
  rows.push_back(one(
      "backup_when_down", [=](World& world) { with_backup(world, AdjacencyState::kDown); }, good(),
      {{2, by_backup}}, forwarded_counters(0, 2)));
  rows.push_back(one(
      "backup_when_port_down",
      [=](World& world) {
        with_backup(world, AdjacencyState::kUp);
        world.set_port_up(1, false);
      },
      good(), {{2, by_backup}}, forwarded_counters(0, 2)));
  refused(
      rows, "backup_down_too", "adjacency_down",
      [=](World& world) {
        with_backup(world, AdjacencyState::kDown);
        world.set_adjacency(backup, AdjacencyState::kDown);
      },
      good(), NoticeReason::kUnreachable);
}

void add_hold(std::vector<Row>& rows) {
  const auto only_sender = [](World& world) { world.add_agent(kSender); };
  const Bytes frame = build(good());
  rows.push_back({.name = "hold_unknown",
                  .set_up = only_sender,
                  .frames = {3, frame},
                  .expected = {{kHold, frame}, {kHold, frame}},
                  .counters = "0.frames=3 0.messages=3 0.held=2 0.hold_full=1"});
  rows.push_back({.name = "hold_unresolved",
                  .set_up =
                      [](World& world) {
                        agents(world);
                        world.set_adjacency(kReceiver, AdjacencyState::kUnresolved);
                      },
                  .frames = {frame},
                  .expected = {{kHold, frame}},
                  .counters = dropped("held")});
  const Packet asks = good(message_flag::kNotify);
  rows.push_back({.name = "unknown_after_hold",
                  .set_up = only_sender,
                  .input =
                      [=](World& world) {
                        world.receive(0, {frame});
                        world.advance_ms(600);
                        world.receive(0, {build(asks)});
                      },
                  .expected = {{0, build(notice_for(asks, NoticeReason::kUnknownDestination,
                                                    kNowNs + 600'000'000))},
                               {kHold, frame}},
                  .counters = "0.frames=2 0.messages=2 0.held=1 0.unknown_destination=1 "
                              "0.notices=1 0.egress_frames=1"});
  rows.push_back({.name = "released",
                  .set_up = agents,
                  .input = [=](World& world) { world.release(0, {frame}); },
                  .expected = {{1, build(World::forwarded(good(), kReceiver))}},
                  .counters = "0.released=1 0.forwarded=1 1.egress_frames=1"});
}

void add_echo(std::vector<Row>& rows) {
  for (const Host& from :
       {kSender, Host{0, Family::kIpv6, 1}, Host{2, Family::kIpv4, 1}, Host{2, Family::kIpv6, 1}}) {
    for (const bool checksum : {true, false}) {
      if (!checksum && from.family == Family::kIpv6) continue;
      Packet ping = World::message(from, World::router_id(), 33);
      ping.envelope.type = static_cast<std::uint8_t>(MessageType::kEcho);
      ping.udp_checksum = checksum;
      Packet pong = World::turned(ping);
      pong.envelope.type = static_cast<std::uint8_t>(MessageType::kEchoReply);
      pong.envelope.hop_limit = 64;
      std::swap(pong.envelope.source, pong.envelope.destination);
      const std::string p = std::to_string(from.port) + ".";
      rows.push_back(one(
          "echo_" + std::to_string(from.port) + "_" +
              std::to_string(static_cast<int>(from.family)) + (checksum ? "" : "_no_checksum"),
          [=](World& world) { world.add_agent(from); }, ping, {{from.port, build(pong)}},
          dropped("answered", from.port) + " " + p + "egress_frames=1", from.port));
    }
  }
}

void add_notices(std::vector<Row>& rows) {
  const auto down = [](World& world) {
    agents(world);
    world.set_adjacency(kReceiver, AdjacencyState::kDown);
  };
  Packet reply = good(message_flag::kNotify);
  reply.envelope.type = static_cast<std::uint8_t>(MessageType::kEchoReply);
  rows.push_back(one("no_notice_about_a_reply", down, reply, {}, dropped("adjacency_down")));
  rows.push_back(one(
      "notices_forbidden",
      [=](World& world) {
        down(world);
        world.state().settings.notices_per_second = 0;
        world.publish();
      },
      good(message_flag::kNotify), {}, dropped("adjacency_down") + " 0.notices_limited=1"));
  // Classify's own: found before the batch.
  Packet stale = good(message_flag::kNotify);
  stale.envelope.set_class_and_lifetime(3, 1);
  stale.envelope.timestamp_ns.set(kNowNs - 10'000'000);
  rows.push_back(one("notice_expired", agents, stale,
                     {{0, build(notice_for(stale, NoticeReason::kExpired))}},
                     dropped("expired") + " 0.notices=1 0.egress_frames=1"));
  // Over IPv6, tagged, and without a checksum in the message.
  const Host six{2, Family::kIpv6, 1};
  Packet tagged = World::message(six, World::agent_id(kReceiver));
  tagged.envelope.flags = message_flag::kNotify;
  rows.push_back(one(
      "notice_v6_tagged",
      [=](World& world) {
        down(world);
        world.add_agent(six);
      },
      tagged, {{2, build(notice_for(tagged, NoticeReason::kUnreachable))}},
      dropped("adjacency_down", 2) + " 2.notices=1 2.egress_frames=1", 2));
  Packet unchecked = good(message_flag::kNotify);
  unchecked.udp_checksum = false;
  rows.push_back(one("notice_gets_a_checksum", down, unchecked,
                     {{0, build(notice_for(unchecked, NoticeReason::kUnreachable))}},
                     dropped("adjacency_down") + " 0.notices=1 0.egress_frames=1"));
}

}  // namespace

std::vector<Row> verdict_rows() {
  std::vector<Row> rows;
  add_source_guard(rows);
  add_tenants(rows);
  add_types(rows);
  add_punts(rows);
  add_routes(rows);
  add_hold(rows);
  add_echo(rows);
  add_notices(rows);
  return rows;
}

}  // namespace sluice::golden
