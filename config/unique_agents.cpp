#include "config/unique_agents.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sluice/base/bytes.hpp"

namespace sluice::config {
namespace {

bool same_id(const AgentPlace& a, const AgentPlace& b) noexcept {
  return a.high == b.high && a.low == b.low;
}

Mark mark_of_agent(const AgentSource& source, std::uint32_t index, const Node& document) {
  if (source.agents == nullptr) return {index, 1};
  Steps where = source.list;
  where.emplace_back(std::size_t{index});
  return mark_of(document, where);
}

// As the file calls it: the first column of a line.
std::string_view name_in_line(std::string_view text, std::uint32_t line) {
  for (; line > 1; --line)
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  constexpr std::string_view kBlank = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_first_of(" \t\r\n#"));
}

std::string name_of(const AgentSource& source, std::uint32_t index) {
  if (source.agents == nullptr) return std::string(name_in_line(source.text, index));
  const StaticAgent& agent = (*source.agents)[index];
  return agent.name.empty() ? sluice::to_string(agent.id) : agent.name;
}

void report_twice(const std::vector<AgentSource>& sources, const AgentPlace& later,
                  const AgentPlace& first, const Node& document, Report& report) {
  const AgentSource& source = sources[later.source];
  const AgentSource& earlier = sources[first.source];
  auto message = fmt::format("agent {} is there already, in {}:{}", name_of(source, later.index),
                             earlier.file.empty() ? report.file() : earlier.file,
                             mark_of_agent(earlier, first.index, document).line);
  const Mark mark = mark_of_agent(source, later.index, document);
  if (!source.file.empty()) return report.add_in(source.file, mark, std::move(message));
  Steps where = source.list;
  where.emplace_back(std::size_t{later.index});
  report.add(mark, text_of(where), std::move(message));
}

}  // namespace

AgentPlace place_of(const Id& id, std::uint32_t source, std::uint32_t index) {
  return {sluice::load<std::uint64_t>(id.bytes.data()),
          sluice::load<std::uint64_t>(id.bytes.data() + 8), source, index};
}

void check_unique_agents(const std::vector<AgentSource>& sources, std::vector<AgentPlace>& places,
                         const Node& document, Report& report) {
  // Sorting is slower than hashing for honest ids, but no choice of ids makes it slow.
  std::sort(places.begin(), places.end());
  for (std::size_t i = 1; i < places.size(); ++i) {
    if (same_id(places[i], places[i - 1])) {
      report_twice(sources, places[i], places[i - 1], document, report);
    }
  }
}

}  // namespace sluice::config
