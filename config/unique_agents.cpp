#include "config/unique_agents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <compare>

#include "sluice/base/bytes.hpp"

namespace sluice::config {
namespace {

// One agent while sorting: 24 bytes, so that a million of them sort without touching the agents.
struct Ref {
  std::uint64_t high;
  std::uint64_t low;
  std::uint32_t source;
  std::uint32_t index;

  friend auto operator<=>(const Ref&, const Ref&) = default;
  bool same_id(const Ref& other) const noexcept { return high == other.high && low == other.low; }
};

Mark mark_of_agent(const AgentSource& source, std::uint32_t index, const Node& document) {
  if (source.lines != nullptr) return {(*source.lines)[index], 1};
  Steps where = source.list;
  where.emplace_back(std::size_t{index});
  return mark_of(document, where);
}

void report_twice(const std::vector<AgentSource>& sources, const Ref& later, const Ref& first,
                  const Node& document, Report& report) {
  const AgentSource& source = sources[later.source];
  const AgentSource& earlier = sources[first.source];
  const StaticAgent& agent = source.agents[later.index];
  const std::string name = agent.name.empty() ? sluice::to_string(agent.id) : agent.name;
  auto message = fmt::format("agent {} is there already, in {}:{}", name,
                             earlier.file.empty() ? report.file() : earlier.file,
                             mark_of_agent(earlier, first.index, document).line);
  const Mark mark = mark_of_agent(source, later.index, document);
  if (!source.file.empty()) return report.add_in(source.file, mark, std::move(message));
  Steps where = source.list;
  where.emplace_back(std::size_t{later.index});
  report.add(mark, text_of(where), std::move(message));
}

}  // namespace

void check_unique_agents(const std::vector<AgentSource>& sources, const Node& document,
                         Report& report) {
  std::size_t count = 0;
  for (const AgentSource& source : sources)
    count += source.agents.size();
  std::vector<Ref> refs;
  refs.reserve(count);
  for (std::uint32_t s = 0; s < sources.size(); ++s) {
    const auto& agents = sources[s].agents;
    for (std::uint32_t i = 0; i < agents.size(); ++i) {
      const auto* bytes = agents[i].id.bytes.data();
      if (agents[i].id.is_nil()) continue;  // already refused
      refs.push_back(
          {sluice::load<std::uint64_t>(bytes), sluice::load<std::uint64_t>(bytes + 8), s, i});
    }
  }
  // Sorting is slower than hashing for honest ids, but no choice of ids makes it slow.
  std::sort(refs.begin(), refs.end());
  for (std::size_t i = 1; i < refs.size(); ++i) {
    if (refs[i].same_id(refs[i - 1])) {
      report_twice(sources, refs[i], refs[i - 1], document, report);
    }
  }
}

}  // namespace sluice::config
