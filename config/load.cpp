// Puts the parts together: document, values, defaults, checks, and the files that a configuration
// names.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "config/agents_file.hpp"
#include "config/reachable.hpp"
#include "config/reader.hpp"
#include "config/unique_agents.hpp"
#include "config/value.hpp"

namespace sluice::config {
namespace {

constexpr std::size_t kMaxKeyFileBytes = 4096;

class Loader {
 public:
  Loader(const Node& document, Report& report, Config& config, std::string folder)
      : document_(document), report_(report), config_(config), folder_(std::move(folder)) {}

  void read_files() {
    for (const Tenant& tenant : config_.tenants)
      tenants_.set(tenant.id);
    for (std::size_t i = 0; i < config_.tenants.size(); ++i)
      read_token_key(i);
    if (!config_.agents_file.empty()) {
      config_.file_agents =
          read_agents(config_.agents_file, {"agents-file"}, Endpoints::kColumn, 1);
    }
    for (std::size_t i = 0; i < config_.peers.size(); ++i) {
      Peer& peer = config_.peers[i];
      if (peer.agents_file.empty()) continue;
      peer.file_agents = read_agents(peer.agents_file, {"peers", i, "agents-file"},
                                     Endpoints::kNone, file_of_peer(i));
    }
  }

  // After read_files.
  void check_agents() {
    std::vector<AgentSource> sources(2 + 2 * config_.peers.size());
    add_list(config_.agents, {"agents"}, 0, sources);
    sources[1] = {.file = located(config_.agents_file), .text = config_.file_agents.text()};
    for (std::size_t i = 0; i < config_.peers.size(); ++i) {
      const Peer& peer = config_.peers[i];
      add_list(peer.agents, {"peers", i, "agents"}, file_of_peer(i) - 1, sources);
      sources[file_of_peer(i)] = {.file = located(peer.agents_file),
                                  .text = peer.file_agents.text()};
    }
    check_unique_agents(sources, places_, document_, report_);
    check_count();
  }

 private:
  std::string located(const std::string& path) const {
    return path.starts_with('/') || folder_.empty() ? path : folder_ + "/" + path;
  }

  void check_count() {
    const std::uint64_t agents = agents_in(config_);
    if (agents <= config_.store.agents) return;
    const Steps where{"store", "agents"};
    report_.add(mark_of(document_, where), text_of(where),
                fmt::format("is {}, but the configuration and its files have {} agents; must be at "
                            "least that, and room for those that register",
                            config_.store.agents, agents));
  }

  void read_token_key(std::size_t i) {
    Tenant& tenant = config_.tenants[i];
    if (tenant.token_key_file.empty()) return;
    const Steps where{"tenants", i, "token-key-file"};
    const auto path = located(tenant.token_key_file);
    const auto text = read_file(path, kMaxKeyFileBytes);
    warn_of_readers(document_, report_, where, path);
    if (!text)
      return report_.add(mark_of(document_, where), text_of(where), text.error().message());
    std::string_view hex = *text;
    while (!hex.empty() && (hex.back() == '\n' || hex.back() == '\r' || hex.back() == ' ')) {
      hex.remove_suffix(1);
    }
    auto key = decode_key(hex);
    if (!key) return report_.add_in(path, {1, 1}, fmt::format("must hold {}", kKeyAllowed));
    tenant.token_key = std::move(*key);
  }

  static std::uint32_t file_of_peer(std::size_t peer) {
    return static_cast<std::uint32_t>(3 + 2 * peer);
  }

  void add_list(const std::vector<StaticAgent>& agents, Steps list, std::uint32_t source,
                std::vector<AgentSource>& sources) {
    for (std::uint32_t i = 0; i < agents.size(); ++i) {
      if (agents[i].id.is_nil()) continue;  // already refused
      places_.push_back(place_of(agents[i].id, source, i));
    }
    sources[source] = {.list = std::move(list), .agents = &agents};
  }

  FileAgents read_agents(const std::string& name, const Steps& where, Endpoints endpoints,
                         std::uint32_t source) {
    const auto path = located(name);
    auto text = read_file(path, kMaxAgentsFileBytes);
    if (!text) {
      report_.add(mark_of(document_, where), text_of(where), text.error().message());
      return {};
    }
    const Id own = router_id(config_);
    std::uint64_t agents = 0;
    // Of fifty million agents the places are more than a gigabyte, twice that while they grow.
    places_.reserve(places_.size() +
                    static_cast<std::size_t>(std::count(text->begin(), text->end(), '\n')) + 1);
    visit_agents(*text, path, endpoints, tenants_, report_,
                 [&](const StaticAgent& agent, std::uint32_t line) {
                   if (agent.id == own) {
                     report_.add_in(path, {line, 1}, "this id is the router's own");
                   }
                   if (endpoints == Endpoints::kColumn) {
                     check_reachable(agent.endpoint, path, line);
                   }
                   places_.push_back(place_of(agent.id, source, line));
                   ++agents;
                   return true;
                 });
    return {std::move(*text), endpoints == Endpoints::kColumn, agents};
  }

