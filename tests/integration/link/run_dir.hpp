// A fresh run directory under the temporary one for the socket and lock of one dataplane, removed
// with its content when the test ends. One thread.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace sluice::testing {

class RunDir {
 public:
  RunDir() {
    std::string text = std::filesystem::temp_directory_path() / "sluice-link-XXXXXX";
    path_ = ::mkdtemp(text.data());
  }
  ~RunDir() { std::filesystem::remove_all(path_); }
  RunDir(const RunDir&) = delete;
  RunDir& operator=(const RunDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace sluice::testing
