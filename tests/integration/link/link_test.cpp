// Two real processes, either of which is killed at every phase of a synchronisation; afterwards the
// tables are compared with what the control plane wants. The test program starts itself again for
// the other side.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "dataplane/apply/link_server.hpp"
#include "tests/integration/link/control_side.hpp"
#include "tests/integration/link/dataplane_side.hpp"
#include "tests/integration/link/run_dir.hpp"
#include "tests/support/eal.hpp"

namespace sluice::testing {

namespace {

constexpr std::uint32_t kHosts = 50;
constexpr std::uint64_t kRoutes = 200'000;
constexpr int kWaitMs = 20'000;

// What this process logs while it lives.
class Log {
 public:
  Log() { spdlog::default_logger()->sinks().push_back(sink_); }
  ~Log() { spdlog::default_logger()->sinks().pop_back(); }
  std::size_t lines_with(std::string_view what) const {
    const std::string all = text_.str();
    std::size_t n = 0;
    for (auto at = all.find(what); at != std::string::npos; at = all.find(what, at + 1))
      ++n;
    return n;
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::sinks::sink> sink_ =
      std::make_shared<spdlog::sinks::ostream_sink_st>(text_);
};

class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    std::vector<char*> argv;
    arguments.insert(arguments.begin(), "link_integration_test");
    for (auto& argument : arguments)
      argv.push_back(argument.data());
    argv.push_back(nullptr);
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
  }
  ~Process() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  bool ended() {
    if (pid_ <= 0) return true;
    if (::waitpid(pid_, &status_, WNOHANG) != pid_) return false;
    pid_ = 0;
    return true;
  }
  void wait() {
    ::waitpid(pid_, &status_, 0);
    pid_ = 0;
  }
  int status() const { return status_; }

 private:
  pid_t pid_ = 0;
  int status_ = 0;
};

// Every route leads to the host it shall lead to, and there is no other.
void expect_table(DataplaneSide& side, std::uint64_t routes) {
  ASSERT_EQ(side.routes(), routes);
  const auto& table = *side.tables->route_table();
  for (std::uint64_t r = 0; r < routes; ++r) {
    const Action action = table.find(route_id(r));
    ASSERT_EQ(action.kind(), ActionKind::kAdjacency) << r;
    ASSERT_EQ(action.udp_port(), kAgentPort);
    const Adjacency& line = side.tables->adjacencies.at(action.index());
    const Big32 expected = host_address(host_of_route(r, kHosts)).v4_part();
    ASSERT_EQ(std::memcmp(line.destination.data(), &expected, 4), 0) << r;
    ASSERT_EQ(line.state, AdjacencyState::kUp);
  }
}

// The control process: wants the table, connects, dies or lives on.
int control_role(const std::string& run_dir, std::uint32_t seed, const std::string& die_at) {
  ControlSide side(run_dir);
  side.want(kHosts, kRoutes, seed);
  const auto die = [] { ::kill(::getpid(), SIGKILL); };
  side.link.set_callbacks({.on_state = [&](controlplane::LinkState state) {
    if (die_at == to_string(state)) die();
  }});
  side.link.start();
  const std::uint64_t commands = std::strtoull(die_at.c_str(), nullptr, 10);
  side.run_until(
      [&] {
        if (commands > 0 && side.link.info().commands_sent >= commands) die();
        return false;
      },
      kWaitMs);
  return 1;
}

// The dataplane process: serves until it dies.
int dataplane_role(const std::string& run_dir, const std::string& die_at) {
  start_eal(256);
  DataplaneSide side(run_dir, kRoutes + 1000);
  const auto die = [] { ::kill(::getpid(), SIGKILL); };
  const std::uint64_t routes = std::strtoull(die_at.c_str(), nullptr, 10);
  side.run_until(
      [&] {
        if (die_at == "connected" && side.apply->connected()) die();
        if (die_at == "ready" && side.forwarding().ready) die();
        if (routes > 0 && side.routes() >= routes) die();
        return false;
      },
      kWaitMs);
  return 1;
}

int raw_connect(const std::string& run_dir) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = run_dir + "/dataplane.sock";
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  return ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? fd : -1;
}

link::Welcome hello(DataplaneSide& side, int fd, const link::Hello& words) {
  EXPECT_EQ(::send(fd, &words, sizeof words, 0), static_cast<ssize_t>(sizeof words));
  link::Welcome welcome{};
  side.run_until(
      [&] { return ::recv(fd, &welcome, sizeof welcome, MSG_DONTWAIT) == sizeof welcome; }, 2000);
  return welcome;
}

