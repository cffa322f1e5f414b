// dpdk-testpmd on the same kind of device, for a rate to compare with: started as a process of its
// own, read, ended. Main thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::perf {

// Packets per second, one sample per second of `seconds`, of `mode` (5tswap, macswap) over one null
// port with one forwarding core. Empty when testpmd is not installed or did not run.
std::vector<double> run_testpmd(const std::string& mode, unsigned burst, unsigned frame_bytes,
                                bool huge_pages, unsigned seconds);

}  // namespace sluice::perf
