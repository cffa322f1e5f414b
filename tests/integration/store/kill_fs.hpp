// The real file system, in a process that kills itself (SIGKILL) at the n-th operation on files of
// one sort: so that a kill hits each phase, also those too short to be hit by chance. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/fs.hpp"

namespace sluice::test {

namespace store = controlplane::store;

class KillFs final : public store::Fs {
 public:
  // Dies at the `nth` operation (from 1; 0: never) on a path that contains `part`, before it or, at
  // even numbers, behind it.
  KillFs(std::string part, std::uint64_t nth);

  void arm() noexcept { armed_.store(true); }

  Result<std::unique_ptr<store::File>> open(const std::string& path, store::OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status link(const std::string& from, const std::string& to) override;
  Result<bool> exists(const std::string& path) override { return real_->exists(path); }
  Result<std::uint64_t> file_size(const std::string& path) override {
    return real_->file_size(path);
  }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    return real_->list(directory);
  }
  Status make_dir(const std::string& directory) override;
  Status remove_dir(const std::string& directory) override { return real_->remove_dir(directory); }
  Status sync_dir(const std::string& directory) override;
  Result<std::unique_ptr<store::FileLock>> lock(const std::string& path) override {
    return real_->lock(path);
  }
  Result<store::SpaceInfo> space(const std::string& directory) override {
    return real_->space(directory);
  }

 private:
  class KillFile;
  template <class Operation>
  auto at(const std::string& path, const Operation& operation);

  const std::unique_ptr<store::Fs> real_;
  const std::string part_;
  const std::uint64_t nth_;
  std::atomic<bool> armed_{false};
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace sluice::test
