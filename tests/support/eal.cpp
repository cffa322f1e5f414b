#include "tests/support/eal.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace sluice::testing {

namespace {

// "0@(0,3,4)": the one DPDK core floats over the CPUs of this process. Without it DPDK would pin
// the main thread, and with it every thread that a test makes.
std::string lcores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return "0@0";
  std::string list;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    if (!list.empty()) list += ',';
    list += std::to_string(cpu);
  }
  return "0@(" + list + ")";
}

}  // namespace

void start_eal(unsigned megabytes, const std::vector<const char*>& more) {
  static bool started = false;
  if (started) return;
  started = true;
  // DPDK keeps the pointers, so the strings live as long as the process.
  static std::vector<std::string> words = {"test",
                                           "--no-huge",
                                           "--no-pci",
                                           "--no-shconf",
                                           "--no-telemetry",
                                           "-m",
                                           std::to_string(megabytes),
                                           "--lcores",
                                           lcores(),
                                           "--log-level",
                                           "lib.eal:error"};
  for (const char* word : more)
    words.emplace_back(word);
  std::vector<char*> arguments;
  for (std::string& word : words)
    arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0) return;
  std::fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
  std::exit(1);
}

}  // namespace sluice::testing
