// Values by kind, the grammar, and what is said about wrong command lines.
#include "controlplane/cli/parse.hpp"

#include <gtest/gtest.h>

#include <set>

#include "controlplane/cli/values.hpp"

namespace sluice::cli {
namespace {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;

// The words stay alive as long as what refers to them.
std::string message_of(const Words& words) {
  const auto parsed = parse(words);
  return parsed ? "no error" : parsed.error().message;
}

TEST(Values, Counts) {
  EXPECT_EQ(parse_count("0"), 0u);
  EXPECT_EQ(parse_count("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_count("10k"), 10'000u);
  EXPECT_EQ(parse_count("2.5M"), 2'500'000u);
  for (const auto* bad : {"", "-1", "1.5", "x", "10 k", "1e99", "99999999999999999999", "k", "0x5"})
    EXPECT_FALSE(parse_count(bad)) << bad;
}

TEST(Values, Durations) {
  EXPECT_EQ(parse_duration("2"), 2s);
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("1.5m"), 90s);
  EXPECT_EQ(parse_duration("0.25"), 250ms);
  EXPECT_EQ(parse_duration("3h"), 3h);
  for (const auto* bad : {"", "-1s", "5 parsecs", "inf", "nan", "1000000h0"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Values, LifetimesAreRoundedUpToAPowerOfTwo) {
  EXPECT_EQ(lifetime_code(0s), 0);
  EXPECT_EQ(lifetime_code(1ms), 1);
  EXPECT_EQ(lifetime_code(3ms), 3);  // 4 ms
  EXPECT_EQ(lifetime_code(1s), 11);  // 1024 ms
  EXPECT_FALSE(lifetime_code(24h * 30));
}

TEST(Values, EachKindTakesTheRightAndRefusesTheWrong) {
  const std::string token(64, 'a');
  const std::vector<std::tuple<Kind, std::string, std::string>> rows = {
      {Kind::kAgent, "a/b/c/d", "a/b"},
      {Kind::kAgentName, "a/b/c/d", "11111111-2222-3333-4444-555555555555"},
      {Kind::kId, "11111111-2222-3333-4444-555555555555", "a/b/c/d"},
      {Kind::kTarget, "translate/en", "a b"},
      {Kind::kCapability, "translate", "trans late"},
      {Kind::kPort, "agents", "two words"},
      {Kind::kTenant, "65535", "65536"},
      {Kind::kEndpoint, "[fd00::1]:5", "host.example"},
      {Kind::kRouter, "10.0.0.1", "10.0.0.1:"},
      {Kind::kCount, "1", "0"},
      {Kind::kSize, "65423", "65424"},
      {Kind::kClass, "7", "8"},
      {Kind::kOrigin, "peer", "peers"},
      {Kind::kToken, token, token + "0"},
      {Kind::kToken, token, std::string(63, 'a') + "g"},
      {Kind::kShell, "bash", "fish"},
  };
  for (const auto& [kind, good, bad] : rows) {
    EXPECT_TRUE(check_value(kind, good)) << good;
    EXPECT_FALSE(check_value(kind, bad)) << bad;
  }
}

TEST(Nearest, FindsTypingMistakesAndNothingElse) {
  const std::vector<std::string_view> known = {"agent", "adjacency", "route", "stats", "status"};
  EXPECT_EQ(nearest("agnet", known), std::vector<std::string_view>{"agent"});
  EXPECT_EQ(nearest("statsu", known), (std::vector<std::string_view>{"stats", "status"}));
  EXPECT_EQ(nearest("adj", known), std::vector<std::string_view>{"adjacency"});
  EXPECT_TRUE(nearest("elephant", known).empty());
  EXPECT_EQ(did_you_mean("rout", known), ". Did you mean 'route'?");
}

TEST(Table, IsConsistent) {
  std::set<std::string> names;
  for (const auto& command : commands()) {
    EXPECT_TRUE(names.insert(name_of(command)).second) << name_of(command);
    EXPECT_NE(command.run, nullptr) << name_of(command);
    EXPECT_FALSE(command.help.empty());
    bool optional = false;
    for (const auto& p : command.parameters) {
      EXPECT_FALSE(optional && !p.optional) << name_of(command);  // optional ones come last
      optional = p.optional;
    }
    std::set<std::string_view> options;
    for (const auto& o : command.options) {
      EXPECT_TRUE(options.insert(o.name).second) << name_of(command) << " " << o.name;
      EXPECT_EQ(o.form == Form::kFlag, o.value.empty()) << o.name;
      EXPECT_FALSE(o.help.empty()) << o.name;
      if (!o.fallback.empty()) {
        EXPECT_TRUE(check_value(o.kind, o.fallback)) << o.name;
      }
    }
  }
}

TEST(Parse, TakesArgumentsAndOptionsInAnyOrder) {
  const Words words = {"--json",       "agent",    "add",          "--tenant=3",
                       "a/b/c/d",      "10.0.0.1", "--capability", "x",
                       "--capability", "y",        "--timeout",    "2"};
  const auto parsed = parse(words);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(name_of(*parsed->command), "agent add");
  EXPECT_TRUE(parsed->has("json"));
  EXPECT_EQ(parsed->text("AGENT"), "a/b/c/d");
  EXPECT_EQ(parsed->text("ENDPOINT"), "10.0.0.1");
  EXPECT_EQ(parsed->number("tenant"), 3u);
  EXPECT_EQ(parsed->all("capability"), (Words{"x", "y"}));
  EXPECT_EQ(parsed->duration("timeout"), 2s);
}

// As of "$(ssh ...)" that failed.
TEST(Parse, NothingIsNotAValue) {
  EXPECT_EQ(message_of({"cluster", "init", "--token", ""}), "--token: must not be empty");
  EXPECT_EQ(message_of({"cluster", "init", "--token="}), "--token: must not be empty");
  for (const auto& command : commands()) {
    for (const auto& option : command.options) {
      if (option.form == Form::kFlag || option.kind == Kind::kAnyText) continue;
      EXPECT_FALSE(check_value(option.kind, "")) << name_of(command) << " " << option.name;
    }
    for (const auto& parameter : command.parameters) {
      if (parameter.kind == Kind::kAnyText) continue;
      EXPECT_FALSE(check_value(parameter.kind, "")) << name_of(command) << " " << parameter.name;
    }
  }
  for (const auto& option : global_options()) {
    if (option.form == Form::kFlag) continue;
    EXPECT_FALSE(check_value(option.kind, "")) << option.name;
  }
  EXPECT_TRUE(check_value(Kind::kAnyText, ""));
}

TEST(Parse, DefaultsComeFromTheTableAndTheCommandsOwnOptionWins) {
  const Words stats = {"stats"};
  EXPECT_FALSE(parse(stats)->has("watch"));
  EXPECT_EQ(parse(stats)->duration("timeout"), 10s);
  const Words trace = {"trace"};
  EXPECT_EQ(parse(trace)->duration("timeout"), 60s);
  EXPECT_EQ(parse(trace)->number("count"), 1u);
}

TEST(Parse, AnOptionalValueIsTakenOnlyWhenItIsOne) {
  const Words with = {"stats", "--watch", "5"};
  EXPECT_EQ(parse(with)->duration("watch"), 5s);
  const Words without = {"stats", "--watch", "--json"};
  EXPECT_EQ(parse(without)->duration("watch"), 1s);
  EXPECT_TRUE(parse(without)->has("json"));
  const Words last = {"stats", "--watch"};
  EXPECT_EQ(parse(last)->duration("watch"), 1s);
}

TEST(Parse, AfterTwoDashesEverythingIsAnArgument) {
  const Words words = {"complete", "--", "--x"};
  EXPECT_EQ(parse(words)->text("LINE"), "--x");
}

TEST(Parse, SaysWhatIsWrong) {
  EXPECT_EQ(message_of({"agnet"}), "there is no command 'agnet'. Did you mean 'agent'?");
  EXPECT_EQ(message_of({"port", "lsit"}),
            "'port' has no 'lsit', but list, show. Did you mean 'list'?");
  EXPECT_EQ(message_of({"port"}), "'port' needs one of list, show");
  EXPECT_EQ(message_of({"--json"}), "a command is missing");
  EXPECT_EQ(message_of({"port", "show"}), "PORT is missing: name of the port");
  EXPECT_EQ(message_of({"port", "list", "x"}), "'x' is one argument too many for 'port list'");
  EXPECT_EQ(message_of({"agent", "list", "--tennant", "1"}),
            "there is no option '--tennant' for 'agent list'. Did you mean '--tenant'?");
  EXPECT_EQ(message_of({"--jsno", "status"}),
            "there is no option '--jsno' before the command. Did you mean '--json'?");
  EXPECT_EQ(message_of({"agent", "list", "--tenant"}), "--tenant needs a value, N");
  EXPECT_EQ(message_of({"agent", "list", "--tenant", "x"}),
            "--tenant: 'x' is not a tenant (0 to 65535)");
  EXPECT_EQ(message_of({"agent", "list", "--limit", "1", "--limit=2"}), "--limit was given twice");
  EXPECT_EQ(message_of({"status", "--json=1"}), "--json takes no value");
  EXPECT_EQ(message_of({"listen", "--name", "a/b/c/d"}),
            "--router ADDRESS is missing: the router's address; UDP port 7600 unless given");
  EXPECT_EQ(
      message_of({"agent", "show", "a/b"}),
      "AGENT: agent name (organisation/namespace/service/instance) 'a/b' has the wrong number "
      "of parts");
}

TEST(Parse, PointsToTheRightHelp) {
  const Words unknown = {"x"};
  EXPECT_EQ(parse(unknown).error().help, "sluice --help");
  const Words noun = {"agent", "x"};
  EXPECT_EQ(parse(noun).error().help, "sluice agent --help");
  const Words command = {"agent", "show"};
  EXPECT_EQ(parse(command).error().help, "sluice agent show --help");
}

}  // namespace
}  // namespace sluice::cli
