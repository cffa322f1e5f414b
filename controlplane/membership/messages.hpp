// The messages of the memberlist protocol as plain values. Texts and byte strings are views: of a
// decoded message they point into the decoder's buffers and live until its next call; who keeps one
// copies it. Encoding takes the same values and keeps nothing. Any thread; no state.
//
// What a decoded message promises: names are 1 to kMaxNameBytes bytes of UTF-8 without control
// characters, Meta is at most kMaxMetaBytes, states are of the enumeration, addresses are IPv4 (as
// v4-mapped) or IPv6, never anything else. Incarnations, versions and ports are as the peer sent
// them: judging those is the protocol core's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "sluice/wire/inet.hpp"

namespace sluice::membership {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline constexpr std::uint16_t kDefaultPort = 7946;
inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxMetaBytes = 512;
inline constexpr std::size_t kMaxLabelBytes = 255;
// One more and peers up to memberlist 0.2.2 (serf 0.9.4) lose the messages: an 8-bit overflow.
inline constexpr std::size_t kMaxCompoundParts = 127;
inline constexpr std::size_t kMaxPushPullNodes = std::size_t{1} << 16;
inline constexpr std::size_t kMaxUserStateBytes = std::size_t{20} << 20;
inline constexpr std::size_t kMaxUserMessageBytes = std::size_t{20} << 20;
inline constexpr std::size_t kMaxErrorBytes = 4096;

// The first byte of every message and of every framing layer.
enum class MessageType : std::uint8_t {
  kPing = 0,
  kIndirectPing = 1,
  kAck = 2,
  kSuspect = 3,
  kAlive = 4,
  kDead = 5,
  kPushPull = 6,
  kCompound = 7,
  kUser = 8,
  kCompress = 9,
  kEncrypt = 10,
  kNack = 11,
  kHasCrc = 12,
  kErr = 13,
  kHasLabel = 244,
};

// Protocol and delegate versions a member understands and speaks. All zero: the peer sent none.
struct Vsn {
  std::uint8_t protocol_min = 0;
  std::uint8_t protocol_max = 0;
  std::uint8_t protocol_current = 0;
  std::uint8_t delegate_min = 0;
  std::uint8_t delegate_max = 0;
  std::uint8_t delegate_current = 0;

  friend bool operator==(const Vsn&, const Vsn&) = default;
};
// What we advertise: the delegate numbers are those of serf 0.9.4, which refuses members without.
inline constexpr Vsn kOwnVsn{1, 5, 2, 2, 5, 5};
// From these protocol versions on a peer ...
inline constexpr std::uint8_t kProtocolTcpPing = 3;  // answers pings over TCP
inline constexpr std::uint8_t kProtocolNack = 4;     // sends nacks
inline constexpr std::uint8_t kProtocolCrc = 5;      // takes packets with a checksum

// On the wire as an integer.
enum class WireState : std::uint8_t { kAlive = 0, kSuspect = 1, kDead = 2, kLeft = 3 };

// Where an Endpoint has port 0 the peer gave none (older versions): the answer then goes to where
// the packet came from.
struct Ping {
  std::uint32_t sequence = 0;
  std::string_view node;  // whom it is meant for; may be empty: whoever gets it
  Endpoint source;
  std::string_view source_node;

  friend bool operator==(const Ping&, const Ping&) = default;
};

struct IndirectPing {
  std::uint32_t sequence = 0;
  std::string_view node;
  Endpoint target;
  bool nack = false;  // the asker understands Nack
  Endpoint source;
  std::string_view source_node;

  friend bool operator==(const IndirectPing&, const IndirectPing&) = default;
};

struct Ack {
  std::uint32_t sequence = 0;
  ByteView payload;  // serf puts a coordinate here; we send none
};

struct Nack {
  std::uint32_t sequence = 0;
};

struct Suspect {
  std::uint32_t incarnation = 0;
  std::string_view node;
  std::string_view from;

  friend bool operator==(const Suspect&, const Suspect&) = default;
};

struct Alive {
  std::uint32_t incarnation = 0;
  std::string_view node;
  Endpoint address;
  ByteView meta;
  Vsn vsn;
};

// A leave when node equals from.
struct Dead {
  std::uint32_t incarnation = 0;
  std::string_view node;
  std::string_view from;

  friend bool operator==(const Dead&, const Dead&) = default;
};

// Of the application on top. The first byte says what it is: serf's are 0 to 9, those between
// routers these.
inline constexpr std::uint8_t kKeyMessage = 0x53;     // key_order.hpp
inline constexpr std::uint8_t kDigestMessage = 0x54;  // the core's own
inline constexpr std::uint8_t kAwayQuestion = 0x55;   // key_survey.hpp
inline constexpr std::uint8_t kAwayAnswer = 0x56;
struct User {
  ByteView data;
};

struct PushPullNode {
  std::string_view name;
  Endpoint address;
  ByteView meta;
  std::uint32_t incarnation = 0;
  WireState state = WireState::kAlive;
  Vsn vsn;
};

struct PushPull {
  bool join = false;
  std::span<const PushPullNode> nodes;
  ByteView user_state;
};

struct Err {
  std::string_view text;
};

// What a datagram can hold, and what a stream can hold.
using PacketMessage = std::variant<Ping, IndirectPing, Ack, Nack, Suspect, Alive, Dead, User>;
using StreamMessage = std::variant<Ping, Ack, PushPull, User, Err>;

}  // namespace sluice::membership
