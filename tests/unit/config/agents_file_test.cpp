// Files with very many agents, and files that cannot be read.
#include "config/agents_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"
#include "support.hpp"

namespace sluice::config {
namespace {

struct Parsed {
  AgentsFile file;
  std::vector<std::string> mistakes;
};

Parsed parse_lines(std::string_view text, Endpoints endpoints = Endpoints::kColumn) {
  TenantSet tenants;
  tenants.set(1);
  tenants.set(65535);
  Report report("main");
  Parsed out;
  out.file = parse_agents(text, "a", endpoints, tenants, report);
  Checked checked;
  report.finish(checked);
  for (const auto& diagnostic : checked.diagnostics)
    out.mistakes.push_back(to_string(diagnostic));
  return out;
}

TEST(AgentsFile, ReadsEveryForm) {
  const auto [file, mistakes] = parse_lines(
      "# all of them\n"
      "a/b/c/d 1 10.0.0.1:7600\n"
      "\n"
      "  a/b/c/e\t65535  [fd00::1]:80   tr/en,tr/fr # comment\r\n"
      "00112233-4455-6677-8899-aabbccddeeff 1 192.168.255.254:65535 x");
  EXPECT_TRUE(mistakes.empty()) << mistakes[0];
  ASSERT_EQ(file.agents.size(), 3U);
  EXPECT_EQ(file.lines, (std::vector<std::uint32_t>{2, 4, 5}));
  EXPECT_EQ(file.agents[0].id, id_of_name("a/b/c/d"));
  EXPECT_EQ(file.agents[0].name, "a/b/c/d");
  EXPECT_EQ(sluice::to_string(file.agents[0].endpoint), "10.0.0.1:7600");
  EXPECT_EQ(file.agents[1].tenant, 65535U);
  EXPECT_EQ(sluice::to_string(file.agents[1].endpoint), "[fd00::1]:80");
  EXPECT_EQ(file.agents[1].capabilities, (std::vector<std::string>{"tr/en", "tr/fr"}));
  EXPECT_EQ(file.agents[2].name, "");
  EXPECT_EQ(sluice::to_string(file.agents[2].endpoint), "192.168.255.254:65535");
  EXPECT_EQ(file.agents[2].capabilities, std::vector<std::string>{"x"});
}

TEST(AgentsFile, OfPeersHasNoEndpoints) {
  const auto [file, mistakes] = parse_lines("a/b/c/d 1 x,y\na/b/c/e 1\n", Endpoints::kNone);
  EXPECT_TRUE(mistakes.empty());
  ASSERT_EQ(file.agents.size(), 2U);
  EXPECT_EQ(file.agents[0].capabilities.size(), 2U);
  EXPECT_EQ(parse_lines("a/b/c/d 1 1.1.1.1:1 x", Endpoints::kNone).mistakes.size(), 1U);
}

TEST(AgentsFile, SaysWhereAndWhat) {
  const std::vector<std::pair<std::string, std::string>> kBad{
      {"a/b/c 1 1.1.1.1:1", "a:1:1: 'a/b/c' is neither a UUID nor an agent name"},
      {"00000000-0000-0000-0000-000000000000 1 1.1.1.1:1", "a:1:1: '00000000-0000"},
      {"a/b/c/d", "a:1:8: the tenant is missing; expected <name or uuid> <tenant> <endpoint>"},
      {"a/b/c/d x 1.1.1.1:1", "a:1:9: 'x' is no tenant"},
      {"a/b/c/d 0 1.1.1.1:1", "a:1:9: '0' is no tenant"},
      {"a/b/c/d 65536 1.1.1.1:1", "a:1:9: '65536' is no tenant"},
      {"a/b/c/d 2 1.1.1.1:1", "a:1:9: '2' is the number of no tenant"},
      {"a/b/c/d 1", "a:1:10: the endpoint is missing"},
      {"a/b/c/d 1 1.1.1.1", "a:1:11: '1.1.1.1' is no endpoint"},
      {"a/b/c/d 1 1.1.1.256:1", "a:1:11: "},
      {"a/b/c/d 1 1.1.1.1:65536", "a:1:11: "},
      {"a/b/c/d 1 1.1.1.1:0", "a:1:11: "},
      {"a/b/c/d 1 01.1.1.1:1", "a:1:11: "},
      {"a/b/c/d 1 0.0.0.0:1", "a:1:11: "},
      {"a/b/c/d 1 224.0.0.1:1", "a:1:11: "},
      {"a/b/c/d 1 [ff02::1]:1", "a:1:11: "},
      {"a/b/c/d 1 127.0.0.1:1", "a:1:11: '127.0.0.1:1' is no endpoint but a loopback address"},
      {"a/b/c/d 1 255.255.255.255:1", "a:1:11: '255.255.255.255:1' is no endpoint but the broad"},
      {"a/b/c/d 1 [::1]:1", "a:1:11: '[::1]:1' is no endpoint but a loopback address"},
      {"a/b/c/d 1 1.1.1.1:1x", "a:1:11: "},
      {"a/b/c/d 1 1.1.1.1:1 x,,y", "a:1:23: an empty capability"},
      {"a/b/c/d 1 1.1.1.1:1 x,y!", "a:1:23: 'y!' must be a capability name"},
      {"a/b/c/d 1 1.1.1.1:1 x y", "a:1:23: 'y' is one column too many"},
  };
  for (const auto& [line, expected] : kBad) {
    const auto [file, mistakes] = parse_lines(line);
    EXPECT_TRUE(file.agents.empty()) << line;
    ASSERT_EQ(mistakes.size(), 1U) << line;
    EXPECT_TRUE(mistakes[0].starts_with(expected)) << mistakes[0];
  }
}

TEST(AgentsFile, GoodLinesAroundABadOneAreKept) {
  const auto [file, mistakes] = parse_lines("a/b/c/d 1 1.1.1.1:1\nbad\na/b/c/e 1 1.1.1.1:1\n");
  EXPECT_EQ(file.agents.size(), 2U);
  ASSERT_EQ(mistakes.size(), 1U);
  EXPECT_TRUE(mistakes[0].starts_with("a:2:1: "));
}

TEST(AgentsFile, CapabilitiesAreNotMoreThanRegistrationTakes) {
  std::string list = "x";
  for (int i = 1; i < 32; ++i)
    list += ",x" + std::to_string(i);
  const std::string most = "a/b/c/d 1 1.1.1.1:1 " + list;
  const auto [file, mistakes] = parse_lines(most + "\n" + most + ",y\n" + most + "\n");
  EXPECT_EQ(file.agents.size(), 2U);
  ASSERT_EQ(mistakes.size(), 1U);
  EXPECT_TRUE(mistakes[0].starts_with("a:2:21: ")) << mistakes[0];
  EXPECT_TRUE(mistakes[0].ends_with("has more than 32 capabilities")) << mistakes[0];
}

TEST(AgentsFile, AMillionBadLinesEndSoon) {
  std::string text;
  for (int i = 0; i < 1'000'000; ++i)
    text += "x\n";
  const auto before = monotonic_ns();
  const auto mistakes = parse_lines(text).mistakes;
  EXPECT_LT(monotonic_ns() - before, kNsPerSecond);
  ASSERT_EQ(mistakes.size(), 1001U);
  EXPECT_EQ(mistakes.back(), "a:1001:1: not read from here on, after 1000 mistakes");
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "sluice-config-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(path_ + "/" + name) << text;
    return path_ + "/" + name;
  }
  std::string check_all(const std::string& text) {
    std::string out;
    for (const auto& diagnostic : check(write("c.yaml", text)).diagnostics) {
      out += to_string(diagnostic) + "\n";
    }
    std::string shown;  // with the folder as P
    for (std::size_t at = 0; at < out.size();) {
      const auto next = std::min(out.find(path_, at), out.size());
      shown.append(out, at, next - at);
      if (next < out.size()) shown.push_back('P');
      at = next + path_.size();
    }
    return shown;
  }

