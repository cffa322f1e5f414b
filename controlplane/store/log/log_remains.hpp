// What can still be read of the files of a log that is damaged: every record that checks, wherever
// it lies. For salvage; an index that opens relies on log_reader, which takes a prefix or nothing.
// One thread; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/store/log/log.hpp"
#include "controlplane/store/maintenance.hpp"

namespace sluice::controlplane::store {

struct LogRemains {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  std::uint64_t lost_operations = 0;  // numbers that are missing between two records
  std::vector<Damage> damaged;        // in order; what was never written does not count
};

// Calls for each record before `end_position`, in the order of the log. Without the store's id, of
// a manifest that is lost, a file whose header is damaged cannot be read. An error is one of the
// disk, or of `each`.
Result<LogRemains> read_log_remains(Fs& fs, const std::string& directory,
                                    const std::optional<StoreId>& store,
                                    const std::function<Status(const LogRecord&)>& each,
                                    std::uint64_t end_position = kNoLogEnd);

}  // namespace sluice::controlplane::store
