#include "dataplane/app/arguments.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::dataplane {
namespace {

Arguments parse(std::vector<std::string> words) {
  words.insert(words.begin(), "sluice-dataplane");
  std::vector<char*> argv;
  for (auto& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  return parse_arguments(static_cast<int>(words.size()), argv.data());
}

using Action = Arguments::Action;

TEST(CommandLine, Defaults) {
  const auto arguments = parse({});
  EXPECT_EQ(arguments.action, Action::kRun);
  EXPECT_EQ(arguments.config, "/etc/sluice/sluice.yaml");
}

TEST(CommandLine, ConfigAndCheck) {
  const auto arguments = parse({"--check", "--config", "a.yaml"});
  EXPECT_EQ(arguments.action, Action::kCheck);
  EXPECT_EQ(arguments.config, "a.yaml");
  EXPECT_EQ(parse({"-c", "b"}).config, "b");
}

TEST(CommandLine, HelpAndVersionWin) {
  EXPECT_EQ(parse({"--version"}).action, Action::kVersion);
  EXPECT_EQ(parse({"--check", "--help"}).action, Action::kHelp);
}

TEST(CommandLine, MistakesAreNamed) {
  for (const auto& [words, why] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--confg=a"}, "--confg=a"}, {{"--config"}, "--config"}, {{"stray"}, "stray"}}) {
    const auto arguments = parse(words);
    EXPECT_EQ(arguments.action, Action::kUsage);
    EXPECT_NE(arguments.error.find(why), std::string::npos) << arguments.error;
  }
}

}  // namespace
}  // namespace sluice::dataplane
