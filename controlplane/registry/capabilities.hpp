// Names of capabilities and the agents that have them. Capabilities and sets of them are stored
// once, however many agents have the same. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controlplane/registry/slot_array.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/route/limits.hpp"

namespace sluice::controlplane {

struct Capability {
  Id id;  // of the name
  std::string name;
  std::uint32_t agents = 0;
  // Slots of agents. May also hold ones that have left, and one twice: ask has_capability of each.
  std::vector<std::uint32_t> members;
};

class Capabilities {
 public:
  static constexpr std::uint32_t kNoSet = kNoIndex;  // of an agent without any

  // One reference to the set of these names, in any order; the names must be checked already.
  std::uint32_t acquire_set(std::span<const std::string> names);
  void release_set(std::uint32_t set);
  std::span<const std::uint32_t> set(std::uint32_t set) const;
  bool contains(std::uint32_t set, std::uint32_t capability) const;

  // The agent in `slot` got or lost a capability. `is_member` tells for any slot whether an agent
  // is there now that has it.
  void add_member(std::uint32_t capability, std::uint32_t slot);
  void remove_member(std::uint32_t capability,
                     const std::function<bool(std::uint32_t slot)>& is_member);

  std::uint32_t find(const Id& id) const;  // kNoIndex: nobody has it
  const Capability& at(std::uint32_t capability) const { return capabilities_[capability]; }
  std::uint32_t end() const { return capabilities_.end(); }
  std::uint32_t count() const { return capabilities_.size(); }  // that someone has or had in a set
  std::size_t memory_bytes() const;

 private:
  struct Set {
    std::vector<std::uint32_t> capabilities;  // sorted
    std::uint32_t references = 0;
  };

  std::uint32_t intern(const std::string& name);
  void release(std::uint32_t capability);

  SlotArray<Capability> capabilities_;
  std::vector<std::uint32_t> references_;                   // by capability: sets that hold it
  std::unordered_map<std::string, std::uint32_t> by_name_;  // saves a SHA-256 per agent
  std::unordered_map<Id, std::uint32_t, IdHash> by_id_;
  SlotArray<Set> sets_;
  std::map<std::vector<std::uint32_t>, std::uint32_t> by_content_;
};

}  // namespace sluice::controlplane
