// Frames that are broken, each in one way and otherwise right: one drop reason each. And frames
// that only look like messages: to the kernel, unchanged.
#include "tests/golden/row.hpp"

namespace sluice::golden {
namespace {

constexpr Host kSender6{0, Family::kIpv6, 1};

void agents(World& world) {
  for (const Host& host : {kSender, kSender6, kReceiver})
    world.add_agent(host);
}

Packet good(const Host& from = kSender) {
  return World::message(from, World::agent_id(kReceiver), 20);
}

Row refused(std::string name, std::string_view reason, Bytes frame, std::uint16_t port = 0) {
  return {.name = std::move(name),
          .set_up = agents,
          .port = port,
          .frames = {std::move(frame)},
          .expected = {},
          .counters = dropped(reason, port)};
}
Row to_kernel(std::string name, Bytes frame, std::uint16_t port = 0) {
  const std::string p = std::to_string(port) + ".";
  return {.name = std::move(name),
          .set_up = agents,
          .port = port,
          .frames = {frame},
          .expected = {{kHost, frame}},
          .counters = p + "frames=1 " + p + "to_host=1"};
}

using Change = std::function<void(Bytes&, const Packet&)>;

Bytes changed(const Packet& packet, const Change& change, bool fix = true) {
  Bytes frame = build(packet);
  change(frame, packet);
  if (fix && packet.to.is_v4()) fix_ip_checksum(frame, packet);
  return frame;
}
Change set(std::size_t (*part)(const Packet&), std::size_t offset, std::uint8_t value) {
  return [=](Bytes& frame, const Packet& packet) { frame[part(packet) + offset] = value; };
}
Change set16(std::size_t (*part)(const Packet&), std::size_t offset, std::uint16_t value) {
  return [=](Bytes& frame, const Packet& packet) {
    frame[part(packet) + offset] = static_cast<std::uint8_t>(value >> 8);
    frame[part(packet) + offset + 1] = static_cast<std::uint8_t>(value);
  };
}

// Every length from nothing to one byte short of the envelope's end; the headers say more.
void add_truncations(std::vector<Row>& rows) {
  for (const Host& from : {kSender, kSender6, Host{2, Family::kIpv4, 1}}) {
    const Packet packet = good(from);
    const Bytes whole = build(packet);
    for (std::size_t n = 0; n < udp_offset(packet) + 8; ++n) {
      Row row = refused("cut_" + std::to_string(from.port) + "_" + std::to_string(n) + "_" +
                            std::to_string(static_cast<int>(from.family)),
                        "truncated", Bytes(whole.begin(), whole.begin() + static_cast<long>(n)),
                        from.port);
      rows.push_back(row);
    }
    for (const std::size_t n : {udp_offset(packet) + 8, udp_offset(packet) + 71}) {
      rows.push_back(refused(
          "cut_" + std::to_string(from.port) + "_" + std::to_string(n) + "_ip_" +
              std::to_string(static_cast<int>(from.family)),
          "bad_ip_header", Bytes(whole.begin(), whole.begin() + static_cast<long>(n)), from.port));
    }
  }
  // The lengths agree, but there is less than an envelope.
  Packet packet = good();
  Bytes frame = build(packet);
  frame.resize(envelope_offset(packet) + 63);
  set16(ip_offset, 2, 20 + 8 + 63)(frame, packet);
  set16(udp_offset, 4, 8 + 63)(frame, packet);
  fix_ip_checksum(frame, packet);
  rows.push_back(refused("envelope_63_bytes", "truncated", frame));
}

void add_ip(std::vector<Row>& rows) {
  const Packet four = good();
  const Packet six = good(kSender6);
  rows.push_back(refused("v4_version_5", "bad_ip_header", changed(four, set(ip_offset, 0, 0x55))));
  rows.push_back(
      refused("v4_header_4", "bad_ip_header", changed(four, set(ip_offset, 0, 0x44), false)));
  rows.push_back(refused("v4_total_27", "bad_ip_header", changed(four, set16(ip_offset, 2, 27))));
  rows.push_back(
      refused("v4_total_beyond", "bad_ip_header", changed(four, set16(ip_offset, 2, 1000))));
  rows.push_back(
      refused("v4_checksum", "bad_ip_checksum", changed(four, set(ip_offset, 8, 99), false)));
  rows.push_back(
      refused("v4_first_fragment", "fragment", changed(four, set16(ip_offset, 6, 0x2000))));
  rows.push_back(to_kernel("v4_later_fragment", changed(four, set16(ip_offset, 6, 0x0010))));
  rows.push_back(to_kernel("v4_tcp", changed(four, set(ip_offset, 9, 6))));
  rows.push_back(to_kernel("v4_other_address", changed(four, set(ip_offset, 19, 200))));
  rows.push_back(to_kernel("v4_other_port", changed(four, set16(udp_offset, 2, 53))));

  rows.push_back(refused("v6_version_4", "bad_ip_header", changed(six, set(ip_offset, 0, 0x40))));
  rows.push_back(refused("v6_length_7", "bad_ip_header", changed(six, set16(ip_offset, 4, 7))));
  rows.push_back(
      refused("v6_length_beyond", "bad_ip_header", changed(six, set16(ip_offset, 4, 1000))));
  rows.push_back(to_kernel("v6_tcp", changed(six, set(ip_offset, 6, 6))));
  rows.push_back(to_kernel("v6_hop_by_hop", changed(six, set(ip_offset, 6, 0))));
  rows.push_back(to_kernel("v6_other_address", changed(six, set(ip_offset, 39, 200))));
  rows.push_back(to_kernel("v6_other_port", changed(six, set16(udp_offset, 2, 53))));
  rows.push_back(
      refused("v6_no_checksum", "no_udp_checksum", changed(six, set16(udp_offset, 6, 0))));

  const auto fragment6 = [&](std::uint16_t offset_and_more) {
    Bytes frame = build(six);
    const Bytes header = {17,
                          0,
                          static_cast<std::uint8_t>(offset_and_more >> 8),
                          static_cast<std::uint8_t>(offset_and_more),
                          0,
                          0,
                          0,
                          1};
    frame.insert(frame.begin() + static_cast<long>(udp_offset(six)), header.begin(), header.end());
    frame[ip_offset(six) + 6] = 44;
    return frame;
  };
  rows.push_back(refused("v6_first_fragment", "fragment", fragment6(1)));
  rows.push_back(to_kernel("v6_later_fragment", fragment6(64)));

  // IP options: 4 bytes of end-of-list behind a header of 24.
  Bytes options = build(four);
  options.insert(options.begin() + 34, 4, 0);
  options[14] = 0x46;
  set16(ip_offset, 2, static_cast<std::uint16_t>(options.size() - 14))(options, four);
  fix_ip_checksum(options, four);
  rows.push_back(refused("v4_options", "bad_ip_header", options));
}

void add_udp_and_envelope(std::vector<Row>& rows) {
  for (const Host& from : {kSender, kSender6}) {
    const Packet packet = good(from);
    const std::string f = from.family == Family::kIpv4 ? "v4_" : "v6_";
    const auto row = [&](std::string name, std::string_view reason, const Change& change) {
      rows.push_back(refused(f + std::move(name), reason, changed(packet, change)));
    };
    row("udp_length_0", "bad_udp_length", set16(udp_offset, 4, 0));
    row("udp_length_short", "bad_udp_length", set16(udp_offset, 4, 8 + 64 + 19));
    row("udp_length_long", "bad_udp_length", set16(udp_offset, 4, 8 + 64 + 21));
    row("version_0", "bad_version", set(envelope_offset, 0, 0x04));
    row("version_2", "bad_version", set(envelope_offset, 0, 0x24));
    row("header_3", "bad_header_length", set(envelope_offset, 0, 0x13));
    row("header_beyond", "bad_header_length", set(envelope_offset, 0, 0x16));
    row("header_eats_payload", "bad_payload_length", set(envelope_offset, 0, 0x15));
    row("payload_beyond", "bad_payload_length", set16(envelope_offset, 6, 21));
    row("payload_huge", "bad_payload_length", set16(envelope_offset, 6, 65535));
    row("type_10", "unknown_type", set(envelope_offset, 1, 10));
    row("type_255", "unknown_type", set(envelope_offset, 1, 255));
    row("flag_64", "reserved_bits", set(envelope_offset, 2, 64));
    row("flag_128", "reserved_bits", set(envelope_offset, 2, 128));
    row("reason_in_data", "reserved_bits", set(envelope_offset, 5, 1));
    row("hop_limit_0", "hop_limit", set(envelope_offset, 4, 0));
    // 2^10 ms, sent two seconds ago.
    Packet old = packet;
    old.envelope.set_class_and_lifetime(3, 11);
    old.envelope.timestamp_ns.set(kNowNs - 2'000'000'000);
    rows.push_back(refused(f + "lifetime_over", "expired", build(old)));
  }
}

void add_ethernet(std::vector<Row>& rows) {
  const Packet packet = good();
  rows.push_back(to_kernel(
      "arp",
      changed(packet, set16([](const Packet&) { return std::size_t{12}; }, 0, 0x0806), false)));
  rows.push_back(to_kernel(
      "broadcast", changed(packet, set([](const Packet&) { return std::size_t{0}; }, 0, 0xff))));
  // A port that hears everything: what another station gets is not for us.
  const Host on_tagged{2, Family::kIpv4, 1};
  for (const Host& from : {kSender, kSender6, on_tagged, kPeer}) {
    const std::string name =
        std::to_string(from.port) + "_" + std::to_string(static_cast<int>(from.family));
    Packet foreign = good(from);
    foreign.to_mac = World::router_mac(1);
    for (std::size_t at = 0; at < foreign.to_mac.size(); ++at) {
      Packet off_by_one_bit = good(from);
      off_by_one_bit.to_mac[at] ^= 4;
      rows.push_back(refused("foreign_mac_" + name + "_byte_" + std::to_string(at), "foreign_mac",
                             build(off_by_one_bit), from.port));
    }
    // No notice: whoever was meant may well deliver it.
    foreign.envelope.flags = message_flag::kNotify;
    rows.push_back(refused("foreign_mac_notify_" + name, "foreign_mac", build(foreign), from.port));
    rows.push_back(to_kernel("foreign_mac_no_message_" + name,
                             changed(foreign, set16(udp_offset, 2, 53)), from.port));
  }
  Packet tagged = packet;
  tagged.vlan = 5;
  rows.push_back(to_kernel("tag_on_untagged_port", build(tagged)));
  Packet wrong = good(on_tagged);
  wrong.vlan = 101;
  rows.push_back(to_kernel("other_tag", build(wrong), 2));
  wrong.vlan = 0;
  rows.push_back(to_kernel("no_tag_on_tagged_port", build(wrong), 2));

  const Bytes whole = build(packet);
  const Bytes head(whole.begin(), whole.begin() + 120);
  const Bytes tail(whole.begin() + 120, whole.end());
  Row chained = refused("chained", "chained", {});
  chained.input = [=](World& world) { world.receive_chained(0, head, tail); };
  rows.push_back(chained);
  Row driver = refused("checksum_bad_by_driver", "bad_ip_checksum", {});
  driver.input = [=](World& world) { world.receive_flagged(0, whole, 1ULL << 4); };
  rows.push_back(driver);
}

}  // namespace

std::vector<Row> malformed_rows() {
  std::vector<Row> rows;
  add_truncations(rows);
  add_ip(rows);
  add_udp_and_envelope(rows);
  add_ethernet(rows);
  return rows;
}

}  // namespace sluice::golden
