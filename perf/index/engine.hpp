// One key-value engine as the benchmark drives it: 16-byte keys, 8-byte values. Ours, and the two
// others that are measured in the same run, each in a directory of its own. One thread, but for
// what the engine does in the background.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/index.hpp"
#include "sluice/base/ids.hpp"

namespace sluice::perf {

struct Pair {
  Id id;
  std::uint64_t value;
};

class KeyValueEngine {
 public:
  virtual ~KeyValueEngine() = default;
  virtual std::string_view name() const = 0;
  // All of one batch, as one atomic write.
  virtual void write(std::span<const Pair> batch) = 0;
  virtual bool get(const Id& id, std::uint64_t& value) = 0;
  // Waits until nothing is left to do in the background.
  virtual void settle() = 0;
  // What it did so far, for a person; may be empty.
  virtual std::string about() const { return {}; }
};

// Fsync::kEach: each write is on the disk when it returns. Ends the program on any error: there is
// nothing to measure then.
std::unique_ptr<KeyValueEngine> open_sluice(const std::string& directory,
                                            controlplane::store::Fsync fsync);
// Null when the program was built without it.
std::unique_ptr<KeyValueEngine> open_rocksdb(const std::string& directory,
                                             controlplane::store::Fsync fsync);
std::unique_ptr<KeyValueEngine> open_lmdb(const std::string& directory,
                                          controlplane::store::Fsync fsync);

// The index itself, for what only it is asked: batches, metrics.
std::unique_ptr<controlplane::store::Index> open_index(const std::string& directory,
                                                       controlplane::store::Fsync fsync,
                                                       bool verify);

[[noreturn]] void give_up(std::string_view what);
// Of all files in it.
std::uint64_t directory_bytes(const std::string& directory);

}  // namespace sluice::perf
