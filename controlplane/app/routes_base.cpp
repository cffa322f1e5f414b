#include "controlplane/app/routes_base.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <thread>

#include "config/process/log.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

BaseManagerOptions options_of(const config::Config& config, const HashKey& key) {
  return {.directory = config.router.state_dir + "/base",
          .key = key,
          .enabled = config.store.base,
          .table_routes = config.dataplane.routes,
          .delta_max = config.store.base_delta_max,
          .interval_ns = config.store.base_interval_s * kNsPerSecond,
          .bytes_per_second = config.store.rate_mb * (std::uint64_t{1} << 20),
          .threads = std::clamp(std::thread::hardware_concurrency() / 2, 1u, 4u)};
}

}  // namespace

RoutesBase::RoutesBase(asio::io_context& io, Programmer& programmer, Link& link, Keeper& keeper,
                       const config::Config& config)
    : link_(link) {
  BaseLoop loop{[&io](std::function<void()> work) { asio::post(io, std::move(work)); },
                [&io](std::chrono::milliseconds delay, std::function<void()> work) {
                  auto timer = std::make_shared<asio::steady_timer>(io, delay);
                  timer->async_wait([timer, work = std::move(work)](asio::error_code error) {
                    if (!error) work();
                  });
                },
                [] { return monotonic_ns(); }};
  manager_ = std::make_unique<BaseManager>(programmer, *this, keeper.fs(), std::move(loop),
                                           options_of(config, keeper.hash_key()));
  manager_->on_log([](const std::string& line, bool warn) {
    spdlog::log(warn ? spdlog::level::warn : spdlog::level::info, "{}", harmless(line));
  });
}

std::uint64_t RoutesBase::table_routes() const {
  const auto* status = link_.status();
  return status == nullptr ? 0 : link::read(status->tables.routes_capacity);
}

void RoutesBase::set_policy(const config::Config& config) {
  manager_->set_policy(config.store.base_delta_max, config.store.base_interval_s * kNsPerSecond);
}

}  // namespace sluice::controlplane