  void check_reachable(const Endpoint& endpoint, const std::string& path, std::uint32_t line) {
    const auto why = why_unreachable(config_, endpoint.address);
    if (why.empty()) return;
    report_.add_in(path, {line, 1},
                   fmt::format("the endpoint {} is {}; must be another host's",
                               sluice::to_string(endpoint), why));
  }

  const Node& document_;
  Report& report_;
  Config& config_;
  const std::string folder_;
  TenantSet tenants_;
  std::vector<AgentPlace> places_;
};

std::string joined(const Checked& checked) {
  std::string text;
  const auto& all = checked.diagnostics;
  const std::size_t shown = std::min(all.size(), kMaxInError);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += '\n';
    text += to_string(all[i]);
  }
  const std::size_t more = all.size() - shown + checked.more;
  if (more > 0) text += fmt::format("\nand {} more; 'sluice config check FILE' shows all", more);
  return text;
}

Result<std::string> read_descriptor(int descriptor, std::size_t max_bytes) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) {
    return fail(ErrorCode::kInternal, std::strerror(errno), ErrorOrigin::kConfig);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kInvalidArgument, "is not a regular file", ErrorOrigin::kConfig);
  }
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("has {} bytes; at most {} are read", status.st_size, max_bytes),
                ErrorOrigin::kConfig);
  }
  std::string text;
  int error = 0;
  // Not filled with zeros first, which would take as long as the reading.
  text.resize_and_overwrite(static_cast<std::size_t>(status.st_size),
                            [&](char* at, std::size_t size) {
                              std::size_t have = 0;
                              while (have < size && error == 0) {
                                const auto got = ::read(descriptor, at + have, size - have);
                                if (got == 0) break;
                                if (got < 0 && errno != EINTR) error = errno;
                                if (got > 0) have += static_cast<std::size_t>(got);
                              }
                              return have;
                            });
  if (error != 0) return fail(ErrorCode::kUnavailable, std::strerror(error), ErrorOrigin::kConfig);
  return text;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  // Not blocking: a named pipe without a writer must not stop a start.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    const ErrorCode code = errno == ENOENT   ? ErrorCode::kNotFound
                           : errno == EACCES ? ErrorCode::kPermissionDenied
                                             : ErrorCode::kUnavailable;
    return fail(code, fmt::format("cannot open {}: {}", path, std::strerror(errno)),
                ErrorOrigin::kConfig);
  }
  auto text = read_descriptor(descriptor, max_bytes);
  ::close(descriptor);
  if (!text) return fail(std::move(text.error()), "cannot read " + path);
  return text;
}

namespace {

// Keys that stand in the configuration itself are as secret as it is.
void warn_of_keys_within(const Node& document, Report& report, const Config& config) {
  for (std::size_t i = 0; i < config.tenants.size(); ++i) {
    if (!is_given(document, {"tenants", i, "token-key"})) continue;
    warn_of_readers(document, report, {"tenants", i, "token-key"}, report.file());
    return;  // of one file, once
  }
}

}  // namespace

Checked check_text(std::string_view text, const std::string& filename, Files files) {
  Checked checked;
  Report report(filename);
  if (const auto document = parse_yaml(text, report)) {
    read_config(*document, report, checked.config);
    resolve_defaults(*document, report, checked.config);
    check_together(*document, report, checked.config);
    Loader loader(*document, report, checked.config,
                  std::filesystem::path(filename).parent_path().string());
    if (files != Files::kSkip) {
      check_machine(*document, report, checked.config, files);
      warn_of_keys_within(*document, report, checked.config);
      loader.read_files();
    }
    loader.check_agents();
  }
  report.finish(checked);
  return checked;
}

Checked check(const std::string& path, Files files) {
  const auto text = read_file(path, kMaxFileBytes);
  if (text) return check_text(*text, path, files);
  Checked checked;
  // The message names the path, as of every other file that cannot be read.
  checked.diagnostics.push_back({path, 0, 0, {}, text.error().message()});
  return checked;
}

Result<Config> as_result(Checked checked) {
  if (checked.ok()) return std::move(checked.config);
  return fail(ErrorCode::kInvalidArgument, joined(checked), ErrorOrigin::kConfig);
}

Result<Config> load(const std::string& path, Files files) {
  return as_result(check(path, files));
}

Result<Config> parse(std::string_view text, const std::string& filename, Files files) {
  return as_result(check_text(text, filename, files));
}

}  // namespace sluice::config
