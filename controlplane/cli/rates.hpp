// Rates from two samples of the router's counters, by the router's own clock. Counters that began
// again (another dataplane, or cleared) give no rate rather than a wrong one. One thread.
#pragma once

#include <optional>
#include <string_view>

#include "sluice.pb.h"

namespace sluice::cli {

class Rates {
 public:
  // Takes the next sample. False: there is nothing to compare with, it is the first of its kind.
  bool next(const api::StatsReply& now);
  bool restarted() const noexcept { return restarted_; }
  double seconds() const noexcept { return seconds_; }
  // How much the port's counters grew in the interval; null: not known.
  const api::PortCounters* growth(std::string_view port) const;
  // Share of the interval a worker was busy, 0 to 1.
  std::optional<double> busy(std::uint32_t worker) const;
  double per_second(std::uint64_t growth) const noexcept {
    return static_cast<double>(growth) / seconds_;
  }

 private:
  std::optional<api::StatsReply> before_;
  api::StatsReply growth_;  // ports and workers of both samples
  bool restarted_ = false;
  double seconds_ = 0;
};

// now - before for every number; nullopt when one went back.
std::optional<api::PortCounters> counters_growth(const api::PortCounters& before,
                                                 const api::PortCounters& now);

}  // namespace sluice::cli
