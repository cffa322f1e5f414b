#include "controlplane/membership/fields.hpp"
#include "controlplane/membership/stream.hpp"

namespace sluice::membership {
namespace {

// Of one map that is not a compress message: a member with the longest name and Meta is an eighth.
constexpr std::size_t kMaxObjectBytes = 8192;

}  // namespace

StreamScanner::State StreamScanner::bad(Malformed reason) noexcept {
  reason_ = reason;
  return State::kBad;
}

StreamScanner::State StreamScanner::next_object(ByteView data, std::size_t max) {
  const auto state = object_.scan(data.subspan(at_));
  if (object_.offset() > max || (state == msgpack::Scanner::State::kMore && object_.wanted() > max))
    return bad(Malformed::kTooLong);
  if (state == msgpack::Scanner::State::kBad) return bad(Malformed::kMsgpack);
  return state == msgpack::Scanner::State::kMore ? State::kMore : State::kDone;
}

StreamScanner::State StreamScanner::after_header(ByteView header) {
  stage_ = Stage::kRaw;
  msgpack::Reader reader(header);
  if (type_ == MessageType::kUser) {
    UserHeader user;
    if (!read_fields(reader, user)) return bad(reader.reason());
    if (user.length > kMaxUserMessageBytes) return bad(Malformed::kTooLong);
    raw_ = user.length;
  } else if (type_ == MessageType::kPushPull) {
    PushPullHeader push;
    if (!read_fields(reader, push)) return bad(reader.reason());
    if (push.nodes > kMaxPushPullNodes || push.user_state > kMaxUserStateBytes) {
      return bad(Malformed::kTooLong);
    }
    nodes_ = push.nodes;
    raw_ = push.user_state;
    stage_ = Stage::kNodes;
  }
  return State::kDone;
}

StreamScanner::State StreamScanner::scan(ByteView data) {
  if (stage_ == Stage::kType) {
    if (data.empty()) return State::kMore;
    type_ = static_cast<MessageType>(data[0]);
    if (type_ != MessageType::kPing && type_ != MessageType::kAck &&
        type_ != MessageType::kPushPull && type_ != MessageType::kUser &&
        type_ != MessageType::kCompress && type_ != MessageType::kErr) {
      return bad(Malformed::kType);
    }
    at_ = 1;
    stage_ = Stage::kHeader;
  }
  if (stage_ == Stage::kHeader) {
    const auto max = type_ == MessageType::kCompress ? kMaxStreamBytes : kMaxObjectBytes;
    if (const auto state = next_object(data, max); state != State::kDone) return state;
    const auto header = data.subspan(at_, object_.offset());
    at_ += header.size();
    object_ = {};
    if (const auto state = after_header(header); state != State::kDone) return state;
  }
  for (; stage_ == Stage::kNodes && nodes_ > 0; --nodes_) {
    if (const auto state = next_object(data, kMaxObjectBytes); state != State::kDone) return state;
    at_ += object_.offset();
    object_ = {};
  }
  stage_ = Stage::kRaw;
  return data.size() - at_ < raw_ ? State::kMore : State::kDone;
}

}  // namespace sluice::membership
