#include "tests/integration/link/dataplane_side.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <cstdlib>

namespace sluice::testing {

namespace {

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "dataplane side: {}\n", result.error().message());
  std::exit(3);
}

}  // namespace

DataplaneSide::DataplaneSide(const std::string& run_dir, std::size_t routes) {
  ports.count = 2;
  for (std::uint16_t i = 0; i < ports.count; ++i) {
    ports.port[i].mac = {2, 0, 0, 0, 0, static_cast<std::uint8_t>(i)};
    ports.port[i].dpdk_port = i;
    ports.index_of_dpdk_port[i] = i;
  }
  status = must(dataplane::StatusMemory::create());
  tables = must(dataplane::Tables::create({.routes = routes}));
  dataplane::ApplyOptions options;
  options.run_dir = run_dir;
  options.bridge.ports = &ports;
  apply = must(dataplane::Apply::create(options, *tables, *status));
}

void DataplaneSide::step() {
  if (apply->turn()) return;
  if (apply->prepare_sleep()) {
    pollfd wait{.fd = apply->fd(), .events = POLLIN, .revents = 0};
    ::poll(&wait, 1, 1);
  }
  apply->finish_sleep();
}

}  // namespace sluice::testing
