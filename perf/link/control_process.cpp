#include "perf/link/control_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "controlplane/link/link.hpp"
#include "perf/link/bench_ids.hpp"
#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::perf {

namespace {

constexpr std::uint32_t kHosts = 64;

struct Order {
  char what;
  std::uint64_t count;
};

struct Control {
  asio::io_context io;
  controlplane::Programmer programmer;
  controlplane::Link link;
  std::vector<std::uint32_t> handles;
  std::uint64_t routes;
  std::uint64_t changes = 0;
  std::uint64_t cursor = 0;

  Control(const std::string& run_dir, std::uint64_t n)
      : link(io, run_dir + "/dataplane.sock", programmer), routes(n) {
    programmer.set_hash_key({7, 7, 7, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    programmer.set_router_id(bench_id(~std::uint64_t{0}));
    programmer.set_port(0, false);
    programmer.add_local_address(0, kRouterAddress).value();
    for (std::uint32_t i = 0; i < kHosts; ++i) {
      const controlplane::AdjacencyValue up{
          .source = kRouterAddress, .mac = {2, 1, 0, 0, 0, 1}, .state = AdjacencyState::kUp};
      handles.push_back(
          programmer
              .set_adjacency({.port = 0, .destination = IpAddress::v4(Big32(0x0a000100u + i))}, up)
              .value());
    }
    for (std::uint64_t r = 0; r < routes; ++r)
      set(r, 9000);
  }

  void set(std::uint64_t r, std::uint16_t udp_port) {
    const controlplane::RouteSpec route{
        .kind = ActionKind::kAdjacency, .handle = handles[r % kHosts], .udp_port = udp_port};
    programmer.set_route(bench_id(r), route).value();
  }

  Reply connect() {
    const std::uint64_t start = monotonic_ns();
    link.start();
    while (link.info().state != controlplane::LinkState::kReady)
      step();
    return reply(start, start);
  }

  Reply reconnect() {
    while (link.info().state == controlplane::LinkState::kReady)
      step();
    const std::uint64_t start = monotonic_ns();
    while (link.info().state != controlplane::LinkState::kReady)
      step();
    return reply(start, start);
  }

  // A step that shares no factor with the number of routes visits each once before any twice.
  Reply update(std::uint64_t n) {
    const auto udp_port = static_cast<std::uint16_t>(9001 + ++changes % 1000);
    const std::uint64_t start = monotonic_ns();
    for (std::uint64_t i = 0; i < n; ++i) {
      cursor = (cursor + 618'033'989) % routes;
      set(cursor, udp_port);
    }
    const std::uint64_t wanted = monotonic_ns();
    bool done = false;
    link.when_applied([&](Status) { done = true; });
    while (!done)
      step();
    return reply(start, wanted);
  }

  void step() {
    io.run_one_for(std::chrono::milliseconds(1));
    io.restart();
  }

  Reply reply(std::uint64_t start, std::uint64_t wanted) {
    const std::uint64_t now = monotonic_ns();
    return {.ring_seconds = static_cast<double>(now - wanted) / 1e9,
            .total_seconds = static_cast<double>(now - start) / 1e9,
            .refused = link.info().commands_refused,
            .bytes_per_route =
                static_cast<double>(programmer.route_memory_bytes()) / static_cast<double>(routes)};
  }
};

}  // namespace

ControlProcess::ControlProcess(const std::string& run_dir, std::uint64_t routes, int cpu) {
  std::array<int, 2> down;
  std::array<int, 2> up;
  if (::pipe2(down.data(), O_CLOEXEC) != 0 || ::pipe2(up.data(), O_CLOEXEC) != 0) std::exit(1);
  std::array<std::string, 4> words{"--control", run_dir, std::to_string(routes),
                                   std::to_string(cpu)};
  std::string name = "link_bench";
  std::array<char*, 6> argv{name.data(),     words[0].data(), words[1].data(),
                            words[2].data(), words[3].data(), nullptr};
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(down[0], 0);
    ::dup2(up[1], 1);
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
  }
  ::close(down[0]);
  ::close(up[1]);
  to_ = down[1];
  from_ = up[0];
  Order ready{};
  // It says one word when everything is wanted.
  if (::read(from_, &ready, sizeof ready) != sizeof ready) std::exit(1);
  ::fcntl(from_, F_SETFL, O_NONBLOCK);
}

ControlProcess::~ControlProcess() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ::close(to_);
  ::close(from_);
}

void ControlProcess::send(char what, std::uint64_t count) {
  const Order order{what, count};
  if (::write(to_, &order, sizeof order) != sizeof order) std::exit(1);
}

bool ControlProcess::take(Reply& reply) {
  const ssize_t got = ::read(from_, &reply, sizeof reply);
  if (got == 0) {
    progress("the control process ended");
    std::exit(1);
  }
  return got == sizeof reply;
}

int ControlProcess::run(int argc, char** argv) {
  if (argc != 5) return 2;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  spdlog::set_level(spdlog::level::err);
  if (const int cpu = std::atoi(argv[4]); cpu >= 0 && !pin_to_cpu(cpu)) return 1;
  Control control(argv[2], std::strtoull(argv[3], nullptr, 10));
  Order order{};
  if (::write(1, &order, sizeof order) != sizeof order) return 1;
  while (::read(0, &order, sizeof order) == sizeof order) {
    const Reply reply = order.what == 'c'   ? control.connect()
                        : order.what == 'r' ? control.reconnect()
                                            : control.update(order.count);
    if (::write(1, &reply, sizeof reply) != sizeof reply) return 1;
  }
  return 0;
}

}  // namespace sluice::perf
