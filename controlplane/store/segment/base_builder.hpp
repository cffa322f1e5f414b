// Builds a base segment (sluice/index/base_segment.hpp): all routes of the router at one moment,
// for the dataplane. Takes routes in any order and keeps 20 bytes of each until the file is
// written; then some 5 MB for each thread that works. Owned by one thread, which is not the control
// thread: finish() takes seconds for millions of routes and blocks as the pace says.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/store/compaction/pace.hpp"
#include "controlplane/store/file/fs.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/base/result.hpp"
#include "sluice/hash/id_hash.hpp"
#include "sluice/index/base_segment.hpp"
#include "sluice/route/action.hpp"

namespace sluice::controlplane::store {

struct BaseOptions {
  HashKey key;                        // the router's: that of the dataplane's tables
  std::array<std::uint8_t, 16> id{};  // of the segment, random
  std::uint64_t created_unix_s = 0;
  unsigned threads = 1;  // that build parts in finish()
};

struct BaseInfo {
  std::array<std::uint8_t, 16> id{};
  std::uint64_t bytes = 0;  // of the file
  std::uint64_t entries = 0;
  std::uint32_t destinations = 0;
};

class BaseBuilder {
 public:
  explicit BaseBuilder(const BaseOptions& options);
  BaseBuilder(BaseBuilder&&) noexcept;
  BaseBuilder& operator=(BaseBuilder&&) noexcept;
  ~BaseBuilder();

  // The position of a destination in the dictionary; the same for equal ones. kExhausted beyond
  // kMaxAdjacencies of them.
  Result<std::uint32_t> position(const index::BaseDestination& destination);
  // kAdjacency with a position as its index, kUnreachable or kLocal with index 0; the epoch is left
  // out. An id that was added already makes finish() fail.
  Status add(const Id& id, Action action);
  std::uint64_t entries() const noexcept { return entries_; }

  // Writes `<path>.new` and renames it, durably; on an error nothing is left behind. Charges the
  // pace with each byte written and read again; kUnavailable when that says stop; kAlreadyExists
  // when an id was added twice. To be called once.
  Result<BaseInfo> finish(Fs& fs, const std::string& path, Pace& pace);

 private:
  struct Chunk;
  class Run;
  struct DestinationHash {
    std::size_t operator()(const index::BaseDestination& destination) const noexcept;
  };

  BaseOptions options_;
  IdHasher hasher_;
  // Routes in coarse ranges of their hash, so that the keys of a part lie in a few of them.
  std::vector<std::vector<std::unique_ptr<Chunk>>> ranges_;
  std::vector<index::BaseDestination> dictionary_;
  std::unordered_map<index::BaseDestination, std::uint32_t, DestinationHash> positions_;
  std::uint64_t entries_ = 0;
};

}  // namespace sluice::controlplane::store
