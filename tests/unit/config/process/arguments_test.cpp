#include "config/process/arguments.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice {
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

constexpr Program kProgram{
    .name = "sluice-x", .version = "1.2", .check = "look around", .notes = "Notes.\n"};

TEST(CommandLine, HelpVersionAndMistakesEndTheProgram) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(answer(parse({"-V"}), kProgram), kExitOk);
  EXPECT_EQ(answer(parse({"-h"}), kProgram), kExitOk);
  const auto out = testing::internal::GetCapturedStdout();
  EXPECT_TRUE(out.starts_with("sluice-x 1.2\nusage: sluice-x [--config FILE] [--check]\n")) << out;
  EXPECT_NE(out.find("--check        look around, start nothing\n"), std::string::npos) << out;
  EXPECT_TRUE(out.ends_with("\nNotes.\n")) << out;

  testing::internal::CaptureStderr();
  EXPECT_EQ(answer(parse({"stray"}), kProgram), kExitUsage);
  EXPECT_EQ(complain(kProgram, "no way"), kExitFailed);
  const auto err = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(err.starts_with("sluice-x: unexpected argument stray\nusage: ")) << err;
  EXPECT_TRUE(err.ends_with("sluice-x: no way\n")) << err;
}

TEST(CommandLine, ToRunAndToCheckAreForTheProgram) {
  EXPECT_EQ(answer(parse({}), kProgram), std::nullopt);
  EXPECT_EQ(answer(parse({"--check"}), kProgram), std::nullopt);
}

}  // namespace
}  // namespace sluice
