// Completion, help and the manual page: all made from the table, so every command must be in them.
#include <gtest/gtest.h>

#include "controlplane/cli/help.hpp"
#include "controlplane/cli/parse.hpp"
#include "fixture.hpp"

namespace sluice::cli {
namespace {

class Complete : public testing::Test {
 protected:
  Complete() { fill(router_.state()); }
  std::string at(const std::string& line) { return router_.run({"complete", "--", line}).out; }
  FakeControlPlane router_;
};

TEST_F(Complete, Words) {
  EXPECT_EQ(at("sluice po"), "port\n");
  EXPECT_EQ(at("sluice port "), "list\nshow\n");
  EXPECT_EQ(at("sluice port s"), "show\n");
  EXPECT_EQ(at("sluice stat"), "status\nstats\n");
  EXPECT_EQ(at("sluice comp"), "completion\n");  // not the hidden one
  EXPECT_EQ(at("sluice"), "");
  EXPECT_EQ(at(""), "");
}

TEST_F(Complete, Options) {
  EXPECT_EQ(at("sluice trace --co"), "--count\n--config\n");
  EXPECT_EQ(at("sluice --js"), "--json\n");
  EXPECT_EQ(at("sluice agent list --origin "), "static\nregistered\npeer\n");
  EXPECT_EQ(at("sluice agent list --origin=p"), "peer\n");
  EXPECT_EQ(at("sluice completion "), "bash\n");
  EXPECT_EQ(at("sluice config check "), ":files\n");
  EXPECT_EQ(at("sluice --config "), ":files\n");
}

TEST_F(Complete, NamesTheRouterKnows) {
  EXPECT_EQ(at("sluice port show "), "agents\n");
  EXPECT_EQ(at("sluice stats --port a"), "agents\n");
  EXPECT_EQ(at("sluice agent show acme/"), "acme/prod/translate/7\n");
  EXPECT_EQ(router_.state().requests.back(), R"(List limit: 200 name_prefix: "acme/")");
  EXPECT_EQ(at("sluice peer delete "), "r2\n");
  EXPECT_EQ(at("sluice agent list --tenant "), "1\n");
  EXPECT_EQ(at("sluice --socket /nowhere port show "), "");  // that router does not answer
}

TEST_F(Complete, ColonsBreakWordsInBash) {
  router_.state().pages[0].mutable_agents(0)->set_name("acme/prod/a:b/7");
  EXPECT_EQ(at("sluice agent show acme/prod/a:"), "b/7\n");
}

TEST(Help, NamesEveryCommandAndOption) {
  const auto overview = run_words({"--help"});
  EXPECT_EQ(overview.status, kDone);
  const auto page = run_words({"man"}).out;
  for (const auto& command : commands()) {
    if (command.hidden) continue;
    EXPECT_NE(overview.out.find("  " + name_of(command) + " "), std::string::npos);
    std::string heading = ".SS " + name_of(command);
    for (auto at = heading.find('-'); at != std::string::npos; at = heading.find('-', at + 2))
      heading.insert(at, 1, '\\');
    EXPECT_NE(page.find(heading), std::string::npos) << heading;
    std::vector<std::string> words = {std::string(command.noun)};
    if (!command.verb.empty()) words.emplace_back(command.verb);
    words.emplace_back("--help");
    const auto help = run_words(words);
    EXPECT_EQ(help.status, kDone);
    for (const auto& option : command.options) {
      EXPECT_NE(help.out.find("  --" + std::string(option.name)), std::string::npos) << option.name;
    }
  }
  EXPECT_NE(page.find(".B \\-\\-wait\\-notices SECONDS"), std::string::npos);
  EXPECT_NE(run_words({"agent", "--help"}).out.find("agent token"), std::string::npos);
}

TEST(Help, IsAsTheTableSays) {
  const auto help = run_words({"agent", "token", "--help"}).out;
  EXPECT_TRUE(
      help.starts_with("usage: sluice agent token AGENT [options]\n\n"
                       "print the token an agent proves itself with\n\n"
                       "Arguments:\n  AGENT  name or id of the agent\n\n"
                       "Options:\n  --tenant N (required)  tenant of the agent\n"))
      << help;
}

TEST(Completion, ScriptAsksTheCommandItself) {
  const auto script = run_words({"completion", "bash"}).out;
  EXPECT_NE(script.find("sluice complete -- \"${COMP_LINE:0:COMP_POINT}\""), std::string::npos);
  EXPECT_NE(script.find("complete -F _sluice sluice\n"), std::string::npos);
}

}  // namespace
}  // namespace sluice::cli
