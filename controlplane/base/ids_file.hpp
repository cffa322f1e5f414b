// The ids of a base segment, which itself has only 40 bits of each: a control plane that restarts
// reads them when the segment has routes that it does not know any more, so that it can delete
// them. Beside the segment's file; magic, id of the segment, the ids, CRC-32C of all before. One
// thread each.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "controlplane/store/fs.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/link/base_messages.hpp"

namespace sluice::controlplane {

class IdsWriter {
 public:
  // Writes to `<path>.new`.
  static Result<IdsWriter> create(store::Fs& fs, const std::string& path,
                                  const link::SegmentId& segment);
  Status add(const Id& id);
  // Durable under its name when it returns.
  Status finish();

 private:
  IdsWriter(store::Fs& fs, std::string path, std::unique_ptr<store::File> file)
      : fs_(&fs), path_(std::move(path)), file_(std::move(file)) {}
  Status flush();

  store::Fs* fs_;
  std::string path_;
  std::unique_ptr<store::File> file_;
  std::vector<std::uint8_t> buffer_;
  std::uint32_t check_ = 0;
};

// All ids in pieces, after the whole file was checked. kCorrupt: it is damaged, or of another
// segment, or does not have `entries` ids.
Status read_ids(store::Fs& fs, const std::string& path, const link::SegmentId& segment,
                std::uint64_t entries, const std::function<void(std::span<const Id>)>& take);

}  // namespace sluice::controlplane
