#include <utility>

#include "controlplane/membership/codec.hpp"
#include "controlplane/membership/fields.hpp"
#include "controlplane/membership/lzw.hpp"

namespace sluice::membership {

std::span<const PacketMessage> PacketDecoder::decode(ByteView packet) {
  messages_.clear();
  inflated_.clear();
  inflate_ = true;
  decode_part(packet, 0);
  return messages_;
}

void PacketDecoder::decode_part(ByteView part, int depth) {
  if (part.empty()) return malformed_.add(Malformed::kEmpty);
  if (depth > kMaxNesting) return malformed_.add(Malformed::kTooLong);
  const auto body = part.subspan(1);
  switch (static_cast<MessageType>(part[0])) {
    case MessageType::kCompound:
      return decode_compound(body, depth);
    case MessageType::kCompress:
      return decode_compressed(body, depth);
    case MessageType::kHasCrc:
      return decode_checked(body, depth);
    default:
      return decode_single(part);
  }
}

void PacketDecoder::decode_compound(ByteView body, int depth) {
  if (body.empty()) return malformed_.add(Malformed::kTruncated);
  const std::size_t count = body[0];
  if (body.size() < 1 + 2 * count) return malformed_.add(Malformed::kTruncated);
  const auto lengths = body.subspan(1, 2 * count);
  auto rest = body.subspan(1 + 2 * count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = load<Big16>(lengths.data() + 2 * i).get();
    if (length > rest.size()) return malformed_.add(Malformed::kTruncated);
    decode_part(rest.first(length), depth + 1);
    rest = rest.subspan(length);
  }
}

void PacketDecoder::decode_compressed(ByteView body, int depth) {
  msgpack::Reader reader(body);
  Compressed compressed;
  if (!read_fields(reader, compressed)) return malformed_.add(reader.reason());
  if (compressed.algorithm != 0 || !inflate_) return malformed_.add(Malformed::kCompression);
  // Reserved once: views into it stay while more is appended.
  inflated_.reserve(kMaxInflatedBytes);
  const auto start = inflated_.size();
  const auto result = lzw_decode(compressed.data, inflated_, kMaxInflatedBytes);
  if (result == LzwResult::kOk) {
    return decode_part(ByteView(inflated_).subspan(start), depth + 1);
  }
  inflate_ = false;
  malformed_.add(result == LzwResult::kTooLong ? Malformed::kInflated : Malformed::kCompression);
}

// Only as the outermost layer, as the reference has it.
void PacketDecoder::decode_checked(ByteView body, int depth) {
  if (depth != 0) return malformed_.add(Malformed::kType);
  if (body.size() < 4) return malformed_.add(Malformed::kTruncated);
  const auto inner = body.subspan(4);
  if (crc32_ieee(inner) != load<Big32>(body.data()).get()) {
    return malformed_.add(Malformed::kChecksum);
  }
  decode_part(inner, depth + 1);
}

void PacketDecoder::decode_single(ByteView part) {
  if (messages_.size() == kMaxMessages) return malformed_.add(Malformed::kTooLong);
  msgpack::Reader reader(part.subspan(1));
  const auto read = [&]<class M>(M message) {
    if (!read_fields(reader, message)) return malformed_.add(reader.reason());
    messages_.emplace_back(std::move(message));
  };
  switch (static_cast<MessageType>(part[0])) {
    case MessageType::kPing:
      return read(Ping{});
    case MessageType::kIndirectPing:
      return read(IndirectPing{});
    case MessageType::kAck:
      return read(Ack{});
    case MessageType::kNack:
      return read(Nack{});
    case MessageType::kSuspect:
      return read(Suspect{});
    case MessageType::kAlive:
      return read(Alive{});
    case MessageType::kDead:
      return read(Dead{});
    case MessageType::kUser:
      messages_.emplace_back(User{part.subspan(1)});
      return;
    default:
      return malformed_.add(Malformed::kType);
  }
}

}  // namespace sluice::membership