link::Hello good_hello() {
  return {.magic = link::kRegionMagic,
          .layout_version = link::kLayoutVersion,
          .pid = 1,
          .region_bytes = sizeof(link::Region),
          .status_bytes = sizeof(link::StatusSegment)};
}

// Both sides take their turns until it is done.
template <class Done>
bool run_both(DataplaneSide& side, ControlSide& control, const Done& done) {
  return side.run_until(
      [&] {
        control.io.poll();
        control.io.restart();
        return done();
      },
      kWaitMs);
}

}  // namespace

class ControlKilled : public ::testing::TestWithParam<const char*> {};

TEST_P(ControlKilled, ComesBackAndTheTableIsRight) {
  RunDir dir;
  DataplaneSide side(dir.path(), kRoutes + 1000);
  Process victim({"--control", dir.path(), "0", GetParam()});
  ASSERT_TRUE(side.run_until([&] { return victim.ended(); }, kWaitMs));
  ASSERT_TRUE(WIFSIGNALED(victim.status()) && WTERMSIG(victim.status()) == SIGKILL);
  ASSERT_TRUE(side.run_until([&] { return !side.apply->connected(); }, kWaitMs));
  EXPECT_FALSE(side.forwarding().control_plane_connected);
  const std::size_t left = side.routes();  // stays as it was
  const std::uint8_t epoch = side.forwarding().epoch;

  Process heir({"--control", dir.path(), "17", "never"});  // numbers its adjacencies anew
  const auto synced = [&] {
    EXPECT_GE(side.routes(), left) << "a route vanished before it was sent again";
    return side.forwarding().ready && side.forwarding().epoch != epoch && side.routes() == kRoutes;
  };
  ASSERT_TRUE(side.run_until(synced, kWaitMs));
  expect_table(side, kRoutes);
  EXPECT_EQ(side.status->segment().tables.commands_refused, 0u);
}
INSTANTIATE_TEST_SUITE_P(Phases, ControlKilled,
                         ::testing::Values("connecting", "syncing", "1", "1000", "100000",
                                           "ready"));

class DataplaneKilled : public ::testing::TestWithParam<const char*> {};

TEST_P(DataplaneKilled, IsProgrammedAgainWithoutHelp) {
  RunDir dir;
  ControlSide control(dir.path());
  control.want(kHosts, kRoutes, 0);
  control.link.start();
  {
    Process victim({"--dataplane", dir.path(), GetParam()});
    ASSERT_TRUE(control.run_until([&] { return victim.ended(); }, kWaitMs));
    ASSERT_TRUE(WIFSIGNALED(victim.status()));
  }
  ASSERT_TRUE(control.run_until(
      [&] { return control.link.info().state == controlplane::LinkState::kDisconnected; },
      kWaitMs));
  // What changes meanwhile is part of what comes next.
  control.programmer.delete_route(route_id(5));
  Process heir({"--dataplane", dir.path(), "never"});
  ASSERT_TRUE(control.run_until_ready(kWaitMs));
  ASSERT_TRUE(control.run_until(
      [&] { return link::read(control.link.status()->tables.routes) == kRoutes - 1; }, kWaitMs));
  EXPECT_EQ(control.link.info().commands_refused, 0u);
}
INSTANTIATE_TEST_SUITE_P(Phases, DataplaneKilled,
                         ::testing::Values("connected", "1", "1000", "150000", "ready"));

TEST(Link, StaleEntriesAreSweptAndConfirmedOnesStay) {
  RunDir dir;
  DataplaneSide side(dir.path(), kRoutes + 1000);
  {
    Process first({"--control", dir.path(), "0", "never"});
    ASSERT_TRUE(side.run_until([&] { return side.routes() == kRoutes; }, kWaitMs));
    ASSERT_TRUE(side.run_until([&] { return side.forwarding().ready; }, kWaitMs));
  }
  ASSERT_TRUE(side.run_until([&] { return !side.apply->connected(); }, kWaitMs));
  ControlSide second(dir.path());
  second.want(kHosts, 1000, 3);
  second.link.start();
  const auto both = [&](auto done) { return run_both(side, second, done); };
  ASSERT_TRUE(both([&] { return side.routes() == 1000; }));
  expect_table(side, 1000);
}

