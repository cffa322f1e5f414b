#include "controlplane/membership/stream.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/membership/fields.hpp"

namespace sluice::membership {
namespace {

constexpr std::size_t kFrameHead = 5;  // type byte and length of the block

// What authenticates an encrypted stream besides its content.
Bytes frame_aad(ByteView head, std::string_view label) {
  Bytes aad(head.begin(), head.end());
  aad.insert(aad.end(), label.begin(), label.end());
  return aad;
}

void append(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void write_user(const User& message, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(MessageType::kUser));
  msgpack::Writer writer(out);
  writer.map(1);
  writer.text("UserMsgLen");
  writer.integer(message.data.size());
  append(out, message.data);
}

// Smaller of the two forms; both are read by every peer.
Bytes compressed(Bytes plain) {
  Bytes packed;
  LzwEncoder().encode(plain, packed);
  Bytes out;
  out.reserve(packed.size() + 24);
  write_compressed(packed, out);
  return out.size() < plain.size() ? out : plain;
}

}  // namespace

void encode(const PushPull& message, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(MessageType::kPushPull));
  msgpack::Writer writer(out);
  writer.map(3);
  writer.text("Join");
  writer.boolean(message.join);
  writer.text("Nodes");
  writer.integer(message.nodes.size());
  writer.text("UserStateLen");
  writer.integer(message.user_state.size());
  for (const auto& node : message.nodes)
    write_node(node, out);
  append(out, message.user_state);
}

void encode(const Err& message, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(MessageType::kErr));
  msgpack::Writer writer(out);
  writer.map(1);
  writer.text("Error");
  writer.text(message.text);
}

void encode_stream(const StreamMessage& message, Bytes& out) {
  std::visit(
      [&]<class M>(const M& one) {
        if constexpr (std::is_same_v<M, User>) {
          write_user(one, out);
        } else {
          encode(one, out);
        }
      },
      message);
}

Bytes seal_stream(WireSettings& settings, StreamRole writer, CipherVersion version,
                  const StreamMessage& message, NonceSource nonce) {
  Bytes plain;
  encode_stream(message, plain);
  return seal_stream(settings, writer, version, std::move(plain), nonce);
}

Bytes seal_stream(WireSettings& settings, StreamRole writer, CipherVersion version, Bytes plain,
                  NonceSource nonce) {
  if (settings.compress) plain = compressed(std::move(plain));
  Bytes out;
  out.reserve(plain.size() + settings.label.size() + 2 + kFrameHead + kMaxBlockOverhead);
  if (writer == StreamRole::kDialer && !settings.label.empty()) {
    out.push_back(static_cast<std::uint8_t>(MessageType::kHasLabel));
    out.push_back(static_cast<std::uint8_t>(settings.label.size()));
    append(out, as_bytes(settings.label));
  }
  if (!settings.encrypts()) {
    append(out, plain);
    return out;
  }
  const auto padding = version == CipherVersion::kPadded ? 16 - plain.size() % 16 : 0;
  const auto head = out.size();
  out.push_back(static_cast<std::uint8_t>(MessageType::kEncrypt));
  const Big32 length(static_cast<std::uint32_t>(plain.size() + padding + kBlockOverhead));
  append(out, {reinterpret_cast<const std::uint8_t*>(&length), sizeof length});
  const auto aad = frame_aad(ByteView(out).subspan(head), settings.label);
  if (!seal_block(*settings.keyring, version, nonce(), aad, plain, out)) return {};
  return out;
}

StreamDecoder::StreamDecoder(WireSettings& settings, StreamRole role)
    : settings_(settings), stage_(role == StreamRole::kAcceptor ? Stage::kLabel : Stage::kFrame) {}

StreamDecoder::State StreamDecoder::bad(Malformed reason) noexcept {
  reason_ = reason;
  return State::kBad;
}

StreamDecoder::State StreamDecoder::feed(ByteView bytes) {
  if (bytes.size() > kMaxStreamBytes - wire_.size()) return bad(Malformed::kTooLong);
  if (bytes.size() > wire_.capacity() - wire_.size() && bytes.size() > room()) return State::kFull;
  append(wire_, bytes);
  if (wire_.empty()) return State::kMore;
  switch (stage_) {
    case Stage::kLabel:
      return read_label();
    case Stage::kFrame:
      return read_frame();
    case Stage::kEncrypted:
      return open_frame();
    case Stage::kPlain:
      return read_plain();
  }
  return bad(Malformed::kType);
}

StreamDecoder::State StreamDecoder::read_label() {
  const bool has = wire_[0] == static_cast<std::uint8_t>(MessageType::kHasLabel);
  if (!has && !settings_.label.empty()) return bad(Malformed::kLabel);
  if (has) {
    if (wire_.size() < 2) return State::kMore;
    const std::size_t length = wire_[1];
    if (length != settings_.label.size() || length == 0) return bad(Malformed::kLabel);
    if (wire_.size() < 2 + length) return State::kMore;
    if (!std::ranges::equal(ByteView(wire_).subspan(2, length), as_bytes(settings_.label))) {
      return bad(Malformed::kLabel);
    }
    at_ = 2 + length;
  }
  stage_ = Stage::kFrame;
  return read_frame();
}

