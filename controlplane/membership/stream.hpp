// One message over TCP, each way: push/pull, a ping and its answer, a user message, an error. There
// is no length in front: the message itself says where it ends, so decoding goes on as bytes come.
// A decoder serves one connection and belongs to its thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "controlplane/membership/layers.hpp"
#include "controlplane/membership/msgpack.hpp"

namespace sluice::membership {

// Who opened the connection writes the label header; the other side answers without, but counts the
// label in what the encryption authenticates.
enum class StreamRole : std::uint8_t { kDialer, kAcceptor };

inline constexpr std::size_t kMaxStreamBytes = std::size_t{20} << 20;     // as they came
inline constexpr std::size_t kMaxStreamInflated = std::size_t{40} << 20;  // decompressed
// Lists of members shrink to a tenth at best. What would grow to more than so many times its size,
// and to more than a mebibyte, is a bomb: only there to cost us time and memory.
inline constexpr std::size_t kMaxInflation = 64;
inline constexpr std::size_t kInflatedAnyway = std::size_t{1} << 20;

// On a stream a user message begins with its length, so this is not the encode() of packets.
void encode_stream(const StreamMessage& message, Bytes& out);

// All that is written for an encoded message. Empty: encryption failed.
Bytes seal_stream(WireSettings& settings, StreamRole writer, CipherVersion version, Bytes message,
                  NonceSource nonce = random_nonce);
Bytes seal_stream(WireSettings& settings, StreamRole writer, CipherVersion version,
                  const StreamMessage& message, NonceSource nonce = random_nonce);

// Finds where a message (type byte, then its parts) ends; goes on when more has come.
class StreamScanner {
 public:
  enum class State : std::uint8_t { kDone, kMore, kBad };

  State scan(ByteView data);
  Malformed reason() const noexcept { return reason_; }

 private:
  enum class Stage : std::uint8_t { kType, kHeader, kNodes, kRaw };

  State bad(Malformed reason) noexcept;
  State next_object(ByteView data, std::size_t max);
  State after_header(ByteView header);

  Stage stage_ = Stage::kType;
  MessageType type_{};
  Malformed reason_{};
  std::size_t at_ = 0;       // where the object begins that is being scanned
  std::uint64_t nodes_ = 0;  // still to come
  std::uint64_t raw_ = 0;    // bytes after the objects
  msgpack::Scanner object_;
};

class StreamDecoder {
 public:
  enum class State : std::uint8_t { kMore, kMessage, kBad, kFull };

  // role: that of the reader.
  StreamDecoder(WireSettings& settings, StreamRole role);

  // What held_bytes() may become, within some kilobytes; at first as much as a stream may have.
  void allow(std::size_t bytes) noexcept { allowed_ = bytes; }
  // kFull: it would take more than is allowed. Only after kMore may more be fed.
  State feed(ByteView bytes);
  // Views into the decoder.
  const StreamMessage& message() const noexcept { return message_; }
  Malformed reason() const noexcept { return reason_; }
  // Memory held for the peer, for the limit over all connections.
  std::size_t held_bytes() const noexcept {
    return wire_.capacity() + opened_.capacity() + inflated_.capacity() +
           nodes_.capacity() * sizeof(PushPullNode);
  }
  // Members of a push/pull left out because their fields made no sense.
  std::size_t skipped_nodes() const noexcept { return skipped_nodes_; }

 private:
  State bad(Malformed reason) noexcept;
  State read_label();
  State read_frame();
  State open_frame();
  State read_plain();
  State inflate(ByteView body);
  State decode_message(ByteView data);
  State decode_push_pull(msgpack::Reader& reader);
  State decode_user(msgpack::Reader& reader);

  enum class Stage : std::uint8_t { kLabel, kFrame, kEncrypted, kPlain };

  std::size_t room() const noexcept {
    const auto held = held_bytes();
    return held < allowed_ ? allowed_ - held : 0;
  }

  WireSettings& settings_;
  Stage stage_;
  std::size_t allowed_ = SIZE_MAX;
  Malformed reason_{};
  Bytes wire_;
  std::size_t at_ = 0;  // of wire_: where the current stage begins
  StreamScanner scanner_;
  Bytes opened_;
  Bytes inflated_;
  std::vector<PushPullNode> nodes_;
  std::size_t skipped_nodes_ = 0;
  StreamMessage message_;
};

}  // namespace sluice::membership
