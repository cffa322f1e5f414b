#include "perf/pipeline/testpmd.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "perf/support/cpu.hpp"

extern char** environ;

namespace sluice::perf {
namespace {

constexpr const char* kProgram = "/usr/bin/dpdk-testpmd";

// "  Tx-pps:     12345678          Tx-bps: ..."
bool parse_rate(const std::string& line, double& rate) {
  const auto at = line.find("Tx-pps:");
  if (at == std::string::npos) return false;
  rate = std::strtod(line.c_str() + at + 7, nullptr);
  return rate > 0;
}

std::vector<std::string> arguments(const std::string& mode, unsigned burst, unsigned frame_bytes,
                                   bool huge_pages) {
  const std::vector<int> cpus = allowed_cpus();
  std::vector<std::string> words = {"stdbuf", "-oL", kProgram, "--no-pci", "--no-telemetry", "-l"};
  words.push_back(std::to_string(cpus.front()) + "," + std::to_string(cpus.back()));
  words.push_back("--main-lcore=" + std::to_string(cpus.front()));
  words.push_back("--vdev=net_null0,size=" + std::to_string(frame_bytes));
  if (huge_pages) {
    words.emplace_back("--in-memory");
  } else {
    for (const char* word : {"--no-huge", "--no-shconf", "-m", "512"})
      words.emplace_back(word);
  }
  words.emplace_back("--");
  words.push_back("--forward-mode=" + mode);
  words.push_back("--burst=" + std::to_string(burst));
  for (const char* word : {"--nb-cores=1", "--total-num-mbufs=16384", "--no-mlockall",
                           "--auto-start", "--stats-period=1"})
    words.emplace_back(word);
  return words;
}

}  // namespace

std::vector<double> run_testpmd(const std::string& mode, unsigned burst, unsigned frame_bytes,
                                bool huge_pages, unsigned seconds) {
  if (::access(kProgram, X_OK) != 0 || allowed_cpus().size() < 2) return {};
  std::vector<std::string> words = arguments(mode, burst, frame_bytes, huge_pages);
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  int out[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, "stdbuf", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  std::vector<double> rates;
  if (failed == 0) {
    std::FILE* lines = ::fdopen(out[0], "r");
    char* line = nullptr;
    std::size_t room = 0;
    unsigned seen = 0;
    // The first second includes the start.
    while (rates.size() < seconds && ::getline(&line, &room, lines) > 0) {
      double rate = 0;
      if (parse_rate(line, rate) && seen++ > 0) rates.push_back(rate);
    }
    std::free(line);
    ::kill(pid, SIGTERM);
    while (std::fgetc(lines) != EOF) {
    }
    std::fclose(lines);
    ::waitpid(pid, nullptr, 0);
  } else {
    ::close(out[0]);
  }
  return rates;
}

}  // namespace sluice::perf
