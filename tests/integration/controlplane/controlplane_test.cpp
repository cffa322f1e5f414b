// The whole control plane as a program, without a dataplane: its API, the kernel's addresses and
// neighbours, reload, locks, stop. The host interface is one end of a veth pair.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <set>

#include "sluice/base/names.hpp"
#include "tests/integration/controlplane/process.hpp"

namespace sluice::test {
namespace {

class ControlPlaneTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { have_network_ = enter_own_network(); }
  void SetUp() override {
    ASSERT_TRUE(have_network_) << "needs the right to make a network namespace (root)";
    add_interface();
  }
  void TearDown() override {
    // lint: allow shell: a fixed command, which may fail when the test has removed the link
    if (have_network_) (void)std::system("ip link del sl-one 2>/dev/null");
  }

  static void add_interface() {
    shell("ip link add sl-one type veth peer name wire-one && ip link set wire-one up");
  }
  std::string config(const std::string& rest = "") const {
    return "router: {name: test, run-dir: " + folder_.path() +
           "/run, state-dir: " + folder_.path() + "/state}\n" +
           "dataplane: {workers: [0], huge-pages: off, routes: " + routes_ + "}\n" +
           "ports: [{name: one, device: net_null0, host-interface: sl-one, "
           "addresses: [10.77.1.1/24, \"fd77::1/64\"]}]\n" +
           "tenants: [{id: 1, name: t, token-key: " + std::string(64, 'a') + "}]\n" +
           "metrics: {listen: 127.0.0.1:9464}\n" + rest;
  }
  static api::Agent show(ControlPlaneProcess& process, const std::string& agent) {
    api::ShowAgentRequest request;
    request.set_agent(agent);
    api::Agent reply;
    const auto status = call(process.agents(), &api::Agents::Stub::Show, request, reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  }
  static api::LookupRouteReply lookup(ControlPlaneProcess& process, const std::string& what) {
    api::LookupRouteRequest request;
    request.set_what(what);
    api::LookupRouteReply reply;
    (void)call(process.forwarding(), &api::Forwarding::Stub::LookupRoute, request, reply);
    return reply;
  }
  static std::vector<std::string> list(ControlPlaneProcess& process,
                                       const api::ListAgentsRequest& request, std::string* next) {
    grpc::ClientContext context;
    auto reader = process.agents().List(&context, request);
    std::vector<std::string> ids;
    for (api::AgentPage page; reader->Read(&page);) {
      EXPECT_LE(page.agents_size(), 512);
      for (const auto& agent : page.agents())
        ids.push_back(agent.id());
      if (next != nullptr) *next = page.next();
    }
    EXPECT_TRUE(reader->Finish().ok());
    return ids;
  }

  Folder folder_;
  std::string routes_ = "65536";
  static inline bool have_network_ = false;
};

constexpr const char* kAgent =
    "agents: [{name: acme/prod/echo/1, tenant: 1, endpoint: \"10.77.1.2:7601\", "
    "capabilities: [echo]}]\n";

TEST_F(ControlPlaneTest, StartsWithoutADataplaneAnswersAndStops) {
  ControlPlaneProcess process(folder_, config(kAgent));
  ASSERT_TRUE(process.wait_ready()) << folder_.read("log");
  api::StatusReply status;
  ASSERT_TRUE(call(process.router(), &api::Router::Stub::Status, {}, status).ok());
  EXPECT_EQ(status.router_name(), "test");
  EXPECT_EQ(status.link().state(), api::LINK_DISCONNECTED);
  EXPECT_FALSE(status.link().detail().empty());
  EXPECT_EQ(status.registry().agents_static(), 1u);
  EXPECT_FALSE(status.has_dataplane());
  struct stat facts{};
  ASSERT_EQ(::stat((folder_.path() + "/run/api.sock").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0660u);
  api::StatsReply stats;
  EXPECT_EQ(call(process.router(), &api::Router::Stub::Stats, {}, stats).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  api::TraceRequest trace;
  trace.set_count(1);
  grpc::ClientContext context;
  api::TraceReply reply;
  auto reader = process.router().Trace(&context, trace);
  EXPECT_FALSE(reader->Read(&reply));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);

  process.signal(SIGTERM);
  EXPECT_EQ(process.wait_exit(), 0);
  EXPECT_NE(folder_.read("log").find("event=stopped"), std::string::npos);
}

TEST_F(ControlPlaneTest, KeepsTheHashKeyAndRefusesASecondOne) {
  ControlPlaneProcess first(folder_, config());
  ASSERT_TRUE(first.wait_ready());
  const std::string key = folder_.read("state/hash.key");
  EXPECT_EQ(key.size(), 32u);
  {
    ControlPlaneProcess second(folder_, config());
    EXPECT_EQ(second.wait_exit(), 1);
    EXPECT_NE(folder_.read("log").find("another control plane uses"), std::string::npos);
  }
  ASSERT_TRUE(first.wait_ready()) << "the first one is none the worse for it";
  first.signal(SIGKILL);
  first.wait_exit();
  ControlPlaneProcess third(folder_, config());
  ASSERT_TRUE(third.wait_ready()) << "nothing stale is in the way after a kill";
  EXPECT_EQ(folder_.read("state/hash.key"), key);
}

TEST_F(ControlPlaneTest, FollowsTheKernel) {
  ControlPlaneProcess process(folder_, config(kAgent));
  ASSERT_TRUE(process.wait_ready());
  ASSERT_TRUE(eventually([] {
    const auto addresses = output_of("ip -o addr show dev sl-one");
    return addresses.find("10.77.1.1/24") != std::string::npos &&
           addresses.find("fd77::1/64") != std::string::npos;
  })) << "configured addresses are put on the host interface";
  ASSERT_TRUE(eventually(
      [&] { return lookup(process, "acme/prod/echo/1").kind() == api::ROUTE_ADJACENCY; }));
  EXPECT_NE(lookup(process, "acme/prod/echo/1").adjacency().state(), api::ADJACENCY_UP);

  shell("ip neigh replace 10.77.1.2 dev sl-one lladdr 02:00:00:00:00:05 nud permanent");
  const auto has_mac = [&](const char* mac) {
    return [&process, mac] {
      const auto route = lookup(process, "acme/prod/echo/1");
      return route.adjacency().state() == api::ADJACENCY_UP && route.adjacency().mac() == mac;
    };
  };
  ASSERT_TRUE(eventually(has_mac("02:00:00:00:00:05"))) << folder_.read("log");
  EXPECT_EQ(lookup(process, "acme/prod/echo/1").udp_port(), 7601u);
  EXPECT_EQ(lookup(process, "acme/prod/echo/1").adjacency().source(), "10.77.1.1");
  EXPECT_EQ(lookup(process, "echo").members_size(), 1);
  shell("ip neigh replace 10.77.1.2 dev sl-one lladdr 02:00:00:00:00:06 nud permanent");
  ASSERT_TRUE(eventually(has_mac("02:00:00:00:00:06"))) << "a changed link address";

  // The dataplane goes and comes: its interface is another one, and gets the addresses again.
  shell("ip link del sl-one");
  add_interface();
  ASSERT_TRUE(eventually([] {
    return output_of("ip -o addr show dev sl-one").find("10.77.1.1/24") != std::string::npos;
  }));
  EXPECT_TRUE(has_mac("02:00:00:00:00:06")()) << "the last known way stays in use";

  // Behind a gateway.
  api::AddAgentRequest add;
  add.set_agent("acme/prod/far/1");
  add.set_tenant(1);
  add.set_endpoint("192.0.2.7:7700");
  api::AddAgentReply added;
  ASSERT_TRUE(call(process.agents(), &api::Agents::Stub::Add, add, added).ok());
  ASSERT_TRUE(eventually(
      [&] { return show(process, "acme/prod/far/1").reachability() == api::REACH_NO_ROUTE; }));
  EXPECT_EQ(lookup(process, "acme/prod/far/1").kind(), api::ROUTE_UNREACHABLE);
  shell("ip neigh replace 10.77.1.254 dev sl-one lladdr 02:00:00:00:00:fe nud permanent");
  shell("ip route add 192.0.2.0/24 via 10.77.1.254");
  ASSERT_TRUE(eventually([&] {
    const auto route = lookup(process, "acme/prod/far/1");
    return route.adjacency().state() == api::ADJACENCY_UP &&
           route.adjacency().next_hop() == "10.77.1.254";
  })) << folder_.read("log");
  shell("ip route del 192.0.2.0/24");
  EXPECT_TRUE(eventually(
      [&] { return lookup(process, "acme/prod/far/1").kind() == api::ROUTE_UNREACHABLE; }));
}

TEST_F(ControlPlaneTest, ReloadsWhatCanBeAndRefusesTheRestWhole) {
  ControlPlaneProcess process(folder_, config(kAgent));
  ASSERT_TRUE(process.wait_ready());
  const auto reload = [&](const std::string& content) {
    folder_.write("sluice.yaml", content);
    api::ReloadConfigReply reply;
    return call(process.router(), &api::Router::Stub::ReloadConfig, {}, reply);
  };
  const auto agents = [&] { return list(process, {}, nullptr).size(); };
  const std::string two =
      "agents: [{name: acme/prod/echo/2, tenant: 1, endpoint: \"10.77.1.3:1\"}, "
      "{name: acme/prod/echo/3, tenant: 1, endpoint: \"10.77.1.4:1\"}]\n";

  EXPECT_EQ(reload(config("nonsense: 1\n")).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(agents(), 1u);
  routes_ = "131072";
  const auto boot = reload(config(two));
  EXPECT_FALSE(boot.ok());
  EXPECT_NE(boot.error_message().find("dataplane.routes"), std::string::npos);
  EXPECT_EQ(agents(), 1u) << "refused whole: the agents of the same file are not taken, either";
  routes_ = "65536";
  EXPECT_TRUE(reload(config(two)).ok());
  EXPECT_EQ(agents(), 2u);
  show(process, "acme/prod/echo/3");

  folder_.write("sluice.yaml", config(kAgent));
  process.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return agents() == 1; }));
}

TEST_F(ControlPlaneTest, ListsManyAgentsInPagesAndPieces) {
  std::string file;
  std::set<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "acme/prod/load/" + std::to_string(i);
    file += name + " 1 10.77.1.2:" + std::to_string(1024 + i) + (i % 3 == 0 ? " third" : "") + "\n";
    const Id id = id_of_name(name);
    expected.emplace(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
  }
  folder_.write("agents.txt", file);
  ControlPlaneProcess process(folder_, config("agents-file: agents.txt\n"));
  ASSERT_TRUE(process.wait_ready()) << folder_.read("log");
  const auto all = list(process, {}, nullptr);
  EXPECT_EQ(all, std::vector<std::string>(expected.begin(), expected.end())) << "in order";

  api::ListAgentsRequest request;
  request.set_limit(700);
  std::vector<std::string> pieces;
  std::string next;
  do {
    const auto piece = list(process, request, &next);
    pieces.insert(pieces.end(), piece.begin(), piece.end());
    request.set_after(next);
  } while (!next.empty());
  EXPECT_EQ(pieces, all);

  api::ListAgentsRequest third;
  third.set_capability("third");
  EXPECT_EQ(list(process, third, nullptr).size(), 1000u);
  third.set_name_prefix("acme/prod/load/29");
  EXPECT_EQ(list(process, third, nullptr).size(), 36u) << "291, 2901 and so on";
}

TEST_F(ControlPlaneTest, MistakesAreAnsweredWithWhatToDo) {
  ControlPlaneProcess process(folder_, config(kAgent));
  ASSERT_TRUE(process.wait_ready());
  api::ShowAgentRequest request;
  api::Agent agent;
  request.set_agent("acme/prod/ehco/1");
  auto status = call(process.agents(), &api::Agents::Stub::Show, request, agent);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(status.error_message().find("did you mean 'acme/prod/echo/1'"), std::string::npos);
  request.set_agent("no agent name");
  EXPECT_EQ(call(process.agents(), &api::Agents::Stub::Show, request, agent).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  api::AddAgentRequest add;
  api::AddAgentReply added;
  add.set_agent("acme/prod/new/1");
  add.set_tenant(9);
  add.set_endpoint("10.77.1.9");
  EXPECT_EQ(call(process.agents(), &api::Agents::Stub::Add, add, added).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  add.set_tenant(1);
  add.set_endpoint("somewhere");
  EXPECT_EQ(call(process.agents(), &api::Agents::Stub::Add, add, added).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  add.set_endpoint("10.77.1.9");
  ASSERT_TRUE(call(process.agents(), &api::Agents::Stub::Add, add, added).ok());
  EXPECT_EQ(added.agent().endpoint(), "10.77.1.9:7600");
  EXPECT_EQ(call(process.agents(), &api::Agents::Stub::Add, add, added).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
  api::DeleteAgentRequest remove;
  api::DeleteAgentReply removed;
  remove.set_agent("acme/prod/echo/1");
  status = call(process.agents(), &api::Agents::Stub::Delete, remove, removed);
  EXPECT_NE(status.error_message().find("config reload"), std::string::npos) << "configured";
  remove.set_agent("acme/prod/new/1");
  EXPECT_TRUE(call(process.agents(), &api::Agents::Stub::Delete, remove, removed).ok());

  api::ListPortsRequest ports;
  api::ListPortsReply listed;
  ports.set_port("two");
  status = call(process.forwarding(), &api::Forwarding::Stub::ListPorts, ports, listed);
  EXPECT_NE(status.error_message().find("there are: one"), std::string::npos);
}

TEST_F(ControlPlaneTest, ExportsMetrics) {
  ControlPlaneProcess process(folder_, config(kAgent));
  ASSERT_TRUE(process.wait_ready());
  const auto text = output_of("curl -s http://127.0.0.1:9464/metrics");
  EXPECT_NE(text.find("sluice_registry_agents{origin=\"static\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("# TYPE sluice_lease_renewals_total counter"), std::string::npos);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait_exit(), 0);
}

}  // namespace
}  // namespace sluice::test
