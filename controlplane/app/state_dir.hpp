// What survives the control plane: its state folder, locked against a second control plane, and the
// key of the router's hashes in it. Main thread, at start.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "sluice/base/result.hpp"

namespace sluice::controlplane {

using RouterKey = std::array<std::uint8_t, 16>;

// A file that is locked, and holds the process id, for as long as this object lives. The kernel
// takes the lock away with the process, so that nothing stale can be left.
class LockFile {
 public:
  // kAlreadyExists names the process that has it. Makes the folder when it is missing.
  static Result<std::unique_ptr<LockFile>> take(const std::string& folder, const std::string& name);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  explicit LockFile(int fd) : fd_(fd) {}
  int fd_;
};

// Reads <folder>/hash.key, or makes it at random when it is not there. kCorrupt when it is there
// and unreadable: a wrong key would cost nothing but time, but says that the disk is not to be
// trusted.
Result<RouterKey> load_or_make_hash_key(const std::string& folder);

}  // namespace sluice::controlplane