TEST(Link, SweepWaitsForItsDeadline) {
  RunDir dir;
  DataplaneSide side(dir.path(), kRoutes + 1000);
  {
    Process first({"--control", dir.path(), "0", "never"});
    ASSERT_TRUE(side.run_until([&] { return side.routes() == kRoutes; }, kWaitMs));
    ASSERT_TRUE(side.run_until([&] { return side.forwarding().ready; }, kWaitMs));
  }
  ASSERT_TRUE(side.run_until([&] { return !side.apply->connected(); }, kWaitMs));
  ControlSide second(dir.path());
  second.want(kHosts, 10, 3);
  const std::uint64_t deadline = monotonic_ns() + 700 * kNsPerMs;
  second.programmer.sweep_after(deadline);
  second.link.start();
  bool early = false;
  const bool swept = side.run_until(
      [&] {
        second.io.poll();
        second.io.restart();
        early = early || (side.routes() < kRoutes && monotonic_ns() < deadline);
        return side.routes() == 10;
      },
      kWaitMs);
  EXPECT_TRUE(swept);
  EXPECT_FALSE(early);
}

TEST(Link, SecondControlPlaneIsToldWhoIsConnected) {
  RunDir dir;
  DataplaneSide side(dir.path(), 1000);
  const int first = raw_connect(dir.path());
  ASSERT_EQ(hello(side, first, good_hello()).result, link::WelcomeResult::kAccepted);
  const int second = raw_connect(dir.path());
  link::Welcome answer{};
  ASSERT_TRUE(side.run_until(
      [&] { return ::recv(second, &answer, sizeof answer, MSG_DONTWAIT) == sizeof answer; }, 2000));
  EXPECT_EQ(answer.result, link::WelcomeResult::kBusy);
  EXPECT_EQ(answer.other_pid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_TRUE(side.apply->connected());
  ::close(first);
  EXPECT_TRUE(side.run_until([&] { return !side.apply->connected(); }, 2000));
  ::close(second);
}

TEST(Link, OtherLayoutVersionIsRefused) {
  RunDir dir;
  DataplaneSide side(dir.path(), 1000);
  auto words = good_hello();
  words.layout_version = link::kLayoutVersion + 1;
  const int fd = raw_connect(dir.path());
  const auto answer = hello(side, fd, words);
  EXPECT_EQ(answer.result, link::WelcomeResult::kWrongVersion);
  EXPECT_EQ(answer.layout_version, link::kLayoutVersion);
  EXPECT_FALSE(side.apply->connected());
  ::close(fd);
  words = good_hello();
  words.magic = 0;
  const int other = raw_connect(dir.path());
  EXPECT_EQ(hello(side, other, words).result, link::WelcomeResult::kBadHello);
  ::close(other);
}

TEST(Link, RefusalsDoNotFillTheLog) {
  RunDir dir;
  DataplaneSide side(dir.path(), 1000);
  Log log;
  auto words = good_hello();
  words.magic = 0;
  const std::uint64_t begin = monotonic_ns();
  for (int i = 0; i < 200; ++i) {
    const int fd = raw_connect(dir.path());
    ASSERT_EQ(hello(side, fd, words).result, link::WelcomeResult::kBadHello);
    ::close(fd);
  }
  const std::uint64_t seconds = (monotonic_ns() - begin) / kNsPerSecond;
  EXPECT_GE(log.lines_with("event=link_refused"), 1u);
  EXPECT_LE(log.lines_with("event=link_refused"), 8 + seconds + 1);
}

TEST(Link, AStalledControlPlaneIsToldOfOnceAndStaysConnected) {
  RunDir dir;
  DataplaneSide side(dir.path(), 1000);
  ControlSide control(dir.path());
  control.want(1, 1, 0);
  control.link.start();
  Log log;
  const auto with_control = [&](auto done) { return run_both(side, control, done); };
  ASSERT_TRUE(with_control([&] { return side.forwarding().ready; }));
  EXPECT_LT(control.link.info().controlplane_heartbeat_age_ns, link::kHeartbeatStalledNs);
  // Only the dataplane lives.
  ASSERT_TRUE(
      side.run_until([&] { return log.lines_with("event=controlplane_stalled") > 0; }, kWaitMs));
  EXPECT_GE(control.link.info().controlplane_heartbeat_age_ns, link::kHeartbeatStalledNs / 2);
  EXPECT_EQ(log.lines_with("event=controlplane_resumed"), 0u);
  EXPECT_TRUE(side.apply->connected());
  ASSERT_TRUE(with_control([&] { return log.lines_with("event=controlplane_resumed") > 0; }));
  EXPECT_LT(control.link.info().controlplane_heartbeat_age_ns, link::kHeartbeatStalledNs / 2);
  EXPECT_EQ(log.lines_with("event=controlplane_stalled"), 1u);
}

TEST(Link, SecondDataplaneOnTheDirectoryIsRefusedAndADeadOneIsReplaced) {
  RunDir dir;
  auto status = dataplane::StatusMemory::create();
  ASSERT_TRUE(status);
  {
    auto first = dataplane::LinkServer::create(dir.path(), **status);
    ASSERT_TRUE(first);
    auto second = dataplane::LinkServer::create(dir.path(), **status);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
    EXPECT_NE(second.error().message().find(std::to_string(::getpid())), std::string::npos);
    struct stat info{};
    ASSERT_EQ(::stat((dir.path() + "/dataplane.sock").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
  Process killed({"--dataplane", dir.path(), "never"});
  while (raw_connect(dir.path()) < 0)
    ::usleep(1000);
  killed.kill();
  ASSERT_TRUE(std::filesystem::exists(dir.path() + "/dataplane.sock"));
  EXPECT_TRUE(dataplane::LinkServer::create(dir.path(), **status));
}

TEST(Link, FullRingLosesNothing) {
  RunDir dir;
  DataplaneSide side(dir.path(), kRoutes + 1000);
  ControlSide control(dir.path());
  control.want(kHosts, kRoutes, 0);  // three times the ring
  control.link.start();
  // The dataplane answers, then does not drain for a while.
  for (int i = 0; i < 200 && control.link.info().state != controlplane::LinkState::kSyncing; ++i) {
    side.step();
    control.io.poll();
    control.io.restart();
  }
  control.run_until([] { return false; }, 100);
  EXPECT_EQ(control.link.info().commands_sent, link::CommandRing::capacity);
  EXPECT_GT(control.link.info().commands_waiting, 0u);
  bool ready = false;
  EXPECT_TRUE(side.run_until(
      [&] {
        control.io.poll();
        control.io.restart();
        ready = control.link.info().state == controlplane::LinkState::kReady;
        return ready;
      },
      kWaitMs));
  expect_table(side, kRoutes);
  EXPECT_EQ(side.status->segment().tables.commands_refused, 0u);
}

// What a full table refused is there once others have left, without anybody's help.
TEST(Link, WhatAFullTableRefusedComesWhenThereIsRoom) {
  constexpr std::uint64_t kRoom = 1000;
  constexpr std::uint64_t kWanted = 1500;
  RunDir dir;
  DataplaneSide side(dir.path(), kRoom);
  ControlSide control(dir.path());
  control.want(kHosts, kWanted, 0);
  control.link.start();
  const auto both = [&](auto done) { return run_both(side, control, done); };
  const auto refused = [&] { return link::read(side.status->segment().tables.commands_refused); };
  ASSERT_TRUE(both([&] { return control.link.info().state == controlplane::LinkState::kReady; }));
  ASSERT_TRUE(both([&] { return control.link.info().commands_refused > 0; }));
  EXPECT_EQ(side.routes() + refused(), kWanted) << "each refusal is counted";
  EXPECT_LT(side.routes(), kWanted);

  // Those that were first, and so are in the table.
  for (std::uint64_t r = 0; r < kRoom; ++r)
    control.programmer.delete_route(route_id(r));
  ASSERT_TRUE(both([&] { return side.routes() == kWanted - kRoom; })) << side.routes();
  for (std::uint64_t r = kRoom; r < kWanted; ++r)
    EXPECT_EQ(side.tables->route_table()->find(route_id(r)).kind(), ActionKind::kAdjacency) << r;
}

}  // namespace sluice::testing

int main(int argc, char** argv) {
  using namespace sluice::testing;
  const std::vector<std::string> arguments(argv, argv + argc);
  if (argc == 5 && arguments[1] == "--control")
    return control_role(arguments[2], static_cast<std::uint32_t>(std::stoul(arguments[3])),
                        arguments[4]);
  if (argc == 4 && arguments[1] == "--dataplane") return dataplane_role(arguments[2], arguments[3]);
  ::testing::InitGoogleTest(&argc, argv);
  start_eal(256);
  return RUN_ALL_TESTS();
}
