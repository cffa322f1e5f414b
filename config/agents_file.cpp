#include "config/agents_file.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "config/value.hpp"
#include "sluice/base/names.hpp"

namespace sluice::config {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxMistakes = 1000;  // after which the rest of the file is not worth reading

// The common form a.b.c.d:port without the detours of parse_endpoint, which takes all others.
std::optional<Endpoint> plain_endpoint(std::string_view text) noexcept {
  std::uint32_t parts[5] = {};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int i = 0; i < 5; ++i) {
    const bool leading_zero = end - at > 1 && at[0] == '0' && at[1] >= '0' && at[1] <= '9';
    const auto [next, error] = std::from_chars(at, end, parts[i]);
    if (error != std::errc() || leading_zero || parts[i] > (i < 4 ? 255U : 65535U)) {
      return std::nullopt;
    }
    const char separator = i < 3 ? '.' : ':';
    if (i < 4 && (next == end || *next != separator)) return std::nullopt;
    at = i < 4 ? next + 1 : next;
  }
  if (at != end || parts[4] == 0) return std::nullopt;
  const std::uint32_t address = parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3];
  return Endpoint{IpAddress::v4(Big32(address)), static_cast<std::uint16_t>(parts[4])};
}

// Of memory that nobody reads any more, the whole pages: they are zeros then.
void give_back(std::string_view text) noexcept {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(text.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(text.data() + text.size()) / page * page;
  if (first >= end) return;
  // Only a wish: without it the memory is given back later.
  [[maybe_unused]] const int done =
      ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

class LineParser {
 public:
  LineParser(const std::string& filename, Endpoints endpoints, const TenantSet& tenants,
             Report& report)
      : filename_(filename),
        with_endpoint_(endpoints == Endpoints::kColumn),
        tenants_(tenants),
        report_(report) {}

  std::size_t mistakes() const noexcept { return mistakes_; }

  // Whether the line has an agent, which is then in `agent`.
  bool parse(std::string_view line, std::uint32_t number, StaticAgent& agent) {
    line_ = line;
    number_ = number;
    at_ = 0;
    const auto who = next();
    if (who.empty()) return false;
    agent.name.clear();
    agent.endpoint = {};
    agent.capabilities.clear();
    if (!name(who, agent) || !tenant(agent) || !endpoint(agent) || !capabilities(agent)) {
      return false;
    }
    const auto rest = next();
    return rest.empty() || wrong(rest, "is one column too many; expected " + form());
  }

 private:
  static bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r'; }

  // The next column; empty at the end of the line or at a comment.
  std::string_view next() noexcept {
    while (at_ < line_.size() && is_blank(line_[at_]))
      ++at_;
    if (at_ < line_.size() && line_[at_] == '#') at_ = line_.size();
    const std::size_t begin = at_;
    while (at_ < line_.size() && !is_blank(line_[at_]))
      ++at_;
    return line_.substr(begin, at_ - begin);
  }

  std::string form() const {
    return with_endpoint_ ? "<name or uuid> <tenant> <endpoint> [capability,...]"
                          : "<name or uuid> <tenant> [capability,...]";
  }

  bool wrong(std::string_view column, const std::string& message) {
    ++mistakes_;
    const auto place = static_cast<std::uint32_t>(column.data() - line_.data() + 1);
    const std::string what = column.empty() ? message : quoted(column) + " " + message;
    report_.add_in(filename_, {number_, place}, what);
    return false;
  }

  bool name(std::string_view text, StaticAgent& agent) {
    if (const auto id = parse_id(text)) {
      agent.id = *id;
      return !id->is_nil() || wrong(text, "cannot be the id of an agent");
    }
    if (!kAgentName.ok(text)) {
      return wrong(text, fmt::format("is neither a UUID nor {}", kAgentName.allowed));
    }
    agent.name = text;
    agent.id = id_maker_(text);
    return true;
  }

  bool tenant(StaticAgent& agent) {
    const auto text = next();
    if (text.empty()) return wrong(text, "the tenant is missing; expected " + form());
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > 65535) {
      return wrong(text, "is no tenant; must be a whole number from 1 to 65535");
    }
    if (!tenants_.test(value)) return wrong(text, "is the number of no tenant; see tenants");
    agent.tenant = static_cast<std::uint16_t>(value);
    return true;
  }

  bool endpoint(StaticAgent& agent) {
    if (!with_endpoint_) return true;
    const auto text = next();
    if (text.empty()) return wrong(text, "the endpoint is missing; expected " + form());
    auto endpoint = plain_endpoint(text);
    // NUL would end the text early inside parse_endpoint.
    if (!endpoint && text.find('\0') == text.npos) endpoint = parse_endpoint(text);
    constexpr std::string_view kForm =
        "must be an address of one host and a port: 10.0.0.1:7600 or [fd00::1]:7600";
    if (!endpoint) return wrong(text, fmt::format("is no endpoint; {}", kForm));
    if (const auto why = why_no_host(endpoint->address); !why.empty()) {
      return wrong(text, fmt::format("is no endpoint but {}; {}", why, kForm));
    }
    agent.endpoint = *endpoint;
    return true;
  }

  bool capabilities(StaticAgent& agent) {
    auto list = next();
    if (list.empty()) return true;
    const auto commas = static_cast<std::size_t>(std::count(list.begin(), list.end(), ','));
    if (commas >= kMaxCapabilitiesOfAgent) {
      return wrong(list, fmt::format("has more than {} capabilities", kMaxCapabilitiesOfAgent));
    }
    agent.capabilities.reserve(commas + 1);
    while (true) {
      const auto comma = list.find(',');
      const auto one = list.substr(0, comma);
      if (!kCapabilityName.ok(one)) {
        return wrong(one, fmt::format("{}must be {}", one.empty() ? "an empty capability; " : "",
                                      kCapabilityName.allowed));
      }
      agent.capabilities.emplace_back(one);
      if (comma == list.npos) return true;
      list.remove_prefix(comma + 1);
    }
  }

  const std::string& filename_;
  const bool with_endpoint_;
  const TenantSet& tenants_;
  Report& report_;
  IdMaker id_maker_;
  std::string_view line_;
  std::uint32_t number_ = 0;
  std::size_t at_ = 0;
  std::size_t mistakes_ = 0;
};

}  // namespace

