// Huge pages that a killed dataplane of the same run directory left behind in hugetlbfs: only those
// with files behind them, which devices need that share our memory. Main thread, before the
// preflight counts what is free, and at the end.
#pragma once

#include "config/config.hpp"
#include "dataplane/app/machine.hpp"

namespace sluice::dataplane {

// Does nothing while another dataplane runs in the run directory. Returns how many files went.
std::size_t remove_leftover_pages(const config::Config& config, const Machine& machine);

}  // namespace sluice::dataplane
