// What is said, and with which exit status, when something is not as it should be.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "controlplane/cli/client.hpp"
#include "fixture.hpp"

namespace sluice::cli {
namespace {

class Errors : public testing::Test {
 protected:
  Errors() { fill(router_.state()); }
  bool said(const Ran& ran, std::string_view text) {
    return ran.err.find(text) != std::string::npos || (ADD_FAILURE() << ran.err, false);
  }
  FakeControlPlane router_;
};

TEST_F(Errors, NoControlPlane) {
  const auto ran = run_words({"status"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(ran.err,
            "sluice: cannot reach the control plane at /nowhere/api.sock: it is not running, or "
            "runs with another run-dir; start it with 'systemctl start sluice-controlplane'\n");
  EXPECT_EQ(ran.out, "");
}

TEST_F(Errors, SocketLeftBehindByADeadControlPlane) {
  const std::string path = router_.socket() + ".dead";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  const auto ran = run_words({"--socket", path, "port", "list"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_TRUE(said(ran, "it is not running"));
}

TEST_F(Errors, PermissionNamesTheGroup) {
  if (::geteuid() == 0) {
    // Root is refused nothing: become nobody for the attempt.
    ASSERT_EQ(::chown(router_.socket().c_str(), 0, 4), 0);  // group adm
    ASSERT_EQ(::chmod(router_.socket().c_str(), 0660), 0);
    ASSERT_EQ(::chmod(router_.socket().substr(0, router_.socket().rfind('/')).c_str(), 0755), 0);
    ASSERT_EQ(::seteuid(65534), 0);
    const auto ran = router_.run({"status"});
    ASSERT_EQ(::seteuid(0), 0);
    EXPECT_EQ(ran.status, kFailed);
    EXPECT_TRUE(said(ran, "as a member of group 'adm'"));
    return;
  }
  ASSERT_EQ(::chmod(router_.socket().c_str(), 0), 0);
  const auto ran = router_.run({"status"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_TRUE(said(ran, "no permission; run it as root, or set api.group"));
}

TEST_F(Errors, PathsThatAreNoSocket) {
  EXPECT_EQ(run_words({"--socket", std::string(200, 'x'), "status"}).status, kWrongUsage);
  EXPECT_EQ(run_words({"--socket", "/etc/passwd", "status"}).status, kFailed);
}

TEST_F(Errors, UnknownAgentsAreTheControlPlanesOwnWords) {
  router_.state().error = {grpc::NOT_FOUND, "no agent 'a/b/c/x'; did you mean 'a/b/c/y'?"};
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"agent", "delete"}, {"agent", "resolve"}, {"route", "lookup"}}) {
    const auto ran = router_.run({words[0], words[1], "a/b/c/x"});
    EXPECT_EQ(ran.status, kFailed);
    EXPECT_EQ(ran.err, "sluice: no agent 'a/b/c/x'; did you mean 'a/b/c/y'?\n");
  }
}

TEST_F(Errors, WhatTheControlPlaneSaysIsPassedOn) {
  router_.state().error = {grpc::FAILED_PRECONDITION, "the dataplane is not connected"};
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"stats"}, {"drops"}, {"trace"}, {"port", "list"}}) {
    const auto ran = router_.run(words);
    EXPECT_EQ(ran.status, kFailed);
    EXPECT_EQ(ran.err, "sluice: the dataplane is not connected\n");
    EXPECT_EQ(ran.out, "");
  }
}

TEST_F(Errors, InvalidArgumentsFoundByTheControlPlaneAreNoWrongUsage) {
  router_.state().error = {grpc::INVALID_ARGUMENT, "tenant 9 is not configured"};
  const auto ran = router_.run({"agent", "token", "a/b/c/d", "--tenant", "9"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(ran.err, "sluice: tenant 9 is not configured\n");
}

TEST_F(Errors, OlderAndSpeechlessControlPlanes) {
  router_.state().error = {grpc::UNIMPLEMENTED, ""};
  EXPECT_TRUE(said(router_.run({"port", "list"}), "older than this command"));
  router_.state().error = {grpc::INTERNAL, ""};
  EXPECT_TRUE(said(router_.run({"port", "list"}), "refused without saying why"));
  router_.state().error = {grpc::UNAVAILABLE, "starting"};
  EXPECT_TRUE(said(router_.run({"port", "list"}), "sluice: starting\n"));
}

TEST_F(Errors, AListenerThatNeverAnswers) {
  const std::string path = router_.socket() + ".silent";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(fd, 8), 0);
  // Streams wait long for what they are told, but not for somebody to serve them.
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"status"}, {"cluster", "events"}, {"store", "compact"}}) {
    std::vector<std::string> all = {"--socket", path, "--timeout", "100ms"};
    all.insert(all.end(), words.begin(), words.end());
    const auto ran = run_words(all);
    EXPECT_EQ(ran.status, kFailed);
    EXPECT_TRUE(said(ran, "did not answer within 100 ms"));
  }
  ::close(fd);
}

