#include "controlplane/cli/traffic.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "controlplane/cli/values.hpp"

namespace sluice::cli {
namespace {

using namespace std::chrono_literals;

struct Quantile {
  const char* text;
  const char* key;
  double percent;
};
constexpr Quantile kQuantiles[] = {{"p50", "p50_ns", 50},
                                   {"p90", "p90_ns", 90},
                                   {"p99", "p99_ns", 99},
                                   {"p99.9", "p999_ns", 99.9}};

Result<std::optional<agent::Token>> token_of(const Context& c) {
  if (c.args.has("token") && c.args.has("token-file")) {
    return wrong_usage("--token and --token-file: only one of the two");
  }
  std::string text = c.args.text("token");
  if (c.args.has("token-file")) {
    const std::string path = c.args.text("token-file");
    std::ifstream file(path);
    if (!file) {
      return fail(ErrorCode::kNotFound, path + " cannot be read: " + std::strerror(errno));
    }
    if (!(file >> text)) return fail(ErrorCode::kNotFound, path + " is empty");
    if (!parse_token(text)) {
      return fail(ErrorCode::kCorrupt, path + " holds no token of 64 hexadecimal digits");
    }
  }
  if (text.empty()) return std::nullopt;
  auto token = parse_token(text);
  if (!token) return std::unexpected(token.error());
  return *token;
}

Result<agent::Options> options_of(const Context& c) {
  agent::Options options;
  options.name = c.args.text("name");
  if (c.args.has("id")) options.id = parse_id(c.args.text("id"));
  if (options.name.empty() && !options.id) {
    return wrong_usage(
        "which agent is this? Give --name ORGANISATION/NAMESPACE/SERVICE/INSTANCE or "
        "--id ID");
  }
  auto token = token_of(c);
  if (!token) return std::unexpected(token.error());
  options.token = *token;
  options.tenant = static_cast<std::uint16_t>(c.args.number("tenant"));
  options.router = *parse_endpoint(c.args.text("router"), kDefaultMessagePort);
  if (c.args.has("local")) {
    // Port 0 is "any", which parse_endpoint does not know.
    const std::string text = c.args.text("local");
    options.local = parse_endpoint(text);
    const auto address = parse_ip(text);
    if (!options.local && address) options.local = Endpoint{*address, 0};
    if (!options.local) return wrong_usage("--local: '" + text + "' is no address");
  }
  // To the senders --capability is what the destination is.
  const bool listens = c.args.command->noun == "listen";
  options.capabilities = c.args.all(listens ? "capability" : "offer");
  options.max_message_bytes = 65535;
  return options;
}

}  // namespace

StopSignal::StopSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  fd_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

StopSignal::~StopSignal() {
  restore();
}

void StopSignal::restore() noexcept {
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool StopSignal::requested() noexcept {
  signalfd_siginfo info{};
  if (!requested_ && fd_ >= 0 && ::read(fd_, &info, sizeof info) == sizeof info) {
    requested_ = true;
    restore();
  }
  return requested_;
}

Result<Participant> Participant::create(const Context& c) {
  if (c.args.has("register") && c.args.has("no-register")) {
    return wrong_usage("--register and --no-register: only one of the two");
  }
  auto options = options_of(c);
  if (!options) return std::unexpected(options.error());
  auto agent = agent::Agent::create(std::move(*options));
  if (!agent) return std::unexpected(agent.error());
  Participant p(std::move(*agent));
  if (c.args.has("no-register")) return p;
  if (auto granted = p.agent().register_with_router(5s); !granted) {
    return std::unexpected(granted.error());
  }
  p.registered_ = true;
  return p;
}

Participant::~Participant() {
  // Best effort: without an answer the lease ends by itself.
  if (agent_ && registered_) (void)agent_->unregister(500ms);
}

Result<Destination> destination_of(const Context& c) {
  const std::string text = c.args.text("DESTINATION");
  Destination to;
  const bool capability = c.args.has("capability") || c.args.has("all-members");
  if (capability) to.flags |= message_flag::kCapability;
  if (c.args.has("all-members")) to.flags |= message_flag::kAllMembers;
  if (const auto id = parse_id(text)) {
    to.id = *id;
    return to;
  }
  const bool router = text.starts_with("router/");  // a router has an id too, from this name
  if (!capability && !router && !check_agent_name(text)) {
    return wrong_usage(
        fmt::format("'{}' is no agent (organisation/namespace/service/instance), "
                    "id or router/NAME; for a capability add --capability",
                    text));
  }
  to.id = id_of_name(text);
  return to;
}

bool Progress::due(std::uint64_t now_ns) noexcept {
  if (now_ns < next_ns_) return false;
  while (next_ns_ <= now_ns)
    next_ns_ += kNsPerSecond;
  return true;
}

void Progress::print(std::string_view line) {
  if (!on_) return;
  shown_ = true;
  c_.print(fmt::format("\r\x1b[K{}", line));
}

void Progress::clear() {
  if (shown_) c_.print("\r\x1b[K");
  shown_ = false;
}

std::string latency_text(const Histogram& h) {
  if (h.count() == 0) return {};
  std::string text;
  for (const auto& q : kQuantiles)
    text += fmt::format("{} {}, ", q.text, duration_text(h.percentile(q.percent)));
  return text + "max " + duration_text(h.max());
}

void write_latency(JsonWriter& json, std::string_view name, const Histogram& h) {
  json.key(name).begin_object();
  json.member("count", h.count()).member("min_ns", h.min()).member("mean_ns", h.mean());
  for (const auto& q : kQuantiles)
    json.member(q.key, h.percentile(q.percent));
  json.member("max_ns", h.max()).end_object();
}

std::string notices_text(const Notices& notices) {
  std::string text;
  for (const auto& [reason, count] : notices) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", with_commas(count), reason);
  }
  return text.empty() ? "none" : text;
}

void write_notices(JsonWriter& json, const Notices& notices) {
  json.key("notices").begin_object();
  for (const auto& [reason, count] : notices)
    json.member(reason, count);
  json.end_object();
}

std::string reason_of(const agent::Message& notice) {
  return std::string(to_string(static_cast<NoticeReason>(notice.envelope.reason)));
}

double rate_of(std::uint64_t count, std::uint64_t ns) noexcept {
  return ns == 0 ? 0 : static_cast<double>(count) * 1e9 / static_cast<double>(ns);
}

}  // namespace sluice::cli
