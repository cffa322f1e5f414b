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
#include <tuple>

#include "config/agents_file.hpp"
#include "config/reader.hpp"
#include "config/value.hpp"

namespace sluice::config {
namespace {

constexpr std::size_t kMaxKeyFileBytes = 4096;

// What is needed to say where an agent of a configuration came from.
struct AgentRef {
  const StaticAgent* agent;
  std::string_view file;  // empty: the configuration itself
  Mark mark;
  std::size_t order;            // in which all were collected
  const Steps* list = nullptr;  // of the configuration itself: the list and the place in it
  std::size_t index = 0;
};

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
      own_ = read_agents(config_.agents_file, {"agents-file"}, Endpoints::kColumn);
    }
    peers_.resize(config_.peers.size());
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (config_.peers[i].agents_file.empty()) continue;
      peers_[i] =
          read_agents(config_.peers[i].agents_file, {"peers", i, "agents-file"}, Endpoints::kNone);
    }
  }

  void check_unique_agents() {
    lists_ = {Steps{"agents"}};
    for (std::size_t i = 0; i < config_.peers.size(); ++i)
      lists_.push_back({"peers", i, "agents"});
    collect(config_.agents, lists_[0]);
    collect(own_, config_.agents_file);
    for (std::size_t i = 0; i < config_.peers.size(); ++i) {
      collect(config_.peers[i].agents, lists_[i + 1]);
      if (i < peers_.size()) collect(peers_[i], config_.peers[i].agents_file);
    }
    // Sorting is slower than hashing for honest ids, but no choice of ids makes it slow.
    std::sort(all_.begin(), all_.end(), [](const AgentRef& a, const AgentRef& b) {
      return std::tie(a.agent->id, a.order) < std::tie(b.agent->id, b.order);
    });
    for (std::size_t i = 1; i < all_.size(); ++i) {
      if (all_[i].agent->id == all_[i - 1].agent->id) report_twice(all_[i], all_[i - 1]);
    }
  }

  void keep_file_agents() {
    config_.file_agents = std::move(own_.agents);
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      config_.peers[i].file_agents = std::move(peers_[i].agents);
    }
  }

 private:
  std::string located(const std::string& path) const {
    return path.starts_with('/') || folder_.empty() ? path : folder_ + "/" + path;
  }

  void read_token_key(std::size_t i) {
    Tenant& tenant = config_.tenants[i];
    if (tenant.token_key_file.empty()) return;
    const Steps where{"tenants", i, "token-key-file"};
    const auto path = located(tenant.token_key_file);
    const auto text = read_file(path, kMaxKeyFileBytes);
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

  AgentsFile read_agents(const std::string& name, const Steps& where, Endpoints endpoints) {
    const auto path = located(name);
    const auto text = read_file(path, kMaxAgentsFileBytes);
    if (!text) {
      report_.add(mark_of(document_, where), text_of(where), text.error().message());
      return {};
    }
    return parse_agents(*text, path, endpoints, tenants_, report_);
  }

  void collect(const std::vector<StaticAgent>& agents, const Steps& where) {
    Steps item = where;
    for (std::size_t i = 0; i < agents.size(); ++i) {
      if (agents[i].id.is_nil()) continue;  // already refused
      item.emplace_back(i);
      const Mark mark = mark_of(document_, item);
      item.pop_back();
      all_.push_back({&agents[i], {}, mark, all_.size(), &where, i});
    }
  }

  void collect(const AgentsFile& file, std::string_view name) {
    all_.reserve(all_.size() + file.agents.size());
    for (std::size_t i = 0; i < file.agents.size(); ++i) {
      all_.push_back({&file.agents[i], name, {file.lines[i], 1}, all_.size()});
    }
  }

  void report_twice(const AgentRef& later, const AgentRef& first) {
    const StaticAgent& agent = *later.agent;
    const std::string name = agent.name.empty() ? sluice::to_string(agent.id) : agent.name;
    const std::string file = first.file.empty() ? report_.file() : located(std::string(first.file));
    auto message = fmt::format("agent {} is there already, in {}:{}", name, file, first.mark.line);
    if (later.list == nullptr) {
      return report_.add_in(located(std::string(later.file)), later.mark, std::move(message));
    }
    Steps where = *later.list;
    where.emplace_back(later.index);
    report_.add(later.mark, text_of(where), std::move(message));
  }

  const Node& document_;
  Report& report_;
  Config& config_;
  const std::string folder_;
  TenantSet tenants_;
  AgentsFile own_;
  std::vector<AgentsFile> peers_;
  std::vector<Steps> lists_;  // stays as it is while all_ points into it
  std::vector<AgentRef> all_;
};

std::string joined(const Checked& checked) {
  std::string text;
  for (const auto& diagnostic : checked.diagnostics) {
    if (!text.empty()) text += '\n';
    text += to_string(diagnostic);
  }
  if (checked.more > 0) text += fmt::format("\nand {} more", checked.more);
  return text;
}

Result<Config> as_result(Checked checked) {
  if (checked.ok()) return std::move(checked.config);
  return fail(ErrorCode::kInvalidArgument, joined(checked), ErrorOrigin::kConfig);
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
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const auto got = ::read(descriptor, text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::kUnavailable, std::strerror(errno), ErrorOrigin::kConfig);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
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

Checked check_text(std::string_view text, const std::string& filename, Files files) {
  Checked checked;
  Report report(filename);
  if (const auto document = parse_yaml(text, report)) {
    read_config(*document, report, checked.config);
    resolve_defaults(*document, report, checked.config);
    check_together(*document, report, checked.config);
    Loader loader(*document, report, checked.config,
                  std::filesystem::path(filename).parent_path().string());
    if (files == Files::kRead) loader.read_files();
    loader.check_unique_agents();
    loader.keep_file_agents();
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

Result<Config> load(const std::string& path, Files files) {
  return as_result(check(path, files));
}

Result<Config> parse(std::string_view text, const std::string& filename, Files files) {
  return as_result(check_text(text, filename, files));
}

}  // namespace sluice::config
