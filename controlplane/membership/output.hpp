// What the core asks of whoever drives it: datagrams, streams, and the news it tells. Implemented
// by the driver and by the simulator; called on the thread that calls the core, and must not call
// the core back: it notes what to do and does it after the core has returned.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "controlplane/membership/member_table.hpp"
#include "controlplane/membership/messages.hpp"

namespace sluice::membership {

enum class EventKind : std::uint8_t {
  kJoined,      // a member we did not know, or held for dead or left, is alive
  kUpdated,     // its Meta or versions changed
  kSuspected,   // it may be dead
  kReprieved,   // it refuted
  kFailed,      // dead; from says who declared it
  kLeft,        // it took its leave
  kForgotten,   // no longer in the list; a failed one stays in the address book
  kConflict,    // two members of one name; address is the other's. from: our own name if it is us
  kRefuted,     // we were accused, and have answered; from says by whom
  kJoinDone,    // a seed at this address answered
  kJoinFailed,  // ... did not; it is tried again
  kLeaveDone,   // our own leave has been told; the driver may stop
  kUser,        // a user message: meta holds its bytes, address whence it came
};

constexpr std::string_view to_string(EventKind kind) noexcept {
  constexpr std::array<std::string_view, 13> kNames{
      "joined",   "updated", "suspected", "reprieved",   "failed",     "left", "forgotten",
      "conflict", "refuted", "join_done", "join_failed", "leave_done", "user"};
  return kNames[static_cast<std::size_t>(kind)];
}

// Views are valid during the call only.
struct Event {
  EventKind kind;
  std::string_view name;
  Endpoint address;
  ByteView meta;
  std::uint32_t incarnation = 0;
  std::string_view from;
};

enum class StreamKind : std::uint8_t { kPushPull, kPing };

// One connection: dial, send the message, read one message, close. The answer goes to
// on_stream_reply(), anything else to on_stream_failed(), exactly one of them.
struct StreamRequest {
  std::uint32_t id = 0;
  StreamKind kind = StreamKind::kPushPull;
  Endpoint to;
  Bytes message;  // as encode_stream makes it, before compression, encryption and label
  std::uint64_t deadline_ns = 0;
};

class Output {
 public:
  virtual ~Output() = default;

  // One message or a compound, before compression, checksum, encryption and label. crc: the peer is
  // known to take packets with a checksum.
  virtual void packet(const Endpoint& to, Bytes payload, bool crc) = 0;
  virtual void open_stream(StreamRequest request) = 0;
  virtual void event(const Event& event) = 0;
};

}  // namespace sluice::membership
