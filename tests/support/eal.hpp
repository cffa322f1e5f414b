// One DPDK environment for the tests of a program: no root, no huge pages, no devices, no files
// left behind, and the main thread free to run on every CPU that it may use. Call start_eal()
// before the first DPDK object; further calls do nothing (DPDK can be started once in a process).
// Main thread.
#pragma once

#include <vector>

namespace sluice::testing {

// megabytes of DPDK memory; only the first call's counts. Ends the program with a message when DPDK
// does not start. `more` are further EAL arguments, for example {"--vdev=net_null0"}.
void start_eal(unsigned megabytes = 128, const std::vector<const char*>& more = {});

}  // namespace sluice::testing
