#include "controlplane/registry/capabilities.hpp"

#include <algorithm>

#include "sluice/base/names.hpp"

namespace sluice::controlplane {

std::uint32_t Capabilities::acquire_set(std::span<const std::string> names) {
  if (names.empty()) return kNoSet;
  std::vector<std::uint32_t> content;
  content.reserve(names.size());
  for (const auto& name : names)
    content.push_back(intern(name));
  std::sort(content.begin(), content.end());
  content.erase(std::unique(content.begin(), content.end()), content.end());

  const auto found = by_content_.find(content);
  if (found != by_content_.end()) {
    ++sets_[found->second].references;
    return found->second;
  }
  const std::uint32_t slot = sets_.allocate();
  for (const auto capability : content)
    ++references_[capability];
  by_content_.emplace(content, slot);
  sets_[slot] = Set{std::move(content), 1};
  return slot;
}

void Capabilities::release_set(std::uint32_t set) {
  if (set == kNoSet || --sets_[set].references > 0) return;
  const auto content = std::move(sets_[set].capabilities);
  by_content_.erase(content);
  sets_.release(set);
  for (const auto capability : content)
    release(capability);
}

std::span<const std::uint32_t> Capabilities::set(std::uint32_t set) const {
  if (set == kNoSet) return {};
  return sets_[set].capabilities;
}

bool Capabilities::contains(std::uint32_t which, std::uint32_t capability) const {
  const auto content = set(which);
  return std::binary_search(content.begin(), content.end(), capability);
}

void Capabilities::add_member(std::uint32_t capability, std::uint32_t slot) {
  Capability& entry = capabilities_[capability];
  entry.members.push_back(slot);
  ++entry.agents;
}

void Capabilities::remove_member(std::uint32_t capability,
                                 const std::function<bool(std::uint32_t slot)>& is_member) {
  Capability& entry = capabilities_[capability];
  --entry.agents;
  // Tidied only when half of it has left, so that many leaving at once cost a constant time each.
  if (entry.members.size() < 16 || entry.members.size() / 2 < entry.agents) return;
  auto& members = entry.members;
  std::erase_if(members, [&](std::uint32_t slot) { return !is_member(slot); });
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
}

std::uint32_t Capabilities::find(const Id& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? kNoIndex : found->second;
}

std::uint32_t Capabilities::intern(const std::string& name) {
  const auto [at, fresh] = by_name_.try_emplace(name, 0);
  if (!fresh) return at->second;
  const std::uint32_t slot = capabilities_.allocate();
  capabilities_[slot].id = id_of_name(name);
  by_id_.emplace(capabilities_[slot].id, slot);
  capabilities_[slot].name = name;
  if (references_.size() <= slot) references_.resize(slot + 1);
  references_[slot] = 0;
  at->second = slot;
  return slot;
}

void Capabilities::release(std::uint32_t capability) {
  if (--references_[capability] > 0) return;
  by_id_.erase(capabilities_[capability].id);
  by_name_.erase(capabilities_[capability].name);
  capabilities_.release(capability);
}

std::size_t Capabilities::memory_bytes() const {
  std::size_t bytes = capabilities_.memory_bytes() + sets_.memory_bytes();
  for (std::uint32_t i = 0; i < capabilities_.end(); ++i)
    bytes += capabilities_[i].members.capacity() * sizeof(std::uint32_t);
  return bytes;
}

}  // namespace sluice::controlplane
