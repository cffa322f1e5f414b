// The dataplane's side of the link without ports and workers: real tables, real socket, real
// region. Needs a started EAL. One thread.
#pragma once

#include <memory>
#include <string>

#include "dataplane/apply/apply.hpp"
#include "dataplane/table/tables.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::testing {

struct DataplaneSide {
  dataplane::PortTable ports;
  std::unique_ptr<dataplane::StatusMemory> status;
  std::unique_ptr<dataplane::Tables> tables;
  std::unique_ptr<dataplane::Apply> apply;

  // Two ports. Ends the program with a message when something fails.
  DataplaneSide(const std::string& run_dir, std::size_t routes);

  // Turns until `done()` or for so long; what done() said last.
  template <class Done>
  bool run_until(Done&& done, int milliseconds) {
    const std::uint64_t end = monotonic_ns() + static_cast<std::uint64_t>(milliseconds) * kNsPerMs;
    while (!done()) {
      if (monotonic_ns() > end) return false;
      step();
    }
    return true;
  }
  void step();  // one turn; sleeps like the manager when there is nothing to do

  std::size_t routes() { return tables->route_table() ? tables->route_table()->size() : 0; }
  const dataplane::ForwardingState& forwarding() { return *tables->forwarding.load(); }
};

}  // namespace sluice::testing
