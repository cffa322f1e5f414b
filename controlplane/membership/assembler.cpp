#include <algorithm>
#include <utility>

#include "controlplane/membership/codec.hpp"

namespace sluice::membership {
namespace {

constexpr std::size_t kCompoundHead = 2;  // type and count
constexpr std::size_t kPartHead = 2;      // its length

}  // namespace

bool PacketAssembler::add(ByteView message) {
  if (message.empty() || message.size() > UINT16_MAX) return false;
  if (!lengths_.empty() && message.size() > room()) return false;
  lengths_.push_back(static_cast<std::uint16_t>(message.size()));
  body_.insert(body_.end(), message.begin(), message.end());
  return true;
}

std::size_t PacketAssembler::room() const noexcept {
  if (lengths_.empty()) return std::min<std::size_t>(budget_, UINT16_MAX);
  if (lengths_.size() >= kMaxCompoundParts) return 0;
  const auto used = kCompoundHead + kPartHead * (lengths_.size() + 1) + body_.size();
  return used >= budget_ ? 0 : std::min<std::size_t>(budget_ - used, UINT16_MAX);
}

Bytes PacketAssembler::take() {
  if (lengths_.size() <= 1) {
    lengths_.clear();
    return std::exchange(body_, {});
  }
  Bytes packet;
  packet.reserve(kCompoundHead + kPartHead * lengths_.size() + body_.size());
  packet.push_back(static_cast<std::uint8_t>(MessageType::kCompound));
  packet.push_back(static_cast<std::uint8_t>(lengths_.size()));
  for (const auto length : lengths_) {
    packet.push_back(static_cast<std::uint8_t>(length >> 8));
    packet.push_back(static_cast<std::uint8_t>(length));
  }
  packet.insert(packet.end(), body_.begin(), body_.end());
  clear();
  return packet;
}

void PacketAssembler::clear() noexcept {
  lengths_.clear();
  body_.clear();
}

}  // namespace sluice::membership
