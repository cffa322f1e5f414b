// Look-ups in two tiers: all routes in a base segment, some of them in the delta too. Part of
// table_bench (--base). One thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sluice::perf {

struct BaseBenchOptions {
  std::vector<std::size_t> routes;
  std::vector<unsigned> hits;
  std::vector<unsigned> bursts;
  std::vector<std::string> orders;
  std::size_t delta;
  std::size_t delta_capacity;
  int runs;
  double cycles_per_run;
};

// Prints; false when this machine cannot.
bool measure_base(const BaseBenchOptions& options);

}  // namespace sluice::perf
