// The files of a store that is not open and may be damaged: what the manifest names, or, when that
// is lost, what lies there; each checked from end to end. For salvage.cpp. One thread; blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/store/log/log_remains.hpp"
#include "controlplane/store/manifest.hpp"
#include "controlplane/store/segment/segment_remains.hpp"

namespace sluice::controlplane::store {

struct SegmentRemainder {
  std::uint64_t file = 0;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;  // that it had
  bool damaged = false;
  std::optional<SegmentRemains> remains;  // nothing: none of it can be read
};

struct StoreRemains {
  std::string directory;
  std::optional<Manifest> manifest;        // nothing: lost
  std::vector<SegmentRemainder> segments;  // what comes later is newer where both have a key
  std::uint64_t bytes = 0;                 // of all files
  std::vector<Damage> damaged;             // of manifest and segments

  bool is_damaged(std::uint64_t file) const;
};

// kNotFound: there is no store. Reads everything but the log.
Result<StoreRemains> find_remains(Fs& fs, const std::string& directory, const Progress& progress);

// Every damaged place of one segment that is known to have one.
std::vector<Damage> segment_damage(Fs& fs, const std::string& path);
// Every damaged place of the log; a torn end, which a crash leaves, is none. `durable`: the
// durable_end() of a log that is written to; that much must be there, and no more is looked at.
Result<LogRemains> log_damage(Fs& fs, const std::string& directory,
                              const std::optional<Manifest>& manifest,
                              const std::optional<LogEnd>& durable = std::nullopt);

}  // namespace sluice::controlplane::store
