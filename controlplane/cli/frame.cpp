#include "controlplane/cli/frame.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::cli {
namespace {

class Decoder {
 public:
  explicit Decoder(std::string_view frame) : rest_(frame) {}

  std::vector<FrameField> run() {
    EthernetHeader ethernet;
    if (!take(ethernet, "eth")) return std::move(fields_);
    add("eth.destination", to_string(ethernet.destination));
    add("eth.source", to_string(ethernet.source));
    std::uint16_t type = ethernet.type.get();
    VlanHeader vlan;
    if (type == kEtherTypeVlan && take(vlan, "vlan")) {
      add("vlan.id", std::to_string(vlan.control.get() & 0xfff));
      type = vlan.type.get();
    }
    std::uint8_t protocol = 0;
    if (type == kEtherTypeIpv4) {
      protocol = ipv4();
    } else if (type == kEtherTypeIpv6) {
      protocol = ipv6();
    } else {
      add("eth.type", fmt::format("{:#06x}", type));
    }
    if (protocol == kIpProtocolUdp) udp();
    return std::move(fields_);
  }

 private:
  void add(std::string name, std::string value) {
    fields_.push_back({std::move(name), std::move(value)});
  }

  template <class Header>
  bool take(Header& header, std::string_view layer) {
    if (rest_.size() < sizeof(Header)) {
      add(std::string(layer), "cut off");
      rest_ = {};
      return false;
    }
    header = load<Header>(rest_.data());
    rest_.remove_prefix(sizeof(Header));
    return true;
  }

  std::uint8_t ipv4() {
    Ipv4Header ip;
    if (!take(ip, "ip")) return 0;
    add("ip.source", to_string(IpAddress::v4(ip.source)));
    add("ip.destination", to_string(IpAddress::v4(ip.destination)));
    add("ip.ttl", std::to_string(ip.ttl));
    add("ip.length", std::to_string(ip.total_length.get()));
    add("ip.checksum", fmt::format("{:#06x}", ip.checksum.get()));
    const std::size_t options = static_cast<std::size_t>(ip.version_and_length & 15) * 4;
    if (options < sizeof ip || (ip.fragment.get() & 0x1fff) != 0) return 0;
    rest_.remove_prefix(std::min(rest_.size(), options - sizeof ip));
    return ip.protocol;
  }

  std::uint8_t ipv6() {
    Ipv6Header ip;
    if (!take(ip, "ip")) return 0;
    add("ip.source", to_string(IpAddress::v6(ip.source)));
    add("ip.destination", to_string(IpAddress::v6(ip.destination)));
    add("ip.ttl", std::to_string(ip.hop_limit));
    add("ip.length", std::to_string(ip.payload_length.get() + sizeof ip));
    return ip.next_header;
  }

  void udp() {
    UdpHeader udp;
    if (!take(udp, "udp")) return;
    add("udp.source", std::to_string(udp.source_port.get()));
    add("udp.destination", std::to_string(udp.destination_port.get()));
    add("udp.length", std::to_string(udp.length.get()));
    add("udp.checksum", fmt::format("{:#06x}", udp.checksum.get()));
    Envelope envelope;
    if (take(envelope, "message")) message(envelope);
  }

  void message(const Envelope& e) {
    add("message.version", std::to_string(e.version()));
    add("message.header", fmt::format("{} bytes", e.header_bytes()));
    add("message.type", std::string(to_string(static_cast<MessageType>(e.type))));
    add("message.flags", flags(e.flags));
    add("message.class", std::to_string(e.traffic_class()));
    add("message.lifetime", e.lifetime_code() == 0
                                ? "none"
                                : fmt::format("{} ms", lifetime_ns(e.lifetime_code()) / 1'000'000));
    add("message.hop_limit", std::to_string(e.hop_limit));
    if (e.reason != 0) {
      add("message.reason", std::string(to_string(static_cast<NoticeReason>(e.reason))));
    }
    add("message.payload", fmt::format("{} bytes", e.payload_length.get()));
    add("message.tenant", std::to_string(e.tenant.get()));
    add("message.tag", std::to_string(e.message_type.get()));
    add("message.sequence", std::to_string(e.sequence.get()));
    add("message.destination", to_string(e.destination));
    add("message.source", to_string(e.source));
    add("message.routing_key", fmt::format("{:#018x}", e.routing_key.get()));
    add("message.timestamp", std::to_string(e.timestamp_ns.get()));
  }

  static std::string flags(std::uint8_t flags) {
    static constexpr std::string_view kNames[] = {"capability", "all-members", "trace",
                                                  "notify",     "compressed",  "encrypted",
                                                  "reserved-6", "reserved-7"};
    std::string text;
    for (std::size_t bit = 0; bit < std::size(kNames); ++bit) {
      if ((flags >> bit & 1) == 0) continue;
      text += text.empty() ? "" : " ";
      text += kNames[bit];
    }
    return text.empty() ? "none" : text;
  }

  std::string_view rest_;
  std::vector<FrameField> fields_;
};

std::string hex_line(std::string_view line, std::size_t offset, char sign) {
  std::string text = fmt::format("{:04x} {}", offset, sign);
  for (const char byte : line)
    text += fmt::format(" {:02x}", static_cast<unsigned char>(byte));
  return text;
}

}  // namespace

std::vector<FrameField> decode_frame(std::string_view frame) {
  return Decoder(frame).run();
}

std::vector<std::string> changed_bytes(std::string_view before, std::string_view after) {
  constexpr std::size_t kLine = 16;
  std::vector<std::string> lines;
  const auto line_at = [](std::string_view bytes, std::size_t at) {
    return at < bytes.size() ? bytes.substr(at, kLine) : std::string_view();
  };
  for (std::size_t at = 0; at < std::max(before.size(), after.size()); at += kLine) {
    const auto old = line_at(before, at);
    const auto now = line_at(after, at);
    if (old == now) continue;
    if (!old.empty()) lines.push_back(hex_line(old, at, '-'));
    if (!now.empty()) lines.push_back(hex_line(now, at, '+'));
  }
  return lines;
}

}  // namespace sluice::cli
