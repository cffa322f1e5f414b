// Finds agents that are given more than once, in whatever lists and files of one configuration.
// Any thread; no state; nothing throws.
#pragma once

#include <string>
#include <vector>

#include "config/agents_file.hpp"
#include "config/reader.hpp"

namespace sluice::config {

// A list of agents and where it stands: in a file of its own, or in the configuration.
struct AgentSource {
  const std::vector<StaticAgent>& agents;
  std::string file;                                   // empty: the configuration
  const std::vector<std::uint32_t>* lines = nullptr;  // of each agent in the file
  Steps list = {};                                    // in the configuration
};

void check_unique_agents(const std::vector<AgentSource>& sources, const Node& document,
                         Report& report);

}  // namespace sluice::config
