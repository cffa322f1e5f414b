// The maps of the protocol's messages, shared by datagrams and streams: reading fields by name into
// values, and checking them. Internal to this folder.
#pragma once

#include <string_view>

#include "controlplane/membership/messages.hpp"
#include "controlplane/membership/msgpack.hpp"

namespace sluice::membership {

// Calls field(key) for every pair of a map; field reads the value and says false for a key it does
// not know, which is then walked over. False: the reader failed.
template <class Field>
bool read_map(msgpack::Reader& reader, Field&& field) {
  std::uint32_t pairs = 0;
  if (!reader.map(pairs)) return false;
  for (; pairs > 0; --pairs) {
    std::string_view key;
    if (!reader.text(key)) return false;
    if (!field(key) && !reader.failed()) reader.skip();
    if (reader.failed()) return false;
  }
  return true;
}

// Non-empty, of bounded length, UTF-8, no control characters: fit for logs and for the API.
bool is_name(std::string_view text) noexcept;
bool is_name_or_empty(std::string_view text) noexcept;

// 4 or 16 bytes; false for any other length.
bool to_address(ByteView bytes, IpAddress& address) noexcept;
// 6 bytes, or none.
bool to_vsn(ByteView bytes, Vsn& vsn) noexcept;

// Each reads one map from the reader's place; false: reader.reason() says why.
bool read_fields(msgpack::Reader& reader, Ping& message);
bool read_fields(msgpack::Reader& reader, IndirectPing& message);
bool read_fields(msgpack::Reader& reader, Ack& message);
bool read_fields(msgpack::Reader& reader, Nack& message);
bool read_fields(msgpack::Reader& reader, Suspect& message);
bool read_fields(msgpack::Reader& reader, Alive& message);
bool read_fields(msgpack::Reader& reader, Dead& message);
bool read_fields(msgpack::Reader& reader, PushPullNode& node);
bool read_fields(msgpack::Reader& reader, Err& message);

// What stands before the members and the state of a push/pull, and before a user message on TCP.
// Counts as the peer claims them: compare with the limits before use.
struct PushPullHeader {
  bool join = false;
  std::uint64_t nodes = 0;
  std::uint64_t user_state = 0;  // bytes
};
struct UserHeader {
  std::uint64_t length = 0;
};
bool read_fields(msgpack::Reader& reader, PushPullHeader& header);
bool read_fields(msgpack::Reader& reader, UserHeader& header);

void write_vsn(const Vsn& vsn, Bytes& out);
void write_node(const PushPullNode& node, Bytes& out);

// The body of a compress message.
struct Compressed {
  std::uint8_t algorithm = 0;  // 0 is LZW, the only one
  ByteView data;
};
bool read_fields(msgpack::Reader& reader, Compressed& body);
void write_compressed(ByteView data, Bytes& out);  // with the type byte

}  // namespace sluice::membership