  std::string path_;
};

const std::string kTenant = "tenants: [{id: 1, name: t}]\n";

TEST_F(Folder, FilesAreReadFromTheFolderOfTheConfiguration) {
  write("key", "000102030405060708090a0b0c0d0e0f\n");
  write("more", "a/b/c/d 1 1.1.1.1:1\n");
  write("theirs", "e/f/g/h 1\n");
  const auto path =
      write("c.yaml", with_top("tenants: [{id: 1, name: t, token-key-file: key}]\n"
                               "agents-file: more\n"
                               "peers: [{name: p, address: 1.1.1.2, agents-file: theirs}]"));
  const auto config = load(path);
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->tenants[0].token_key.size(), 16U);
  ASSERT_EQ(config->file_agents.size(), 1U);
  std::vector<StaticAgent> agents;
  config->file_agents.for_each([&](const StaticAgent& agent) {
    agents.push_back(agent);
    return true;
  });
  ASSERT_EQ(agents.size(), 1U);
  EXPECT_EQ(agents[0].name, "a/b/c/d");
  EXPECT_EQ(agents[0].id, id_of_name("a/b/c/d"));
  EXPECT_EQ(sluice::to_string(agents[0].endpoint), "1.1.1.1:1");
  ASSERT_EQ(config->peers[0].file_agents.size(), 1U);
  EXPECT_EQ(show_yaml(*config).find("***"), std::string::npos);  // the file is shown, not its key
  const auto without = load(path, Files::kSkip);
  ASSERT_TRUE(without);
  EXPECT_TRUE(without->file_agents.empty());
  EXPECT_TRUE(without->tenants[0].token_key.empty());
}

