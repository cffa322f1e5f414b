// Finds agents that are given more than once, in whatever lists and files of one configuration.
// Any thread; no state; nothing throws.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "config/agents_file.hpp"
#include "config/reader.hpp"

namespace sluice::config {

// Where one agent is given: 24 bytes, so that fifty million of them can be sorted.
struct AgentPlace {
  std::uint64_t high;  // halves of the id
  std::uint64_t low;
  std::uint32_t source;
  std::uint32_t index;  // in the list; of a file: the line

  friend auto operator<=>(const AgentPlace&, const AgentPlace&) = default;
};
AgentPlace place_of(const Id& id, std::uint32_t source, std::uint32_t index);

// A list in the configuration, or a file of its own.
struct AgentSource {
  std::string file = {};                             // empty: the configuration
  std::string_view text = {};                        // of the file
  Steps list = {};                                   // in the configuration
  const std::vector<StaticAgent>* agents = nullptr;  // of the list
};

// `places` of all agents of all sources, in any order; sorted afterwards.
void check_unique_agents(const std::vector<AgentSource>& sources, std::vector<AgentPlace>& places,
                         const Node& document, Report& report);

}  // namespace sluice::config
