// Messages that go through: every pair of families and tags, types, flags, sizes, checksums.
#include "tests/golden/row.hpp"

namespace sluice::golden {
namespace {

std::string family_name(const Host& host) {
  return std::string(host.family == Family::kIpv4 ? "v4" : "v6") + (host.port == 2 ? "tag" : "");
}

Row forward(std::string name, const Host& from, const Host& to, const Packet& packet) {
  return {.name = std::move(name),
          .set_up =
              [=](World& world) {
                world.add_agent(from);
                world.add_agent(to);
              },
          .port = from.port,
          .frames = {build(packet)},
          .expected = {{to.port, build(World::forwarded(packet, to))}},
          .counters = forwarded_counters(from.port, to.port)};
}

void add_pairs(std::vector<Row>& rows) {
  const std::vector<Host> ends = {{0, Family::kIpv4, 1}, {0, Family::kIpv6, 2},
                                  {2, Family::kIpv4, 3}, {2, Family::kIpv6, 4},
                                  {1, Family::kIpv4, 5}, {1, Family::kIpv6, 6}};
  for (const Host& from : ends) {
    for (const Host& to : ends) {
      if (from.number == to.number) continue;
      for (const std::size_t payload : {0, 1, 100, 1300}) {
        const Packet packet = World::message(from, World::agent_id(to), payload);
        const std::string name = family_name(from) + "_" + std::to_string(from.port) + "_to_" +
                                 family_name(to) + "_" + std::to_string(to.port) + "_" +
                                 std::to_string(payload);
        rows.push_back(forward(name, from, to, packet));
        if (from.family == Family::kIpv6) continue;
        Packet unchecked = packet;
        unchecked.udp_checksum = false;
        rows.push_back(forward(name + "_no_checksum", from, to, unchecked));
      }
    }
  }
}

void add_types_and_flags(std::vector<Row>& rows) {
  const Id to = World::agent_id(kReceiver);
  for (const MessageType type : {MessageType::kEcho, MessageType::kEchoReply}) {
    Packet packet = World::message(kSender, to);
    packet.envelope.type = static_cast<std::uint8_t>(type);
    rows.push_back(
        forward("type_" + std::to_string(packet.envelope.type), kSender, kReceiver, packet));
  }
  for (const std::uint8_t flags : Bytes{1, 4, 8, 16, 32, 61}) {
    Packet packet = World::message(kSender, to);
    packet.envelope.flags = flags;
    rows.push_back(forward("flags_" + std::to_string(flags), kSender, kReceiver, packet));
  }
  for (const std::uint8_t traffic_class : Bytes{0, 7}) {
    Packet packet = World::message(kSender, to);
    packet.envelope.set_class_and_lifetime(traffic_class, 0);
    rows.push_back(forward("class_" + std::to_string(traffic_class), kSender, kReceiver, packet));
  }
  Packet last_hop = World::message(kSender, to);
  last_hop.envelope.hop_limit = 1;
  rows.push_back(forward("hop_limit_1", kSender, kReceiver, last_hop));
  Packet alive = World::message(kSender, to);
  alive.envelope.set_class_and_lifetime(3, 2);  // 2 ms; it was sent 1 ms ago
  rows.push_back(forward("lifetime_left", kSender, kReceiver, alive));
  alive.envelope.timestamp_ns.set(kNowNs + 5'000'000'000);
  rows.push_back(forward("sent_in_the_future", kSender, kReceiver, alive));
  Packet options = World::message(kSender, to);
  options.options.assign(32, 0x5a);
  rows.push_back(forward("header_options", kSender, kReceiver, options));
}

// The checksum fields at the edges of one's complement arithmetic.
void add_checksum_edges(std::vector<Row>& rows) {
  for (const Host& to : {kReceiver, Host{1, Family::kIpv6, 1}, Host{2, Family::kIpv4, 1}}) {
    for (unsigned i = 0; i < 2; ++i) {
      Packet packet = World::message(kSender, World::agent_id(to), 2);
      // Choose the payload so that the checksum comes out as 0xffff before (i = 0) or after (1).
      for (unsigned word = 0; word < 65536; ++word) {
        packet.payload = {static_cast<std::uint8_t>(word >> 8), static_cast<std::uint8_t>(word)};
        const Packet shown = i == 0 ? packet : World::forwarded(packet, to);
        const Bytes frame = build(shown);
        const std::size_t at = udp_offset(shown) + offsetof(UdpHeader, checksum);
        if (frame[at] == 0xff && frame[at + 1] == 0xff) break;
      }
      rows.push_back(forward("checksum_ffff_" + std::to_string(i) + "_" + family_name(to), kSender,
                             to, packet));
    }
  }
  // An error made before us must still be seen behind us: the difference stays.
  Packet packet = World::message(kSender, World::agent_id(kReceiver));
  Bytes in = build(packet);
  Bytes out = build(World::forwarded(packet, kReceiver));
  in.back() ^= 0x55;
  out.back() ^= 0x55;
  Row row = forward("payload_error_is_kept", kSender, kReceiver, packet);
  row.frames = {in};
  row.expected = {{kReceiver.port, out}};
  rows.push_back(row);
}

void add_shapes(std::vector<Row>& rows) {
  const Packet packet = World::message(kSender, World::agent_id(kReceiver), 3);
  Row padded = forward("padding_is_cut", kSender, kReceiver, packet);
  padded.frames[0].resize(padded.frames[0].size() + 20, 0xab);
  rows.push_back(padded);
  const Host six{0, Family::kIpv6, 1};
  const Packet packet6 = World::message(six, World::agent_id(kReceiver), 3);
  Row padded6 = forward("padding_is_cut_v6", six, kReceiver, packet6);
  padded6.frames[0].resize(padded6.frames[0].size() + 20, 0xab);
  rows.push_back(padded6);

  // Trunk in: no source guard, the sender is a peer. Trunk out: as to any host.
  Packet from_peer = World::message(kPeer, World::agent_id(kReceiver));
  from_peer.envelope.source.bytes.fill(0x77);
  rows.push_back({.name = "trunk_to_edge",
                  .set_up = [](World& world) { world.add_agent(kReceiver); },
                  .port = kTrunk,
                  .frames = {build(from_peer)},
                  .expected = {{1, build(World::forwarded(from_peer, kReceiver))}},
                  .counters = forwarded_counters(kTrunk, 1)});
  rows.push_back(
      forward("edge_to_trunk", kSender, kPeer, World::message(kSender, World::agent_id(kPeer))));
  for (const std::uint8_t type : Bytes{2, 5, 6}) {
    Packet reply = from_peer;
    reply.envelope.type = type;
    reply.envelope.reason = type == 6 ? 2 : 0;
    rows.push_back({.name = "trunk_type_" + std::to_string(type),
                    .set_up = [](World& world) { world.add_agent(kReceiver); },
                    .port = kTrunk,
                    .frames = {build(reply)},
                    .expected = {{1, build(World::forwarded(reply, kReceiver))}},
                    .counters = forwarded_counters(kTrunk, 1)});
  }
  // Driver says the IP checksum is good: it is not looked at again.
  Bytes bad_sum = build(packet);
  bad_sum[ip_offset(packet) + 10] ^= 0xff;
  Row trusted = forward("checksum_checked_by_driver", kSender, kReceiver, packet);
  trusted.input = [bad_sum](World& world) { world.receive_flagged(0, bad_sum, 1ULL << 7); };
  rows.push_back(trusted);
}

// A whole burst of different receivers leaves in order on each port.
Row burst_row() {
  Row row{.name = "burst_of_64",
          .set_up =
              [](World& world) {
                world.add_agent(kSender);
                for (std::uint8_t i = 1; i <= 64; ++i)
                  world.add_agent({static_cast<std::uint16_t>(1 + i % 2), Family::kIpv4, i});
              },
          .counters =
              "0.frames=64 0.messages=64 0.forwarded=64 1.egress_frames=32 "
              "2.egress_frames=32"};
  for (const std::uint16_t port : std::vector<std::uint16_t>{1, 2}) {
    for (std::uint8_t i = 1; i <= 64; ++i) {
      if (1 + i % 2 != port) continue;
      const Host to{port, Family::kIpv4, i};
      const Packet packet = World::message(kSender, World::agent_id(to), i);
      row.expected.push_back({port, build(World::forwarded(packet, to))});
    }
  }
  for (std::uint8_t i = 1; i <= 64; ++i) {
    const Host to{static_cast<std::uint16_t>(1 + i % 2), Family::kIpv4, i};
    row.frames.push_back(build(World::message(kSender, World::agent_id(to), i)));
  }
  return row;
}

}  // namespace

std::vector<Row> forward_rows() {
  std::vector<Row> rows;
  add_pairs(rows);
  add_types_and_flags(rows);
  add_checksum_edges(rows);
  add_shapes(rows);
  rows.push_back(burst_row());
  return rows;
}

}  // namespace sluice::golden