TEST_F(Folder, AgentsInFilesAreOtherHosts) {
  write("more", "a/b/c/d 1 10.0.0.1:1\na/b/c/e 1 10.0.0.2:1\na/b/c/f 1 10.0.0.255:1\n");
  const auto path =
      write("c.yaml", with_port("addresses: [10.0.0.1/24]\n" + kTenant + "agents-file: more"));
  const auto checked = check(path);
  ASSERT_EQ(checked.diagnostics.size(), 2U);
  EXPECT_EQ(to_string(checked.diagnostics[0]),
            path_ +
                "/more:1:1: the endpoint 10.0.0.1:1 is this router's own address on port one; "
                "must be another host's");
  EXPECT_EQ(to_string(checked.diagnostics[1]),
            path_ +
                "/more:3:1: the endpoint 10.0.0.255:1 is the broadcast address of the network "
                "of port one; must be another host's");
}

TEST_F(Folder, ATextThatWasLetGoStillTellsWhetherAnotherIsTheSame) {
  const std::string text = "a/b/c/d 1 1.1.1.1:1 x,y\na/b/c/e 1 1.1.1.1:2\n";
  FileAgents agents(text, true, 2);
  unsigned seen = 0;
  const auto count = [&](const StaticAgent&) { return ++seen < 1; };
  agents.for_each(count);
  EXPECT_EQ(seen, 1U) << "until it is told to stop";
  agents.release();
  agents.for_each(count);
  EXPECT_EQ(seen, 1U);
  EXPECT_EQ(agents, FileAgents(text, true, 2));
  EXPECT_NE(agents, FileAgents(text + " ", true, 2));
  Config config;
  config.file_agents = agents;
  EXPECT_EQ(agents_in(config), 2U);
}