TEST_F(Errors, WrongUsageEndsWithStatusTwoAndPointsToHelp) {
  const auto ran = run_words({"agent", "show"});
  EXPECT_EQ(ran.status, kWrongUsage);
  EXPECT_EQ(ran.err,
            "sluice: AGENT is missing: name or id of the agent\nsee 'sluice agent show --help'\n");
  EXPECT_EQ(run_words({}).status, kWrongUsage);
  EXPECT_NE(run_words({}).err.find("usage: sluice COMMAND"), std::string::npos);
}

TEST_F(Errors, OutputThatCannotBeWrittenIsNoSuccess) {
  const std::vector<std::vector<std::string>> all = {{"agent", "list"},
                                                     {"agent", "token", "a/b/c/d", "--tenant", "1"},
                                                     {"config", "show"},
                                                     {"store", "export", "--tenant", "1"},
                                                     {"trace"},
                                                     {"cluster", "events"},
                                                     {"completion", "bash"},
                                                     {"man"},
                                                     {"version"},
                                                     {"--help"}};
  router_.state().trace.emplace_back().mutable_started()->set_count(1);
  for (auto words : all) {
    words.insert(words.begin(), {"--socket", router_.socket()});
    const auto full = run_words(words, false, {.error = ENOSPC});
    EXPECT_EQ(full.status, kFailed);
    EXPECT_EQ(full.err, "sluice: cannot write: No space left on device\n");
    // Whoever reads has enough.
    const auto closed = run_words(words, false, {.error = EPIPE});
    EXPECT_EQ(closed.status, kFailed);
    EXPECT_EQ(closed.err, "");
  }
}

TEST_F(Errors, StreamsEndWithTheFirstFailedWrite) {
  const auto watch = run_words({"--socket", router_.socket(), "stats", "--watch", "1"}, false,
                               {.error = EPIPE, .writes = 5});
  EXPECT_EQ(watch.status, kFailed);
  for (int i = 0; i < 3; ++i)
    router_.state().cluster_events.push_back(router_.state().cluster_events.front());
  const auto events = run_words({"--socket", router_.socket(), "cluster", "events", "--json"},
                                false, {.error = ENOSPC, .writes = 1});
  EXPECT_EQ(events.status, kFailed);
  EXPECT_EQ(std::ranges::count(events.out, '\n'), 1);
}

