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

#include "controlplane/store/file/fs.hpp"
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

class IdsReader {
 public:
  // Reads a page only. kCorrupt: it is of another segment, or does not have `entries` ids.
  static Result<std::unique_ptr<IdsReader>> open(store::Fs& fs, const std::string& path,
                                                 const link::SegmentId& segment,
                                                 std::uint64_t entries);
  // Every byte, before any id is believed; `go_on` may end it (kUnavailable). Any thread.
  Status verify(const std::function<bool()>& go_on) const;
  // At most `most` more, valid until the next call; empty at the end.
  std::span<const Id> next(std::size_t most);

 private:
  IdsReader(std::string path, std::shared_ptr<const store::Mapping> mapping, std::uint64_t entries)
      : path_(std::move(path)), mapping_(std::move(mapping)), entries_(entries) {}

  std::string path_;
  std::shared_ptr<const store::Mapping> mapping_;
  std::uint64_t entries_;
  std::uint64_t done_ = 0;
  std::vector<Id> piece_;
};

}  // namespace sluice::controlplane
