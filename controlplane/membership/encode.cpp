#include "controlplane/membership/codec.hpp"
#include "controlplane/membership/fields.hpp"
#include "controlplane/membership/msgpack.hpp"

namespace sluice::membership {
namespace {

using msgpack::Writer;

Writer begin(MessageType type, std::uint8_t pairs, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(type));
  Writer writer(out);
  writer.map(pairs);
  return writer;
}

// 4 bytes for IPv4: peers compare the bytes to find out whether an address changed.
void write_address(Writer& writer, const IpAddress& address) {
  const ByteView bytes(address.bytes);
  writer.bytes(address.is_v4() ? bytes.last(4) : bytes);
}

// What pings carry about who asks, left out where there is nothing.
std::uint8_t source_pairs(const Endpoint& source, std::string_view name) noexcept {
  return static_cast<std::uint8_t>((source.port != 0 ? 2 : 0) + (name.empty() ? 0 : 1));
}

void write_source(Writer& writer, const Endpoint& source, std::string_view name) {
  if (source.port != 0) {
    writer.text("SourceAddr");
    write_address(writer, source.address);
  }
  if (!name.empty()) {
    writer.text("SourceNode");
    writer.text(name);
  }
  if (source.port != 0) {
    writer.text("SourcePort");
    writer.integer(source.port);
  }
}

template <class Accusation>
void write_accusation(MessageType type, const Accusation& message, Bytes& out) {
  Writer writer = begin(type, 3, out);
  writer.text("From");
  writer.text(message.from);
  writer.text("Incarnation");
  writer.integer(message.incarnation);
  writer.text("Node");
  writer.text(message.node);
}

}  // namespace

void encode(const Ping& message, Bytes& out) {
  const auto pairs = source_pairs(message.source, message.source_node);
  Writer writer = begin(MessageType::kPing, static_cast<std::uint8_t>(2 + pairs), out);
  writer.text("Node");
  writer.text(message.node);
  writer.text("SeqNo");
  writer.integer(message.sequence);
  write_source(writer, message.source, message.source_node);
}

void encode(const IndirectPing& message, Bytes& out) {
  const auto pairs = source_pairs(message.source, message.source_node);
  Writer writer = begin(MessageType::kIndirectPing, static_cast<std::uint8_t>(5 + pairs), out);
  writer.text("Nack");
  writer.boolean(message.nack);
  writer.text("Node");
  writer.text(message.node);
  writer.text("Port");
  writer.integer(message.target.port);
  writer.text("SeqNo");
  writer.integer(message.sequence);
  write_source(writer, message.source, message.source_node);
  writer.text("Target");
  write_address(writer, message.target.address);
}

void encode(const Ack& message, Bytes& out) {
  Writer writer = begin(MessageType::kAck, 2, out);
  writer.text("Payload");
  message.payload.empty() ? writer.nil() : writer.bytes(message.payload);
  writer.text("SeqNo");
  writer.integer(message.sequence);
}

void encode(const Nack& message, Bytes& out) {
  Writer writer = begin(MessageType::kNack, 1, out);
  writer.text("SeqNo");
  writer.integer(message.sequence);
}

void encode(const Suspect& message, Bytes& out) {
  write_accusation(MessageType::kSuspect, message, out);
}

void encode(const Dead& message, Bytes& out) {
  write_accusation(MessageType::kDead, message, out);
}

void encode(const Alive& message, Bytes& out) {
  Writer writer = begin(MessageType::kAlive, 6, out);
  writer.text("Addr");
  write_address(writer, message.address.address);
  writer.text("Incarnation");
  writer.integer(message.incarnation);
  writer.text("Meta");
  writer.bytes(message.meta);
  writer.text("Node");
  writer.text(message.node);
  writer.text("Port");
  writer.integer(message.address.port);
  writer.text("Vsn");
  write_vsn(message.vsn, out);
}

void encode(const User& message, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(MessageType::kUser));
  out.insert(out.end(), message.data.begin(), message.data.end());
}

void encode(const PacketMessage& message, Bytes& out) {
  std::visit([&](const auto& one) { encode(one, out); }, message);
}

void write_vsn(const Vsn& vsn, Bytes& out) {
  const std::uint8_t bytes[]{vsn.protocol_min, vsn.protocol_max, vsn.protocol_current,
                             vsn.delegate_min, vsn.delegate_max, vsn.delegate_current};
  Writer(out).bytes(bytes);
}

void write_node(const PushPullNode& node, Bytes& out) {
  Writer writer(out);
  writer.map(7);
  writer.text("Addr");
  write_address(writer, node.address.address);
  writer.text("Incarnation");
  writer.integer(node.incarnation);
  writer.text("Meta");
  writer.bytes(node.meta);
  writer.text("Name");
  writer.text(node.name);
  writer.text("Port");
  writer.integer(node.address.port);
  writer.text("State");
  writer.integer(static_cast<std::uint8_t>(node.state));
  writer.text("Vsn");
  write_vsn(node.vsn, out);
}

}  // namespace sluice::membership
