#include "controlplane/membership/broadcast_queue.hpp"

#include <algorithm>
#include <utility>

namespace sluice::membership {

std::uint32_t retransmit_limit(std::uint32_t mult, std::size_t members) noexcept {
  // ceil(log10(members + 1)) without floating point: the number of decimal digits of members.
  std::uint32_t digits = 1;
  for (; members >= 10; members /= 10)
    ++digits;
  return mult * digits;
}

std::size_t BroadcastQueue::tier(Item item) const noexcept {
  return std::min<std::size_t>(nodes_[item].sent, kTiers - 1);
}

void BroadcastQueue::append(Item item) {
  List& list = tiers_[tier(item)];
  nodes_[item].previous = list.tail;
  nodes_[item].next = kNone;
  (list.tail == kNone ? list.head : nodes_[list.tail].next) = item;
  list.tail = item;
}

void BroadcastQueue::prepend(Item item) {
  List& list = tiers_[tier(item)];
  nodes_[item].previous = kNone;
  nodes_[item].next = list.head;
  (list.head == kNone ? list.tail : nodes_[list.head].previous) = item;
  list.head = item;
}

void BroadcastQueue::unlink(Item item) {
  Node& node = nodes_[item];
  List& list = tiers_[tier(item)];
  (node.previous == kNone ? list.head : nodes_[node.previous].next) = node.next;
  (node.next == kNone ? list.tail : nodes_[node.next].previous) = node.previous;
}

void BroadcastQueue::free(Item item) {
  const std::size_t bytes = nodes_[item].message.size() + kPartOverhead;
  pending_bytes_ -= bytes;
  if (nodes_[item].routers_only) routers_bytes_ -= bytes;
  index_.erase(nodes_[item].key);
  nodes_[item] = Node{};
  free_.push_back(item);
}

void BroadcastQueue::put(Key key, Bytes message, bool first, bool routers_only) {
  erase(key);
  if (index_.size() >= max_items_) {
    const auto list = std::ranges::find_if(tiers_.rbegin(), tiers_.rend(),
                                           [](const List& l) { return l.head != kNone; });
    if (list == tiers_.rend()) return;  // a queue for nothing
    const Item victim = list->head;
    unlink(victim);
    free(victim);
    ++dropped_;
  }
  Item item;
  if (free_.empty()) {
    item = static_cast<Item>(nodes_.size());
    nodes_.emplace_back();
  } else {
    item = free_.back();
    free_.pop_back();
  }
  pending_bytes_ += message.size() + kPartOverhead;
  if (routers_only) routers_bytes_ += message.size() + kPartOverhead;
  nodes_[item] = {.key = key, .message = std::move(message), .routers_only = routers_only};
  index_.emplace(key, item);
  first ? prepend(item) : append(item);
}

void BroadcastQueue::erase(Key key) {
  const auto it = index_.find(key);
  if (it == index_.end()) return;
  const Item item = it->second;
  unlink(item);
  free(item);
}

void BroadcastQueue::fill(PacketAssembler& packet, std::size_t max_bytes, std::uint32_t limit,
                          bool to_router) {
  // Taken items go to their next tier only at the end: no message twice in one packet.
  taken_.clear();
  int misfits = 0;
  for (List& list : tiers_) {
    for (Item item = list.head; item != kNone && misfits < kMisfits;) {
      const Item next = nodes_[item].next;
      const Node& node = nodes_[item];
      const std::size_t bytes = node.message.size() + kPartOverhead;
      if (node.routers_only && !to_router) {
        item = next;
        continue;
      }
      if (bytes <= max_bytes && node.message.size() <= packet.room() && packet.add(node.message)) {
        max_bytes -= bytes;
        unlink(item);
        taken_.push_back(item);
      } else {
        ++misfits;
      }
      item = next;
    }
  }
  for (const Item item : taken_) {
    if (++nodes_[item].sent >= limit)
      free(item);
    else
      append(item);
  }
}

}  // namespace sluice::membership