TEST(WriteAll, GivesTheReason) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_EQ(write_all(full, "text"), ENOSPC);
  EXPECT_EQ(write_all(full, ""), 0);
  ::close(full);
  EXPECT_EQ(write_all(full, "text"), EBADF);
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  EXPECT_EQ(write_all(pipe[1], "text"), 0);
  char text[8] = {};
  EXPECT_EQ(::read(pipe[0], text, sizeof text), 4);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(Errors, ForeignTextIsShownWithoutControlCharactersAndNotAtLength) {
  const auto noun = run_words({"age\nnt\x1b[31m"});
  EXPECT_TRUE(noun.err.starts_with("sluice: there is no command 'age?nt?[31m'")) << noun.err;
  EXPECT_TRUE(said(run_words({"node", "show", "a\nb"}), "NODE: must not have control characters"));
  const std::string huge(100'000, 'x');
  for (const std::vector<std::string>& words : {std::vector<std::string>{huge},
                                                {"--" + huge},
                                                {"agent", "show", huge},
                                                {"config", "show", huge},
                                                {"--config", "/" + huge, "status"}}) {
    const auto ran = run_words(words);
    EXPECT_NE(ran.status, kDone);
    EXPECT_LT(ran.err.size(), 2000u);
    EXPECT_TRUE(said(ran, "xxx ... xxx"));
  }
}

TEST_F(Errors, AnEmptyNameIsNobodys) {
  for (const auto* verb : {"show", "force-leave"}) {
    const auto ran = router_.run({"node", verb, ""});
    EXPECT_EQ(ran.status, kWrongUsage);
    EXPECT_TRUE(said(ran, "NODE: must not be empty"));
  }
}

TEST_F(Errors, ACountHasNoEnd) {
  EXPECT_TRUE(said(router_.run({"agent", "list", "--limit", "0"}),
                   "--limit: '0' is not a count, at least 1"));
}

TEST_F(Errors, ConfigCheckNeedsNoControlPlane) {
  const std::string file = router_.socket() + ".yaml";
  std::ofstream(file) << "router:\n  name: r1\n  nonsense: 1\n";
  const auto wrong = run_words({"config", "check", file});
  EXPECT_EQ(wrong.status, kFailed);
  EXPECT_NE(wrong.out.find(file + ":3:3:"), std::string::npos) << wrong.out;
  EXPECT_NE(run_words({"config", "check", file, "--json"}).out.find("\"ok\": false"),
            std::string::npos);
  EXPECT_EQ(run_words({"config", "check", "/nowhere.yaml"}).status, kFailed);
  EXPECT_EQ(router_.run({"config", "check", ""}).status, kWrongUsage);
}

TEST_F(Errors, ConfigCheckShowsEveryMistake) {
  const std::string file = router_.socket() + ".yaml";
  std::ofstream text(file);
  text << "router:\n";
  for (int i = 0; i < 50; ++i)
    text << fmt::format("  nonsense-{}: 1\n", i);
  text.close();
  const auto ran = run_words({"config", "check", file});
  EXPECT_NE(ran.out.find(file + ":51:3: router.nonsense-49"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find("more"), std::string::npos) << ran.out;
  const auto json = nlohmann::json::parse(run_words({"config", "check", file, "--json"}).out);
  EXPECT_GE(json.at("diagnostics").size(), 50U);
}

TEST_F(Errors, ConfigCheckWarnsOfSecretsThatOthersCanRead) {
  const std::string file = router_.socket() + ".yaml";
  std::ofstream(file) << "dataplane:\n  workers: [0]\nports:\n  - name: a\n    device: net_null0\n"
                      << "tenants:\n  - {id: 1, name: a, token-key: " << std::string(32, 'a')
                      << "}\n";
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  const auto ran = run_words({"config", "check", file});
  EXPECT_EQ(ran.status, kDone);
  EXPECT_NE(ran.out.find("warning: " + file + ":7:"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("chmod 600 " + file + "\n" + file + ": good\n"), std::string::npos)
      << ran.out;
  const auto json = nlohmann::json::parse(run_words({"config", "check", file, "--json"}).out);
  EXPECT_EQ(json.at("warnings").at(0).at("key"), "tenants[0].token-key");
}

// Of the daemons' own file, or the one that --config names.
TEST_F(Errors, ConfigCheckOfTheUsualFileNeedsNoControlPlane) {
  const std::string file = router_.socket() + ".yaml";
  const std::string good =
      "dataplane:\n  workers: [0]\nports:\n  - name: a\n    device: net_null0\n" +
      fmt::format("router: {{run-dir: {}.d, state-dir: {}.d}}\n", file, file);
  std::ofstream(file) << good;
  const std::string note =
      ": good\nnot compared with what is in effect: cannot reach the control plane at " + file +
      ".d/api.sock: it is not running";
  const auto checked = run_words_with(file, {"config", "check"});
  EXPECT_EQ(checked.status, kDone) << checked.err;
  EXPECT_TRUE(checked.out.starts_with(file + note)) << checked.out;
  EXPECT_TRUE(run_words({"config", "check", "--config", file})
                  .out.starts_with(file + ": good\nnot compared with what is in effect: "));
  EXPECT_FALSE(nlohmann::json::parse(run_words_with(file, {"config", "check", "--json"}).out)
                   .at("compared")
                   .get<bool>());
  // One that was named is not in effect anyway.
  EXPECT_EQ(run_words({"config", "check", file}).out, file + ": good\n");

  std::ofstream(file) << good << "nonsense: 1\n";
  for (const auto& ran : {run_words_with(file, {"config", "check"}),
                          run_words({"config", "check", "--config", file})}) {
    EXPECT_EQ(ran.status, kFailed);
    EXPECT_NE((ran.out + ran.err).find(file + ":7:1: nonsense"), std::string::npos) << ran.out;
  }
  const auto none = run_words({"config", "check"});
  EXPECT_EQ(none.status, kFailed);
  EXPECT_TRUE(said(none,
                   "cannot open /nowhere/sluice.yaml: No such file or directory; a running "
                   "control plane would say which file it uses; name one: sluice config "
                   "check FILE"));
  // Whoever names a socket asks that control plane.
  EXPECT_TRUE(said(run_words({"config", "check", "--socket", "/nowhere/api.sock"}),
                   "cannot reach the control plane at /nowhere/api.sock"));
}

TEST_F(Errors, TheSocketComesFromTheConfigurationWhenOneIsNamed) {
  const std::string file = router_.socket() + ".yaml";
  std::ofstream(file) << "dataplane:\n  workers: [0]\nports:\n  - name: a\n    device: net_null0\n"
                      << "api:\n  socket: " << router_.socket() << "\n";
  const auto good = run_words({"--config", file, "port", "list"});
  EXPECT_EQ(good.status, kDone) << good.err;
  const auto bad = run_words({"--config", "/nowhere.yaml", "port", "list"});
  EXPECT_EQ(bad.status, kFailed);
  EXPECT_TRUE(said(bad, "/nowhere.yaml"));
}

}  // namespace
}  // namespace sluice::cli
