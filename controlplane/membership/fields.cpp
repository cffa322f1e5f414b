#include "controlplane/membership/fields.hpp"

#include <algorithm>

namespace sluice::membership {
namespace {

// Length of the UTF-8 sequence at the front (RFC 3629), 0 if it is none or a control character.
std::size_t character(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto follows = [&](std::size_t count, std::uint8_t low, std::uint8_t high) -> std::size_t {
    if (text.size() <= count || at(1) < low || at(1) > high) return 0;
    for (std::size_t i = 2; i <= count; ++i)
      if (at(i) < 0x80 || at(i) > 0xbf) return 0;
    return count + 1;
  };
  const auto first = at(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  if (first == 0xc2) return follows(1, 0xa0, 0xbf);  // below are the C1 control characters
  if (first >= 0xc3 && first <= 0xdf) return follows(1, 0x80, 0xbf);
  if (first == 0xe0) return follows(2, 0xa0, 0xbf);
  if (first == 0xed) return follows(2, 0x80, 0x9f);
  if (first >= 0xe1 && first <= 0xef) return follows(2, 0x80, 0xbf);
  if (first == 0xf0) return follows(3, 0x90, 0xbf);
  if (first == 0xf4) return follows(3, 0x80, 0x8f);
  if (first >= 0xf1 && first <= 0xf3) return follows(3, 0x80, 0xbf);
  return 0;
}

bool check(msgpack::Reader& reader, bool fine) noexcept {
  return fine || reader.fail(Malformed::kField);
}

struct SourceFields {
  ByteView address;
  std::uint16_t port = 0;

  // Peers leave out what is empty; half an address is none.
  bool resolve(Endpoint& source) const noexcept {
    source = {};
    if (address.empty()) return true;
    IpAddress ip;
    if (!to_address(address, ip)) return false;
    if (port != 0) source = {ip, port};
    return true;
  }
};

template <class Accusation>
bool read_accusation(msgpack::Reader& reader, Accusation& message) {
  return read_map(reader,
                  [&](std::string_view key) {
                    if (key == "From") return reader.text(message.from);
                    if (key == "Incarnation") return reader.integer(message.incarnation);
                    if (key == "Node") return reader.text(message.node);
                    return false;
                  }) &&
         check(reader, is_name(message.node) && is_name_or_empty(message.from));
}

// Alive and the node of a push/pull differ in the name of the name, and in the state.
struct MemberFields {
  ByteView address;
  ByteView vsn;
  std::uint16_t port = 0;

  template <class Member>
  bool read(msgpack::Reader& reader, std::string_view key, Member& member) {
    if (key == "Addr") return reader.bytes(address);
    if (key == "Incarnation") return reader.integer(member.incarnation);
    if (key == "Meta") return reader.bytes(member.meta);
    if (key == "Port") return reader.integer(port);
    if (key == "Vsn") return reader.bytes(vsn);
    return false;
  }
  template <class Member>
  bool resolve(msgpack::Reader& reader, Member& member) const {
    member.address.port = port;
    return check(reader, to_address(address, member.address.address) && to_vsn(vsn, member.vsn)) &&
           (member.meta.size() <= kMaxMetaBytes || reader.fail(Malformed::kTooLong));
  }
};

}  // namespace

bool is_name_or_empty(std::string_view text) noexcept {
  if (text.size() > kMaxNameBytes) return false;
  while (!text.empty()) {
    const auto length = character(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_name(std::string_view text) noexcept {
  return !text.empty() && is_name_or_empty(text);
}

bool to_address(ByteView bytes, IpAddress& address) noexcept {
  if (bytes.size() == 4) {
    address = IpAddress::v4(load<Big32>(bytes.data()));
    return true;
  }
  if (bytes.size() != 16) return false;
  address = {};
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  return true;
}

bool to_vsn(ByteView bytes, Vsn& vsn) noexcept {
  vsn = {};
  if (bytes.empty()) return true;
  if (bytes.size() != 6) return false;
  vsn = {bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]};
  return true;
}

bool read_fields(msgpack::Reader& reader, Ping& message) {
  SourceFields source;
  return read_map(reader,
                  [&](std::string_view key) {
                    if (key == "Node") return reader.text(message.node);
                    if (key == "SeqNo") return reader.integer(message.sequence);
                    if (key == "SourceAddr") return reader.bytes(source.address);
                    if (key == "SourceNode") return reader.text(message.source_node);
                    if (key == "SourcePort") return reader.integer(source.port);
                    return false;
                  }) &&
         check(reader, is_name_or_empty(message.node) && is_name_or_empty(message.source_node) &&
                           source.resolve(message.source));
}

bool read_fields(msgpack::Reader& reader, IndirectPing& message) {
  SourceFields source;
  ByteView target;
  return read_map(reader,
                  [&](std::string_view key) {
                    if (key == "Nack") return reader.boolean(message.nack);
                    if (key == "Node") return reader.text(message.node);
                    if (key == "Port") return reader.integer(message.target.port);
                    if (key == "SeqNo") return reader.integer(message.sequence);
                    if (key == "SourceAddr") return reader.bytes(source.address);
                    if (key == "SourceNode") return reader.text(message.source_node);
                    if (key == "SourcePort") return reader.integer(source.port);
                    if (key == "Target") return reader.bytes(target);
                    return false;
                  }) &&
         check(reader, is_name_or_empty(message.node) && is_name_or_empty(message.source_node) &&
                           to_address(target, message.target.address) &&
                           source.resolve(message.source));
}

bool read_fields(msgpack::Reader& reader, Ack& message) {
  return read_map(reader, [&](std::string_view key) {
    if (key == "Payload") return reader.bytes(message.payload);
    if (key == "SeqNo") return reader.integer(message.sequence);
    return false;
  });
}

bool read_fields(msgpack::Reader& reader, Nack& message) {
  return read_map(reader, [&](std::string_view key) {
    return key == "SeqNo" && reader.integer(message.sequence);
  });
}

bool read_fields(msgpack::Reader& reader, Suspect& message) {
  return read_accusation(reader, message);
}

bool read_fields(msgpack::Reader& reader, Dead& message) {
  return read_accusation(reader, message);
}

bool read_fields(msgpack::Reader& reader, Alive& message) {
  MemberFields member;
  return read_map(reader,
                  [&](std::string_view key) {
                    if (key == "Node") return reader.text(message.node);
                    return member.read(reader, key, message);
                  }) &&
         check(reader, is_name(message.node)) && member.resolve(reader, message);
}

bool read_fields(msgpack::Reader& reader, PushPullNode& node) {
  MemberFields member;
  std::uint64_t state = 0;
  if (!read_map(reader, [&](std::string_view key) {
        if (key == "Name") return reader.text(node.name);
        if (key == "State") {
          return reader.integer(state, static_cast<std::uint64_t>(WireState::kLeft));
        }
        return member.read(reader, key, node);
      })) {
    return false;
  }
  node.state = static_cast<WireState>(state);
  return check(reader, is_name(node.name)) && member.resolve(reader, node);
}

bool read_fields(msgpack::Reader& reader, PushPullHeader& header) {
  return read_map(reader, [&](std::string_view key) {
    if (key == "Join") return reader.boolean(header.join);
    if (key == "Nodes") return reader.integer(header.nodes, UINT64_MAX);
    if (key == "UserStateLen") return reader.integer(header.user_state, UINT64_MAX);
    return false;
  });
}

bool read_fields(msgpack::Reader& reader, UserHeader& header) {
  return read_map(reader, [&](std::string_view key) {
    return key == "UserMsgLen" && reader.integer(header.length, UINT64_MAX);
  });
}

bool read_fields(msgpack::Reader& reader, Err& message) {
  return read_map(
             reader,
             [&](std::string_view key) { return key == "Error" && reader.text(message.text); }) &&
         (message.text.size() <= kMaxErrorBytes || reader.fail(Malformed::kTooLong));
}

bool read_fields(msgpack::Reader& reader, Compressed& body) {
  return read_map(reader, [&](std::string_view key) {
    if (key == "Algo") return reader.integer(body.algorithm);
    if (key == "Buf") return reader.bytes(body.data);
    return false;
  });
}

void write_compressed(ByteView data, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(MessageType::kCompress));
  msgpack::Writer writer(out);
  writer.map(2);
  writer.text("Algo");
  writer.integer(0);
  writer.text("Buf");
  writer.bytes(data);
}

}  // namespace sluice::membership
