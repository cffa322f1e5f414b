// Messages to bytes and back, without the layers of the transport (see packet.hpp for datagrams and
// stream.hpp for TCP): single messages, several in one packet, and a packet taken apart. Never
// throws but for want of memory; every limit of messages.hpp is enforced on what comes in. Any
// thread; an object belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "controlplane/membership/malformed.hpp"
#include "controlplane/membership/messages.hpp"

namespace sluice::membership {

// Append one message, type byte first, in the form every version of the reference reads: maps with
// keys in alphabetical order, byte strings of the old raw family.
void encode(const Ping& message, Bytes& out);
void encode(const IndirectPing& message, Bytes& out);
void encode(const Ack& message, Bytes& out);
void encode(const Nack& message, Bytes& out);
void encode(const Suspect& message, Bytes& out);
void encode(const Alive& message, Bytes& out);
void encode(const Dead& message, Bytes& out);
// In a packet, where it reaches to the end of its part.
void encode(const User& message, Bytes& out);
void encode(const PacketMessage& message, Bytes& out);
// Only on streams.
void encode(const PushPull& message, Bytes& out);
void encode(const Err& message, Bytes& out);
template <class M>
Bytes encoded(const M& message) {
  Bytes out;
  encode(message, out);
  return out;
}

// Gathers encoded messages for one packet: a bare message when it is one, a compound when several,
// never more than kMaxCompoundParts nor than budget bytes. Reused packet after packet.
class PacketAssembler {
 public:
  // budget: bytes of the finished packet, that is the datagram less seal_overhead().
  explicit PacketAssembler(std::size_t budget) noexcept : budget_(budget) {}

  // A budget that holds at least one message of the size is not demanded: the first always fits.
  bool add(ByteView message);
  // What one more message may have; 0 when it is full.
  std::size_t room() const noexcept;
  std::size_t parts() const noexcept { return lengths_.size(); }
  bool empty() const noexcept { return lengths_.empty(); }
  // Takes what was gathered; the assembler is empty again.
  Bytes take();
  void clear() noexcept;

 private:
  std::size_t budget_;
  std::vector<std::uint16_t> lengths_;
  Bytes body_;
};

// Takes one packet apart, after label and encryption: checksum, compression, compounds within one
// another. Refused parts are counted and the rest is still delivered.
class PacketDecoder {
 public:
  // Valid until the next call, and while the packet's bytes are.
  std::span<const PacketMessage> decode(ByteView packet);
  const MalformedCounters& malformed() const noexcept { return malformed_; }
  MalformedCounters& malformed() noexcept { return malformed_; }

  // Beyond what any honest packet of at most 64 KiB holds.
  static constexpr std::size_t kMaxInflatedBytes = std::size_t{128} << 10;
  static constexpr std::size_t kMaxMessages = 1024;
  static constexpr int kMaxNesting = 6;

 private:
  void decode_part(ByteView part, int depth);
  void decode_compound(ByteView body, int depth);
  void decode_compressed(ByteView body, int depth);
  void decode_checked(ByteView body, int depth);
  void decode_single(ByteView part);

  std::vector<PacketMessage> messages_;
  Bytes inflated_;  // reserved once, so that views into it stay
  // False after the packet's first broken compression: a packet of 255 bombs costs no more than
  // one.
  bool inflate_ = true;
  MalformedCounters malformed_;
};

// CRC-32 of IEEE 802.3.
std::uint32_t crc32_ieee(ByteView data) noexcept;

}  // namespace sluice::membership
