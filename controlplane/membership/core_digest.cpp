// Routers compare their lists before they exchange them: the sender's digest travels in a user
// message, which only routers get, and who finds another digest than its own begins a push/pull.
// Lists that agree, as nearly all do nearly always, so cost 60 bytes instead of hundreds of bytes a
// member. The digest is keyed anew each time: nobody can make up a list that passes for another.
#include <cstring>

#include "controlplane/membership/core.hpp"
#include "sluice/base/bytes.hpp"
#include "sluice/hash/siphash.hpp"

namespace sluice::membership {
namespace {

// Type, version of the digest, key, digest; then the sender's name.
constexpr std::uint8_t kDigestVersion = 1;
constexpr std::size_t kDigestHead = 2 + 2 * sizeof(std::uint64_t);

template <class T>
void append(Bytes& out, T value) {
  out.resize(out.size() + sizeof value);
  store(out.data() + out.size() - sizeof value, value);
}

}  // namespace

// Of who can be reached, and what all know of them alike. The dead leave different lists at
// different times.
std::uint64_t Core::digest(std::uint64_t key) const {
  std::uint64_t sum = 0;
  Bytes one;
  for (const Slot slot : members_.ring()) {
    const Member& member = members_[slot];
    if (!member.reachable()) continue;
    one.clear();
    const auto& ip = member.address.address.bytes;
    one.insert(one.end(), ip.begin(), ip.end());
    append(one, member.address.port);
    append(one, member.incarnation);
    const ByteView name = pool_.bytes(member.name);
    append(one, static_cast<std::uint16_t>(name.size()));
    one.insert(one.end(), name.begin(), name.end());
    const ByteView meta = members_.meta(slot);
    one.insert(one.end(), meta.begin(), meta.end());
    sum += siphash24({key, 0}, one);
  }
  return sum;
}

// Whether the list changed just now.
bool Core::unsettled(std::uint64_t now_ns) const noexcept {
  return now_ns - changed_ns_ < kSettleIntervals * config_.profile.probe_interval_ns;
}

// In a cluster that is never at rest every second time at least.
void Core::send_digest(std::uint64_t now_ns, Slot to) {
  if (unsettled(now_ns) && now_ns - digest_ns_ < 2 * config_.profile.push_pull_interval_ns) return;
  digest_ns_ = now_ns;
  const std::uint64_t key = random_.next();
  Bytes message{kDigestMessage, kDigestVersion};
  append(message, key);
  append(message, digest(key));
  const ByteView name = pool_.bytes(members_[self_].name);
  message.insert(message.end(), name.begin(), name.end());
  ++stats_.digests_sent;
  packet_.clear();
  packet_.add(encoded(User{message}));
  flush(members_[to].address, &members_[to]);
}

// Who sent it is only a claim, so lists are exchanged with the member of that name, where we know
// it, and no oftener than without digests.
void Core::on_digest(std::uint64_t now_ns, ByteView data) {
  if (leaving_ || data.size() < kDigestHead || data[1] != kDigestVersion) return;
  const Slot slot = members_.find(InternPool::text(data.subspan(kDigestHead)));
  if (slot == kNone || slot == self_ || members_[slot].state != MemberState::kAlive) return;
  if (now_ns < next_exchange_ns_ || !digests_.allow(now_ns)) return;
  const auto key = load<std::uint64_t>(data.data() + 2);
  if (digest(key) == load<std::uint64_t>(data.data() + 2 + sizeof key)) {
    differed_ns_ = 0;
    return;
  }
  ++stats_.digests_differed;
  if (differed_ns_ == 0) differed_ns_ = now_ns;
  if (unsettled(now_ns) && now_ns - differed_ns_ < exchange_interval_ns()) return;
  differed_ns_ = 0;
  next_exchange_ns_ = now_ns + exchange_interval_ns();
  open_push_pull(now_ns, members_[slot].address, members_.name(slot), false);
}

}  // namespace sluice::membership
