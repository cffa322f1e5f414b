// Messages to be gossiped, each a limited number of times. What was sent least goes first; among
// equals what waited longest, so that nobody's news starves behind newer news of others (the
// reference serves the newest first). Newest first holds within one key only: a new message takes
// the place of the older one of its key. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "controlplane/membership/codec.hpp"
#include "controlplane/membership/messages.hpp"

namespace sluice::membership {

// How often each message is sent: RetransmitMult x ceil(log10(members + 1)), the reference's
// formula. It grows with the logarithm of the cluster, as infection does (SWIM §3.2).
std::uint32_t retransmit_limit(std::uint32_t mult, std::size_t members) noexcept;

class BroadcastQueue {
 public:
  using Key = std::uint64_t;
  // Two bytes of length in a compound.
  static constexpr std::size_t kPartOverhead = 2;

  // max_items: the item sent most often gives way to a new one.
  explicit BroadcastQueue(std::size_t max_items) noexcept : max_items_(max_items) {}

  // first: before all others, for what we say about ourselves. routers_only: only for members that
  // understand our user messages.
  void put(Key key, Bytes message, bool first = false, bool routers_only = false);
  void erase(Key key);
  bool contains(Key key) const noexcept { return index_.contains(key); }

  // Adds what fits to the packet, using at most max_bytes of it, and counts it as sent.
  void fill(PacketAssembler& packet, std::size_t max_bytes, std::uint32_t limit, bool to_router);
  // What all of it that such a member may get would take in a packet.
  std::size_t pending_bytes(bool to_router) const noexcept {
    return to_router ? pending_bytes_ : pending_bytes_ - routers_bytes_;
  }
  std::size_t size() const noexcept { return index_.size(); }
  bool empty() const noexcept { return index_.empty(); }
  std::uint64_t dropped() const noexcept { return dropped_; }
  std::size_t memory_bytes() const noexcept {
    return nodes_.capacity() * sizeof(Node) + pending_bytes_ +
           index_.size() * (sizeof(Key) + sizeof(Item) + 2 * sizeof(void*));
  }

 private:
  using Item = std::uint32_t;
  static constexpr Item kNone = ~Item{0};
  // Numbers of transmissions kept apart; 4 x 8 for 10^8 members at the reference's multiplier.
  static constexpr std::size_t kTiers = 33;
  // Messages that do not fit are passed over this many times in one packet.
  static constexpr int kMisfits = 8;

  struct Node {
    Key key = 0;
    Bytes message;
    Item next = kNone;
    Item previous = kNone;
    std::uint32_t sent = 0;
    bool routers_only = false;
  };
  struct List {
    Item head = kNone;
    Item tail = kNone;
  };

  void append(Item item);
  void prepend(Item item);
  void unlink(Item item);
  void free(Item item);
  std::size_t tier(Item item) const noexcept;

  std::size_t max_items_;
  std::vector<Node> nodes_;
  std::vector<Item> free_;
  std::vector<Item> taken_;
  std::array<List, kTiers> tiers_;
  std::unordered_map<Key, Item> index_;
  std::size_t pending_bytes_ = 0;
  std::size_t routers_bytes_ = 0;  // of it, only for routers
  std::uint64_t dropped_ = 0;
};

}  // namespace sluice::membership