void visit_agents(std::string_view text, const std::string& filename, Endpoints endpoints,
                  const TenantSet& tenants, Report& report,
                  const std::function<bool(const StaticAgent&, std::uint32_t line)>& take) {
  LineParser parser(filename, endpoints, tenants, report);
  StaticAgent agent;  // one for all: its texts keep their memory
  std::uint32_t number = 0;
  while (!text.empty() && parser.mistakes() < kMaxMistakes) {
    const auto end = text.find('\n');
    if (parser.parse(text.substr(0, end), ++number, agent) && !take(agent, number)) return;
    if (end == text.npos) return;
    text.remove_prefix(end + 1);
  }
  if (text.empty()) return;
  report.add_in(filename, {number + 1, 1},
                fmt::format("not read from here on, after {} mistakes", kMaxMistakes));
}

AgentsFile parse_agents(std::string_view text, const std::string& filename, Endpoints endpoints,
                        const TenantSet& tenants, Report& report) {
  AgentsFile out;
  visit_agents(text, filename, endpoints, tenants, report, [&](const auto& agent, auto line) {
    out.agents.push_back(agent);
    out.lines.push_back(line);
    return true;
  });
  return out;
}

FileAgents::FileAgents(std::string text, bool with_endpoints, std::uint64_t agents)
    : text_(std::make_shared<const std::string>(std::move(text))),
      with_endpoints_(with_endpoints),
      agents_(agents),
      digest_(id_of_name(*text_)) {}

bool FileAgents::visit(std::string_view text,
                       const std::function<bool(const StaticAgent&)>& take) const {
  Report report({});  // it was checked when it was read
  const auto endpoints = with_endpoints_ ? Endpoints::kColumn : Endpoints::kNone;
  bool more = true;
  visit_agents(text, {}, endpoints, TenantSet().set(), report,
               [&](const StaticAgent& agent, std::uint32_t) { return more = take(agent); });
  return more;
}

void FileAgents::for_each(const std::function<bool(const StaticAgent&)>& take) const {
  if (text_) visit(*text_, take);
}

// Text and agents together would be the most memory that the process ever has.
void FileAgents::consume(const std::function<bool(const StaticAgent&)>& take) {
  const auto text = std::exchange(text_, nullptr);
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  bool more = true;
  while (more && !left.empty()) {
    const auto line_end = left.find('\n', std::min(kPieceBytes, left.size()));
    const auto piece = left.substr(0, line_end == left.npos ? left.npos : line_end + 1);
    more = visit(piece, take);
    give_back(piece);
    left.remove_prefix(piece.size());
  }
}

}  // namespace sluice::config
