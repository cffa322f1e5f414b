// Puts the calling thread on one CPU, so that its cycle stamps and its caches stay the same ones.
// Call it once at the start of a measuring thread. Fails when the CPU is not among those this
// process may use.
#pragma once

#include <sched.h>

#include <vector>

namespace sluice::perf {

// The CPUs this process may use, lowest first (taskset and containers narrow them).
inline std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

[[nodiscard]] inline bool pin_to_cpu(int cpu) {
  if (cpu < 0 || cpu >= CPU_SETSIZE) return false;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

// The usual choice: the last allowed CPU, because interrupts and other people's work gather on the
// first. Returns the CPU, or -1 when pinning failed.
inline int pin_to_last_cpu() {
  const std::vector<int> cpus = allowed_cpus();
  if (cpus.empty() || !pin_to_cpu(cpus.back())) return -1;
  return cpus.back();
}

}  // namespace sluice::perf
