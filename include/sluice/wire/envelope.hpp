// The Sluice envelope, version 1: 64 bytes in network byte order behind UDP. Field by field in the
// order of the wire; any thread. The layout is the contract with every agent: a change needs a new
// version number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sluice/base/bytes.hpp"
#include "sluice/base/ids.hpp"

namespace sluice {

inline constexpr std::uint16_t kDefaultMessagePort = 7600;
inline constexpr std::uint8_t kEnvelopeVersion = 1;
inline constexpr std::size_t kEnvelopeBytes = 64;
inline constexpr std::size_t kHeaderUnitBytes = 16;  // unit of the header length field
inline constexpr std::uint8_t kMinHeaderUnits = kEnvelopeBytes / kHeaderUnitBytes;
inline constexpr std::uint8_t kVersionAndLength = kEnvelopeVersion << 4 | kMinHeaderUnits;

enum class MessageType : std::uint8_t {
  kData = 0,
  kRegister = 1,
  kRegisterReply = 2,
  kUnregister = 3,
  kResolve = 4,
  kResolveReply = 5,
  kNotice = 6,
  kEcho = 7,
  kEchoReply = 8,
  kLinkProbe = 9,
};
inline constexpr std::uint8_t kMaxMessageType = 9;

constexpr std::string_view to_string(MessageType type) noexcept {
  constexpr std::string_view kNames[] = {
      "data",          "register", "register-reply", "unregister", "resolve",
      "resolve-reply", "notice",   "echo",           "echo-reply", "link-probe"};
  const auto index = static_cast<std::size_t>(type);
  return index <= kMaxMessageType ? kNames[index] : std::string_view("unknown");
}

namespace message_flag {
inline constexpr std::uint8_t kCapability = 1;  // the destination is a capability id
inline constexpr std::uint8_t kAllMembers = 2;  // with kCapability: every member, not one
inline constexpr std::uint8_t kTrace = 4;
inline constexpr std::uint8_t kNotify = 8;       // send a notice when undeliverable
inline constexpr std::uint8_t kCompressed = 16;  // payload; opaque here
inline constexpr std::uint8_t kEncrypted = 32;   // payload; opaque here
inline constexpr std::uint8_t kReserved = 0xc0;  // must be zero
}  // namespace message_flag

struct Envelope {
  std::uint8_t
      version_and_length;  // version in the high 4 bits, header length in 16-byte units below
  std::uint8_t type;
  std::uint8_t flags;
  std::uint8_t class_and_lifetime;  // class in the high 3 bits (7 highest), lifetime code below
  std::uint8_t hop_limit;
  std::uint8_t reason;  // NoticeReason in a notice, else 0
  Big16 payload_length;
  Big16 tenant;
  Big16 message_type;
  Big32 sequence;
  Id destination;
  Id source;
  Big64 routing_key;
  Big64 timestamp_ns;  // since the Unix epoch, at the sender

  std::uint8_t version() const noexcept { return version_and_length >> 4; }
  std::size_t header_bytes() const noexcept {
    return static_cast<std::size_t>(version_and_length & 15) * kHeaderUnitBytes;
  }
  std::uint8_t traffic_class() const noexcept { return class_and_lifetime >> 5; }
  std::uint8_t lifetime_code() const noexcept { return class_and_lifetime & 31; }
  void set_class_and_lifetime(std::uint8_t traffic_class, std::uint8_t lifetime_code) noexcept {
    class_and_lifetime = static_cast<std::uint8_t>((traffic_class & 7) << 5 | (lifetime_code & 31));
  }
};

static_assert(sizeof(Envelope) == kEnvelopeBytes && alignof(Envelope) == 1);
static_assert(offsetof(Envelope, payload_length) == 6 && offsetof(Envelope, tenant) == 8);
static_assert(offsetof(Envelope, sequence) == 12 && offsetof(Envelope, destination) == 16);
static_assert(offsetof(Envelope, source) == 32 && offsetof(Envelope, routing_key) == 48);
static_assert(offsetof(Envelope, timestamp_ns) == 56);

inline constexpr unsigned kTrafficClasses = 8;

// Nanoseconds of a lifetime code: 0 none (never expires), n = 2^(n-1) ms.
constexpr std::uint64_t lifetime_ns(std::uint8_t code) noexcept {
  return code == 0 ? UINT64_MAX : (std::uint64_t{1} << (code - 1)) * 1'000'000;
}

// Why a message could not be delivered, as told to its sender in a notice.
enum class NoticeReason : std::uint8_t {
  kNone = 0,
  kUnknownDestination = 1,  // nobody with that id was found in time
  kUnreachable = 2,         // known, but its host or router is down
  kExpired = 3,             // the lifetime ended on the way
  kHopLimit = 4,
  kTenantDenied = 5,
  kRateLimited = 6,
  kCongested = 7,     // egress queue full
  kTooBig = 8,        // larger than the egress MTU
  kSourceDenied = 9,  // the source id is not registered from that address
};
inline constexpr std::uint8_t kMaxNoticeReason = 9;

constexpr std::string_view to_string(NoticeReason reason) noexcept {
  constexpr std::string_view kNames[] = {
      "none",          "unknown destination", "unreachable", "expired", "hop limit reached",
      "tenant denied", "rate limited",        "congested",   "too big", "source denied"};
  const auto index = static_cast<std::size_t>(reason);
  return index <= kMaxNoticeReason ? kNames[index] : std::string_view("unknown");
}

// Payload of a notice: the 64-byte envelope of the message it is about, as the router received it.
inline constexpr std::size_t kNoticePayloadBytes = kEnvelopeBytes;

}  // namespace sluice