StreamDecoder::State StreamDecoder::read_frame() {
  if (wire_.size() == at_) return State::kMore;
  if (wire_[at_] == static_cast<std::uint8_t>(MessageType::kEncrypt)) {
    if (!settings_.keyring) return bad(Malformed::kDecrypt);
    stage_ = Stage::kEncrypted;
    return open_frame();
  }
  if (settings_.demands_encryption()) return bad(Malformed::kPlain);
  stage_ = Stage::kPlain;
  return read_plain();
}

StreamDecoder::State StreamDecoder::open_frame() {
  const auto frame = ByteView(wire_).subspan(at_);
  if (frame.size() < kFrameHead) return State::kMore;
  const std::size_t length = load<Big32>(frame.data() + 1).get();
  if (length > kMaxStreamBytes - kFrameHead - kMaxLabelBytes - 2) return bad(Malformed::kTooLong);
  if (length < kBlockOverhead) return bad(Malformed::kDecrypt);
  if (frame.size() < kFrameHead + length) return State::kMore;
  if (length > room()) return State::kFull;
  const auto aad = frame_aad(frame.first(kFrameHead), settings_.label);
  if (!open_block(*settings_.keyring, aad, frame.subspan(kFrameHead, length), opened_)) {
    return bad(Malformed::kDecrypt);
  }
  if (opened_.empty()) return bad(Malformed::kEmpty);
  // It is all there: whatever is missing will never come.
  switch (scanner_.scan(opened_)) {
    case StreamScanner::State::kMore:
      return bad(Malformed::kTruncated);
    case StreamScanner::State::kBad:
      return bad(scanner_.reason());
    case StreamScanner::State::kDone:
      break;
  }
  return decode_message(opened_);
}

StreamDecoder::State StreamDecoder::read_plain() {
  const auto body = ByteView(wire_).subspan(at_);
  switch (scanner_.scan(body)) {
    case StreamScanner::State::kMore:
      return State::kMore;
    case StreamScanner::State::kBad:
      return bad(scanner_.reason());
    case StreamScanner::State::kDone:
      break;
  }
  return decode_message(body);
}

StreamDecoder::State StreamDecoder::inflate(ByteView body) {
  msgpack::Reader reader(body);
  Compressed packed;
  if (!read_fields(reader, packed)) return bad(reader.reason());
  if (packed.algorithm != 0) return bad(Malformed::kCompression);
  const auto most =
      std::min(kMaxStreamInflated, std::max(kInflatedAnyway, kMaxInflation * packed.data.size()));
  // Growing doubles what is held.
  const auto fits = room() / 2;
  switch (lzw_decode(packed.data, inflated_, std::min(most, fits))) {
    case LzwResult::kCorrupt:
      return bad(Malformed::kCompression);
    case LzwResult::kTooLong:
      return fits < most ? State::kFull : bad(Malformed::kInflated);
    case LzwResult::kOk:
      break;
  }
  if (inflated_.empty()) return bad(Malformed::kEmpty);
  // The reference does not read compression within compression either.
  if (inflated_[0] == static_cast<std::uint8_t>(MessageType::kCompress)) {
    return bad(Malformed::kType);
  }
  StreamScanner scanner;
  switch (scanner.scan(inflated_)) {
    case StreamScanner::State::kMore:
      return bad(Malformed::kTruncated);
    case StreamScanner::State::kBad:
      return bad(scanner.reason());
    case StreamScanner::State::kDone:
      break;
  }
  return decode_message(inflated_);
}

StreamDecoder::State StreamDecoder::decode_message(ByteView data) {
  msgpack::Reader reader(data.subspan(1));
  const auto read = [&]<class M>(M message) {
    if (!read_fields(reader, message)) return bad(reader.reason());
    message_ = message;
    return State::kMessage;
  };
  switch (static_cast<MessageType>(data[0])) {
    case MessageType::kCompress:
      return inflate(data.subspan(1));
    case MessageType::kPing:
      return read(Ping{});
    case MessageType::kAck:
      return read(Ack{});
    case MessageType::kErr:
      return read(Err{});
    case MessageType::kPushPull:
      return decode_push_pull(reader);
    case MessageType::kUser:
      return decode_user(reader);
    default:
      return bad(Malformed::kType);
  }
}

StreamDecoder::State StreamDecoder::decode_push_pull(msgpack::Reader& reader) {
  PushPullHeader header;
  if (!read_fields(reader, header)) return bad(reader.reason());
  // No memory for a count: the scanner has seen that the nodes are there, each at least a byte, and
  // those without a name are left out.
  for (std::uint64_t i = 0; i < header.nodes; ++i) {
    const auto from = reader.rest();
    if (!reader.skip()) return bad(reader.reason());
    msgpack::Reader fields(from.first(from.size() - reader.rest().size()));
    PushPullNode node;
    if (read_fields(fields, node)) {
      nodes_.push_back(node);
    } else {
      ++skipped_nodes_;
    }
  }
  const auto rest = reader.rest();
  if (rest.size() < header.user_state) return bad(Malformed::kTruncated);
  message_ = PushPull{header.join, nodes_, rest.first(static_cast<std::size_t>(header.user_state))};
  return State::kMessage;
}

StreamDecoder::State StreamDecoder::decode_user(msgpack::Reader& reader) {
  UserHeader header;
  if (!read_fields(reader, header)) return bad(reader.reason());
  if (reader.rest().size() < header.length) return bad(Malformed::kTruncated);
  message_ = User{reader.rest().first(static_cast<std::size_t>(header.length))};
  return State::kMessage;
}

}  // namespace sluice::membership