TEST_F(Folder, ATextCanBeTakenOverInPieces) {
  std::string text;
  for (unsigned n = 0; n < 100'000; ++n)
    text += "a/b/c/" + std::to_string(n) + " 1 1.1.1.1:" + std::to_string(1 + n % 60'000) + "\n";
  text.pop_back();
  ASSERT_GT(text.size(), 2'000'000U);
  FileAgents agents(text, true, 100'000);
  FileAgents whole = agents;
  unsigned seen = 0;
  const auto look = [&](const StaticAgent& agent) {
    EXPECT_EQ(agent.name, "a/b/c/" + std::to_string(seen));
    EXPECT_EQ(agent.endpoint.port, 1 + seen % 60'000);
    return ++seen != 90'000;
  };
  agents.for_each(look);
  EXPECT_EQ(seen, 90'000U);
  seen = 0;
  whole = FileAgents(text, true, 100'000);
  whole.consume(look);
  EXPECT_EQ(seen, 90'000U) << "until it is told to stop";
  whole.consume(look);
  EXPECT_EQ(seen, 90'000U) << "nothing is left";
  EXPECT_EQ(whole, agents);
}

TEST_F(Folder, NobodyInAFileIsTheRouter) {
  std::string text = "\nrouter/x/y/z 1 1.1.1.1:1\n";
  text += sluice::to_string(id_of_name("router/r"));
  text += " 1 1.1.1.1:1\n";
  write("more", text);
  EXPECT_EQ(check_all(with_top(kTenant + "router: {name: r}\nagents-file: more")),
            "P/more:3:1: this id is the router's own\n");
}

TEST_F(Folder, TheSameAgentInSeveralFiles) {
  write("more", "# first\na/b/c/d 1 1.1.1.1:1\na/b/c/d 1 1.1.1.1:2\n");
  write("theirs", "x/y/z/1 1\na/b/c/d 1\n");
  EXPECT_EQ(
      check_all(with_top(kTenant + "agents-file: more\n"
                                   "peers: [{name: p, address: 1.1.1.2, agents-file: theirs}]")),
      "P/more:3:1: agent a/b/c/d is there already, in P/more:2\n"
      "P/theirs:2:1: agent a/b/c/d is there already, in P/more:3\n");
}

TEST_F(Folder, MoreAgentsThanTheStoreTakes) {
  write("more", "a/b/c/d 1 1.1.1.1:1\na/b/c/e 1 1.1.1.1:2\n");
  const auto with = [&](const std::string& agents) {
    return check_all(with_top(kTenant + "agents-file: more\nstore: {agents: " + agents + "}"));
  };
  EXPECT_EQ(with("2"), "");
  EXPECT_EQ(with("1"),
            "P/c.yaml:8:17: store.agents: is 1, but the configuration and its files have 2 agents; "
            "must be at least that, and room for those that register\n");
}

TEST_F(Folder, FilesThatCannotBeRead) {
  EXPECT_EQ(check_all(with_top("agents-file: gone")),
            "P/c.yaml:6:14: agents-file: cannot open P/gone: No such file or directory\n");
  EXPECT_EQ(check_all(with_top("agents-file: .")),
            "P/c.yaml:6:14: agents-file: cannot read P/.: is not a regular file\n");
  ASSERT_EQ(::mkfifo((path_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(check_all(with_top("agents-file: fifo")),
            "P/c.yaml:6:14: agents-file: cannot read P/fifo: is not a regular file\n");
  EXPECT_EQ(
      check_all(with_top("tenants: [{id: 1, name: t, token-key-file: gone}]")),
      "P/c.yaml:6:44: tenants[0].token-key-file: cannot open P/gone: No such file or directory\n");
  write("short", "abcd\n");
  EXPECT_EQ(check_all(with_top("tenants: [{id: 1, name: t, token-key-file: short}]")),
            "P/short:1:1: must hold 32 to 128 hex digits, an even number\n");
  const auto missing = load(path_ + "/none.yaml");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("No such file or directory"), std::string::npos);
}

TEST_F(Folder, MistakesInFilesHaveTheirPlace) {
  write("more", "a/b/c/d 1 1.1.1.1:1\na/b/c/e 7 1.1.1.1:1\n");
  EXPECT_EQ(
      check_all(with_top(kTenant + "agents-file: more\nhold: {total: x}")),
      "P/c.yaml:8:15: hold.total: 'x' is not allowed; must be a whole number from 0 to 1048576 "
      "(messages)\n"
      "P/more:2:9: '7' is the number of no tenant; see tenants\n");
}

// The bound is loose; the figure is printed.
#if defined(SLUICE_SANITIZED)
constexpr unsigned kVeryMany = 100'000;  // not optimised, and every access is checked
#else
constexpr unsigned kVeryMany = 1'000'000;
#endif
constexpr std::uint64_t kQuickMs = 10'000;

TEST_F(Folder, VeryManyAgentsLoadQuickly) {
  std::string text;
  for (unsigned i = 0; i < kVeryMany; ++i) {
    text += "acme/prod/worker/" + std::to_string(i) + " 1 10." + std::to_string(i >> 16 & 255) +
            "." + std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255) +
            ":7600 translate/en\n";
  }
  write("more", text);
  const auto path =
      write("c.yaml", with_top(kTenant + "agents-file: more\nstore: {agents: 1000000}"));
  const auto before = monotonic_ns();
  const auto config = load(path);
  const auto took_ms = (monotonic_ns() - before) / kNsPerMs;
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->file_agents.size(), kVeryMany);
  EXPECT_LT(took_ms, kQuickMs);
  RecordProperty("milliseconds", static_cast<int>(took_ms));
}

}  // namespace
}  // namespace sluice::config
