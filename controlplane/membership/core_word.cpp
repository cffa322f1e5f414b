// What incarnation a member has, by its own word. Anybody can claim any number for anybody, and one
// that is high enough leaves its victim nothing to refute with. So numbers beyond an honest life's
// are asked of the member itself: a push/pull with the address where we know it, which no forged
// packet can answer. Stock members take part without knowing it.
#include <algorithm>
#include <array>

#include "controlplane/membership/core.hpp"

namespace sluice::membership {

// Whether an alive message may be taken on hearsay; if not, its member is asked.
bool Core::believed(std::uint64_t now_ns, Slot slot, const Alive& alive) {
  if (alive.incarnation <= kHonestIncarnation) return true;
  const LostPeer* lost = slot == kNone ? book_.find(alive.node) : nullptr;
  const std::uint32_t told = slot != kNone     ? members_[slot].own_word
                             : lost != nullptr ? lost->own_word
                                               : 0;
  if (alive.incarnation <= highest_believed(told)) return true;
  stats_.refuse(Refused::kIncarnation);
  const bool known = slot != kNone || lost != nullptr;
  const Endpoint& address = slot != kNone     ? members_[slot].address
                            : lost != nullptr ? lost->address
                                              : alive.address;
  ask_whom(now_ns, alive.node, address, known);
  return false;
}

// Those we know are not kept waiting by those that somebody makes up.
void Core::ask_whom(std::uint64_t now_ns, std::string_view name, const Endpoint& address,
                    bool known) {
  if (leaving_ || streams_.size() >= config_.limits.streams) return;
  if (!(known ? asks_known_ : asks_unknown_).allow(now_ns)) return;
  ++stats_.own_words_asked;
  // Only what we are ourselves: it is the answer that counts.
  const std::array self{listed(self_)};
  open_stream(now_ns, {.kind = StreamKind::kPushPull, .to = address, .whom = std::string(name)},
              encoded(PushPull{.join = false, .nodes = self, .user_state = {}}));
}

// What stands in a member's own list about itself. It may also be less than what we hold, when that
// is more than the member would follow: its numbers have run over, or it has begun anew.
void Core::on_own_word(std::uint64_t now_ns, const Stream& stream,
                       std::span<const PushPullNode> nodes) {
  if (stream.whom.empty()) return;
  const auto own = std::ranges::find_if(nodes, [&](const PushPullNode& node) {
    return node.name == stream.whom && node.address == stream.to;
  });
  if (own == nodes.end() || own->state != WireState::kAlive || own->name == config_.name) return;
  const auto most = highest_believed(own->incarnation);
  Word word = Word::kOwn;
  if (const Slot slot = members_.find(own->name); slot != kNone) {
    Member& member = members_.edit(slot);
    if (member.address != own->address) return;
    if (member.incarnation > most) word = Word::kAnew;
    member.own_word = own->incarnation;
  } else if (LostPeer* lost = book_.find(own->name)) {
    if (lost->incarnation > most) word = Word::kAnew;
    lost->own_word = own->incarnation;
  }
  on_alive(now_ns,
           {.incarnation = own->incarnation,
            .node = own->name,
            .address = own->address,
            .meta = own->meta,
            .vsn = own->vsn},
           true, word);
  if (const Slot slot = members_.find(own->name); slot != kNone)
    members_.edit(slot).own_word = own->incarnation;
}

// Of a claim about ourselves: whether it is to be refuted.
bool Core::would_follow(std::uint32_t incarnation) {
  if (incarnation <= highest_believed(members_[self_].incarnation)) return true;
  if (incarnation > kMaxIncarnation || followed_far_) {
    stats_.refuse(Refused::kIncarnation);
    return false;
  }
  followed_far_ = true;
  return true;
}

}  // namespace sluice::membership
