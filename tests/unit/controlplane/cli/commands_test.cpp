// Every command that talks to the control plane: what it asks, and what it prints as text and as
// JSON, compared with the files under golden/. SLUICE_UPDATE_GOLDEN=1 writes those files anew.
#include <gtest/gtest.h>

#include <stdlib.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "config/join_token.hpp"
#include "controlplane/cli/command.hpp"
#include "fixture.hpp"
#include "sluice/base/base64.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::cli {
namespace {

using Words = std::vector<std::string>;

std::string file_text(const std::string& name) {
  std::ifstream file(std::string(SLUICE_GOLDEN) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void compare(const std::string& name, const std::string& got) {
  if (std::getenv("SLUICE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(std::string(SLUICE_GOLDEN) + "/" + name) << got;
  }
  EXPECT_EQ(got, file_text(name)) << name;
}

struct Row {
  std::string name;  // of the golden files
  Words words;
  std::string request;  // the newest one
};

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = {
      {"status", {"status"}, "Status"},
      {"agent-add",
       {"agent", "add", "acme/prod/translate/7", "10.77.1.2:7601", "--tenant", "1", "--capability",
        "translate"},
       R"(Add agent: "acme/prod/translate/7" tenant: 1 endpoint: "10.77.1.2:7601")"
       R"( capabilities: "translate")"},
      {"agent-delete",
       {"agent", "delete", "acme/prod/translate/7"},
       R"(Delete agent: "acme/prod/translate/7")"},
      {"agent-list",
       {"agent", "list", "--origin", "peer", "--tenant", "0", "--limit", "9", "--capability", "x",
        "--prefix", "acme/", "--peer", "r2"},
       R"(List limit: 9 origin: ORIGIN_PEER filter_tenant: true capability: "x")"
       R"( name_prefix: "acme/" peer: "r2")"},
      {"agent-show",
       {"agent", "show", "acme/prod/translate/7"},
       R"(Show agent: "acme/prod/translate/7")"},
      {"agent-resolve", {"agent", "resolve", "translate"}, R"(Resolve what: "translate")"},
      {"agent-token",
       {"agent", "token", "acme/prod/translate/7", "--tenant", "1"},
       R"(Token agent: "acme/prod/translate/7" tenant: 1)"},
      {"route-lookup",
       {"route", "lookup", "acme/prod/translate/7"},
       R"(LookupRoute what: "acme/prod/translate/7")"},
      {"route-count", {"route", "count"}, "CountRoutes"},
      {"adjacency-list",
       {"adjacency", "list", "--port", "agents"},
       R"(ListAdjacencies port: "agents")"},
      {"port-list", {"port", "list"}, "ListPorts"},
      {"port-show", {"port", "show", "agents"}, R"(ListPorts port: "agents")"},
      {"neighbor-list",
       {"neighbor", "list", "--port", "agents"},
       R"(ListNeighbors port: "agents")"},
      {"peer-add",
       {"peer", "add", "r2", "192.0.2.2"},
       R"(AddPeer name: "r2" address: "192.0.2.2")"},
      {"peer-delete", {"peer", "delete", "r2"}, R"(DeletePeer name: "r2")"},
      {"peer-list", {"peer", "list"}, "ListPeers"},
      {"tenant-list", {"tenant", "list"}, "ListTenants"},
      {"node-list", {"node", "list"}, "ListNodes"},
      {"node-show", {"node", "show", "r1"}, R"(ListNodes name: "r1")"},
      {"node-leave", {"node", "leave"}, "Leave"},
      {"node-force-leave", {"node", "force-leave", "r2"}, R"(ForceLeave name: "r2")"},
      {"cluster-join-token", {"cluster", "join-token"}, "JoinToken"},
      {"cluster-keys-list", {"cluster", "keys", "list"}, "ListKeys"},
      {"cluster-keys-add", {"cluster", "keys", "add"}, "StepKey step: KEY_ADD"},
      {"cluster-keys-use",
       {"cluster", "keys", "use", "0123", "--others-done"},
       R"(StepKey step: KEY_USE key: "0123" others_done: true)"},
      {"cluster-keys-remove",
       {"cluster", "keys", "remove", "0123"},
       R"(StepKey step: KEY_REMOVE key: "0123")"},
      {"cluster-events",
       {"cluster", "events", "--all", "--count", "1", "--for", "2"},
       "Events from_start: true count: 1 timeout_s: 2"},
      {"store-status", {"store", "status"}, "ShowStore"},
      {"store-verify", {"store", "verify"}, "Verify"},
      {"store-backup",
       {"store", "backup", "/var/lib/sluice//x/../backup"},
       R"(Backup directory: "/var/lib/sluice/backup")"},
      {"store-compact", {"store", "compact"}, "Compact"},
      {"store-migrate",
       {"store", "migrate", "--lanes", "8", "--format", "2"},
       "Migrate lanes: 8 format: 2"},
      {"store-usage", {"store", "usage", "--tenant", "1"}, "Usage filter_tenant: true tenant: 1"},
      {"store-delete",
       {"store", "delete", "--tenant", "1", "--yes"},
       "DeleteTenant tenant: 1 confirmed: true"},
      {"stats",
       {"stats", "--port", "agents", "--port", "core"},
       R"(Stats ports: "agents" ports: "core")"},
      {"stats-clear", {"stats", "--clear"}, "ClearCounters"},
      {"drops", {"drops", "--port", "agents"}, R"(Drops port: "agents")"},
      {"config-check", {"config", "check"}, "CheckConfig"},
      {"config-reload", {"config", "reload"}, "ReloadConfig"},
      {"version", {"version"}, ""},
  };
  return kRows;
}

class Commands : public testing::Test {
 protected:
  Commands() { fill(router_.state()); }
  FakeControlPlane router_;
};

TEST_F(Commands, AskAndPrintWhatTheGoldenFilesSay) {
  for (const auto& row : rows()) {
    SCOPED_TRACE(row.name);
    router_.state().requests.clear();
    const auto text = router_.run(row.words);
    EXPECT_EQ(text.status, kDone) << text.err;
    EXPECT_EQ(text.err, "");
    compare(row.name + ".out", text.out);
    const auto& requests = router_.state().requests;
    EXPECT_EQ(requests.empty() ? "" : requests.back(), row.request);
    Words words = row.words;
    words.emplace_back("--json");
    const auto json = router_.run(words);
    EXPECT_EQ(json.status, kDone) << json.err;
    EXPECT_TRUE(nlohmann::json::accept(json.out)) << json.out;
    compare(row.name + ".json", json.out);
  }
}

TEST_F(Commands, ConfigShowPrintsWhatTheRouterSays) {
  EXPECT_EQ(router_.run({"config", "show"}).out, "router:\n  name: r1\n");
  router_.state().config.set_text("{}");
  EXPECT_EQ(router_.run({"config", "show", "--json"}).out, "{}\n");
  EXPECT_EQ(router_.state().requests.back(), "ShowConfig json: true");
}

TEST_F(Commands, ReloadWarnsOfWhatTheStoreHasNotRecorded) {
  router_.state().reload.set_not_recorded("no space left");
  const auto ran = router_.run({"config", "reload"});
  EXPECT_EQ(ran.status, kDone);
  EXPECT_NE(ran.out.find("warning: the configuration is in effect, but the store has not recorded"),
            std::string::npos)
      << ran.out;
  EXPECT_NE(ran.out.find("no space left"), std::string::npos) << ran.out;
}

TEST_F(Commands, StatusSaysWhatIsMissing) {
  auto& s = router_.state().status;
  s.clear_dataplane();
  s.mutable_link()->set_state(api::LINK_DISCONNECTED);
  s.mutable_link()->set_detail("no dataplane at /run/sluice/dataplane.sock");
  const auto ran = router_.run({"status"});
  EXPECT_EQ(ran.status, kDone);
  EXPECT_NE(ran.out.find("disconnected for 1 h: no dataplane at"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("not connected; start it with"), std::string::npos) << ran.out;
  // Waiting for it is in vain here.
  EXPECT_EQ(router_.run({"status", "--wait", "50ms"}).status, kFailed);
  s.mutable_link()->set_state(api::LINK_READY);
  EXPECT_EQ(router_.run({"status", "--wait", "10"}).status, kDone);
  s.mutable_link()->set_stalled(true);
  EXPECT_EQ(router_.run({"status", "--wait", "50ms"}).status, kFailed);
}

TEST_F(Commands, StatusWaitsUntilEveryHostWasLookedFor) {
  auto& registry = *router_.state().status.mutable_registry();
  EXPECT_EQ(router_.run({"status", "--wait", "10"}).status, kDone);
  registry.set_hosts(20'000);
  registry.set_hosts_resolving(1234);
  const auto ran = router_.run({"status", "--wait", "50ms"}, true);
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.err.find("\rwaiting for: the kernel to resolve 1,234 of 20,000 hosts\x1b[K"),
            std::string::npos)
      << ran.err;
  EXPECT_TRUE(
      ran.err.ends_with("sluice: waited in vain for the kernel to resolve 1,234 of 20,000 hosts\n"))
      << ran.err;
  EXPECT_NE(ran.out.find("1,234 of 20,000 are still being resolved"), std::string::npos) << ran.out;
  // Without waiting that is no mistake.
  EXPECT_EQ(router_.run({"status"}).status, kDone);
}

TEST_F(Commands, ColoursOnATerminalOnly) {
  EXPECT_EQ(router_.run({"port", "list"}).out.find('\x1b'), std::string::npos);
  EXPECT_NE(router_.run({"port", "list"}, true).out.find("\x1b[32mup\x1b[0m"), std::string::npos);
  EXPECT_EQ(router_.run({"port", "list", "--no-color"}, true).out.find('\x1b'), std::string::npos);
}

TEST_F(Commands, AgentListSaysWhenThereAreMore) {
  router_.state().pages[0].set_next(std::string(16, '\x11'));
  EXPECT_NE(router_.run({"agent", "list", "--limit", "2"}).out.find("raise --limit"),
            std::string::npos);
  const auto json = nlohmann::json::parse(router_.run({"agent", "list", "--json"}).out);
  EXPECT_TRUE(json["more"].get<bool>());
  EXPECT_EQ(json["agents"].size(), 2u);
}

TEST_F(Commands, RouteLookupOfGroupsAndOfNothing) {
  auto& route = router_.state().route;
  auto& member = *route.add_members();
  member.set_id(route.id());
  member.set_weight(2);
  member.set_udp_port(7601);
  *member.mutable_adjacency() = route.adjacency();
  route.set_kind(api::ROUTE_GROUP);
  route.clear_adjacency();
  compare("route-lookup-group.out", router_.run({"route", "lookup", "translate"}).out);
  route.clear_members();
  route.set_kind(api::ROUTE_NONE);
  route.set_reason("nobody registered it");
  const auto none = router_.run({"route", "lookup", "translate"});
  EXPECT_EQ(none.status, kFailed);
  EXPECT_NE(none.out.find("none: nobody registered it"), std::string::npos) << none.out;
}

TEST_F(Commands, StatsWatchPrintsRatesAndNoticesARestart) {
  auto second = router_.state().stats[0];
  second.set_taken_ns(12'000'000'000);
  second.mutable_ports(0)->mutable_counters()->set_forwarded(1'200'000);
  second.mutable_workers(0)->set_busy_tsc(5'000'000'000);
  auto third = second;
  third.set_dataplane_instance(100);
  router_.state().stats = {router_.state().stats[0], second, third};
  compare("stats-watch.out", router_.run({"stats", "--watch", "--samples", "3"}).out);
}

TEST_F(Commands, StatsWatchAsJsonIsOneObjectALine) {
  auto second = router_.state().stats[0];
  second.set_taken_ns(11'000'000'000);
  second.mutable_ports(0)->mutable_counters()->set_forwarded(1'000'500);
  router_.state().stats.push_back(second);
  std::istringstream lines(router_.run({"stats", "--watch", "--samples", "2", "--json"}).out);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_FALSE(nlohmann::json::parse(line).contains("rates_per_second"));
  ASSERT_TRUE(std::getline(lines, line));
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["rates_per_second"][0]["forwarded"], 500);
  EXPECT_EQ(json["interval_s"], 1);
  EXPECT_EQ(json["restarted"], false);
}

TEST_F(Commands, DropsWatchHasRatesAndNothingIsSaidSo) {
  const auto twice = router_.run({"drops", "--watch", "--samples", "2"});
  EXPECT_EQ(twice.status, kDone);
  router_.state().drops.clear_ports();
  EXPECT_EQ(router_.run({"drops"}).out, "nothing was dropped\n");
  EXPECT_EQ(router_.run({"drops", "--watch", "1ms"}).status, kWrongUsage);
}

api::TraceReply traced(std::string before, std::string after) {
  api::TraceReply reply;
  auto& m = *reply.mutable_message();
  m.set_received_ns(1'700'000'000'123'456'789);
  m.set_ingress_port("agents");
  m.set_egress_port(after.empty() ? "" : "core");
  m.set_frame_bytes(170);
  m.set_verdict(after.empty() ? "drop" : "forward");
  if (after.empty()) {
    m.mutable_drop()->set_reason("unknown_destination");
    m.mutable_drop()->set_text("nobody has that id");
  }
  auto& step = *m.add_steps();
  step.set_stage("resolve");
  step.set_verdict(m.verdict());
  step.set_text(after.empty() ? "" : "route to adjacency 5: 10.77.1.2 port core UDP 7601");
  step.set_reason(after.empty() ? "unknown_destination" : "");
  m.set_before(std::move(before));
  m.set_after(std::move(after));
  return reply;
}

TEST_F(Commands, TraceShowsStagesHeadersAndChangedBytes) {
  std::string before(14 + 20 + 8 + 64, '\0');
  before[12] = 8;  // IPv4
  before[14] = 0x45;
  before[22] = 64;
  before[23] = 17;
  before[42] = 0x14;
  before[46] = 16;  // hop limit
  std::string after = before;
  after[22] = 63;
  after[46] = 15;
  api::TraceReply started;
  started.mutable_started()->set_count(2);
  router_.state().trace = {started, traced(before, after), traced(before, "")};
  const auto ran = router_.run({"trace", "--count", "2", "--timeout", "5", "--destination", "a/b"});
  EXPECT_EQ(ran.status, kDone) << ran.err;
  compare("trace.out", ran.out);
  EXPECT_EQ(router_.state().requests.back(), R"(Trace destination: "a/b" count: 2 timeout_s: 5)");
  const auto json = router_.run({"trace", "--json"}).out;
  compare("trace.json", json);
  EXPECT_TRUE(nlohmann::json::accept(json.substr(0, json.find('\n'))));
}

TEST_F(Commands, TraceWithoutAMessageFails) {
  const auto ran = router_.run({"trace", "--timeout", "1"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(ran.err, "sluice: no such message came within 1 s\n");
  EXPECT_EQ(router_.run({"trace", "--timeout", "2h"}).status, kWrongUsage);
  EXPECT_EQ(router_.run({"trace", "--count", "1M"}).status, kWrongUsage);
}

TEST(CommandTable, EveryCommandHasATest) {
  std::vector<std::string> tested = {
      "cluster init",   "config show",  "trace",        "ping", "send",
      "listen",         "completion",   "complete",     "man",  "store restore",
      "store estimate", "store export", "store salvage"};
  for (const auto& row : rows()) {
    tested.push_back(row.words[0]);
    if (row.words.size() > 1) tested.push_back(row.words[0] + " " + row.words[1]);
  }
  for (const auto& command : commands()) {
    const std::string name = std::string(command.noun) +
                             (command.verb.empty() ? "" : std::string(" ").append(command.verb));
    EXPECT_NE(std::ranges::find(tested, name), tested.end()) << name;
  }
}

// Works without any control plane: what it makes is for one that does not run yet.
TEST_F(Commands, ClusterInitMakesKeysOrTakesThoseOfAToken) {
  std::string folder = (std::filesystem::temp_directory_path() / "sluice-init-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto file = folder + "/keys";
  const auto made = run_words({"cluster", "init", "--keys-file", file});
  EXPECT_EQ(made.status, kDone) << made.err;
  EXPECT_NE(made.out.find("keys-file: " + file), std::string::npos) << made.out;
  std::ifstream keys(file);
  std::string comment;
  std::string key;
  std::getline(keys, comment);
  std::getline(keys, key);
  EXPECT_EQ(from_base64(key).value_or("").size(), 32U);
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  // Never twice: the first would be lost.
  const auto again = run_words({"cluster", "init", "--keys-file", file});
  EXPECT_EQ(again.status, kFailed);
  EXPECT_NE(again.err.find("is there already"), std::string::npos) << again.err;

  const auto token = config::to_text({.join = {"192.0.2.1:7946"}, .label = "blue", .keys = {key}});
  const auto taken = run_words({"cluster", "init", "--token", token, "--keys-file", file + "2"});
  EXPECT_EQ(taken.status, kDone) << taken.err;
  EXPECT_NE(taken.out.find("join: [\"192.0.2.1:7946\"]\n  label: \"blue\""), std::string::npos);
  std::ifstream copied(file + "2");
  std::string text((std::istreambuf_iterator<char>(copied)), {});
  EXPECT_NE(text.find(key), std::string::npos);
  // The file that the configuration names, also before it has a section about the cluster.
  std::ofstream(folder + "/sluice.yaml") << "router: {state-dir: " << folder
                                         << "}\ndataplane: {workers: [1]}\n"
                                            "ports: [{name: p, device: net_null0}]\n";
  const auto named = run_words({"cluster", "init", "--config", folder + "/sluice.yaml"});
  EXPECT_EQ(named.status, kDone) << named.err;
  EXPECT_TRUE(std::filesystem::exists(folder + "/cluster.keys"));
  EXPECT_EQ(run_words({"cluster", "init", "--config", folder + "/none.yaml"}).status, kFailed);
  // The configuration takes absolute paths only; quotes keep its syntax.
  const auto relative = std::filesystem::relative(folder + "/odd #: \"1\"").string();
  const auto odd = run_words({"cluster", "init", "--keys-file", relative});
  EXPECT_EQ(odd.status, kDone) << odd.err;
  EXPECT_NE(odd.out.find("keys-file: \"" + folder + "/odd #: \\\"1\\\"\"\n"), std::string::npos)
      << odd.out;
  const auto over = [](const std::string& path) {
    return run_words({"cluster", "init", "--keys-file", path}).err;
  };
  EXPECT_NE(over(folder).find(folder + " is a folder"), std::string::npos);
  EXPECT_NE(over("/dev/null").find("/dev/null is no regular file"), std::string::npos);
  std::filesystem::create_symlink("/nowhere/keys", folder + "/link");
  EXPECT_NE(over(folder + "/link").find("leads nowhere"), std::string::npos);
  // A token that got lost is no wish for a new cluster.
  EXPECT_EQ(run_words({"cluster", "init", "--token", "", "--keys-file", file + "3"}).status, 2);
  EXPECT_FALSE(std::filesystem::exists(file + "3"));
  // Half a token has no keys, and must not make a router that speaks in the clear.
  for (const auto& bad : {std::string("x"), std::string("sluice1.x"), token.substr(0, 40)}) {
    const auto refused = run_words({"cluster", "init", "--token", bad, "--keys-file", file + "3"});
    EXPECT_EQ(refused.status, 2);
    EXPECT_EQ(refused.out, "");
  }
  std::filesystem::remove_all(folder);
}

TEST_F(Commands, ClusterKeysNeedsAKeyWhereOneIsMeant) {
  EXPECT_EQ(router_.run({"cluster", "keys", "use"}).status, 2);
  EXPECT_EQ(router_.run({"cluster", "keys", "list", "0123"}).status, 2);
  EXPECT_EQ(router_.run({"cluster", "keys", "swap"}).status, 2);
}

}  // namespace
}  // namespace sluice::cli
