// A store that is damaged and not open: what exactly is damaged, and everything that can still be
// read of it, as a new store. The damaged one is only read. For an operator without a backup; with
// one, restore_backup() is the way. One thread; blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/store/maintenance.hpp"
#include "controlplane/store/table_spec.hpp"

namespace sluice::controlplane::store {

// Every damaged place in every file. kUnavailable: somebody has it open; kNotFound: there is no
// store.
Result<VerifyReport> verify_directory(Fs& fs, const std::string& directory,
                                      const Progress& progress);

struct SalvageReport {
  std::uint64_t files = 0;  // read
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;  // found in segments
  std::uint64_t records = 0;  // found in the log
  std::uint64_t items = 0;    // in the new store: keys, of sets elements
  std::vector<Damage> damaged;
  std::uint64_t lost_entries = 0;     // of segments; older states of a key count, too
  std::uint64_t lost_operations = 0;  // of the log
  bool manifest = true;               // false: lost; what was deleted may be back
};

// `to` must not be there; it appears when everything is in it, durably. `tables`: those that the
// store should have, for when the manifest is lost. What was damaged is missing, or as it was
// before: a change that is lost does not take with it what it changed.
Result<SalvageReport> salvage(Fs& fs, const std::string& directory, const std::string& to,
                              const std::vector<TableSpec>& tables, const Progress& progress);

}  // namespace sluice::controlplane::store
