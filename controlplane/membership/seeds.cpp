#include "controlplane/membership/seeds.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "controlplane/membership/asio_endpoint.hpp"

namespace sluice::membership {
namespace {

constexpr std::uint32_t kMaxWaitSeconds = 30;  // while a name has no address
constexpr std::uint32_t kRefreshSeconds = 60;  // once all have
constexpr std::size_t kMaxAddresses = 256;     // of one name

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

}  // namespace

Result<JoinTarget> parse_join_target(const std::string& text, std::uint16_t default_port) {
  if (const auto endpoint = parse_endpoint(text, default_port)) {
    return JoinTarget{to_string(endpoint->address), endpoint->port};
  }
  const auto colon = text.rfind(':');
  JoinTarget target{text.substr(0, colon), default_port};
  if (colon != std::string::npos) {
    const auto* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, target.port);
    if (error != std::errc{} || at != end || target.port == 0) target.host.clear();
  }
  if (!is_host(target.host)) {
    return fail(ErrorCode::kInvalidArgument,
                "must be a name or an address, with a port if it is not the usual one");
  }
  return target;
}

SeedResolver::SeedResolver(asio::io_context& io, std::vector<JoinTarget> targets, OnSeeds on_seeds,
                           OnProblem on_problem)
    : resolver_(io),
      timer_(io),
      on_seeds_(std::move(on_seeds)),
      on_problem_(std::move(on_problem)) {
  for (auto& target : targets) {
    if (const auto ip = parse_ip(target.host)) {
      fixed_.push_back({*ip, target.port});
    } else {
      names_.push_back({std::move(target), {}, false});
    }
  }
}

SeedResolver::~SeedResolver() {
  stop();
}

void SeedResolver::start() {
  started_ = true;
  finish_round();
  if (!names_.empty()) ask();
}

void SeedResolver::stop() {
  started_ = false;
  resolver_.cancel();
  timer_.cancel();
}

void SeedResolver::ask() {
  pending_ = names_.size();
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const auto& target = names_[i].target;
    resolver_.async_resolve(
        target.host, std::to_string(target.port), asio::ip::tcp::resolver::numeric_service,
        [this, i, alive = std::weak_ptr(alive_)](const asio::error_code& error, const auto& found) {
          if (!alive.expired() && started_) answered(i, error, found);
        });
  }
}

void SeedResolver::answered(std::size_t which, const asio::error_code& error,
                            const asio::ip::tcp::resolver::results_type& results) {
  Name& name = names_[which];
  std::vector<Endpoint> addresses;
  for (const auto& entry : results) {
    if (addresses.size() == kMaxAddresses) break;
    addresses.push_back(from_asio(entry.endpoint()));
  }
  // What was found before stays while the name service is away.
  const bool failed = error || addresses.empty();
  if (failed && !name.failing) {
    on_problem_(name.target.host, error ? error.message() : "it has no address");
  }
  name.failing = failed;
  if (!failed) name.addresses = std::move(addresses);
  if (--pending_ == 0) finish_round();
}

void SeedResolver::finish_round() {
  std::vector<Endpoint> seeds = fixed_;
  bool failing = false;
  for (const auto& name : names_) {
    seeds.insert(seeds.end(), name.addresses.begin(), name.addresses.end());
    failing = failing || name.failing;
  }
  std::sort(seeds.begin(), seeds.end());
  seeds.erase(std::unique(seeds.begin(), seeds.end()), seeds.end());
  if (seeds != told_) {
    told_ = seeds;
    on_seeds_(seeds);
  }
  if (names_.empty()) return;
  wait_s_ = failing ? std::min(2 * wait_s_, kMaxWaitSeconds) : 1;
  timer_.expires_after(std::chrono::seconds(failing ? wait_s_ : kRefreshSeconds));
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const asio::error_code& error) {
    if (!error && !alive.expired() && started_) ask();
  });
}

}  // namespace sluice::membership
