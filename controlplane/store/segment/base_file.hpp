// A base segment on the disk, as the control plane looks at it: mapped, and its header checked.
// Whoever serves it or doubts it checks the rest (verify). Any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "controlplane/store/file/fs.hpp"
#include "sluice/base/result.hpp"
#include "sluice/index/base_segment.hpp"

namespace sluice::controlplane::store {

struct BaseFile {
  std::shared_ptr<const Mapping> mapping;  // what the view looks at
  index::BaseSegmentView view;
  std::string path;

  // Reads a page only, however large the file is. kCorrupt names file, place and reason.
  static Result<BaseFile> open(Fs& fs, const std::string& path);

  // Every byte and every record. The progress may return false to stop (kUnavailable).
  Status verify(const std::function<bool(std::uint64_t done, std::uint64_t total)>& progress) const;
};

}  // namespace sluice::controlplane::store
