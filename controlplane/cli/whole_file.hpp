// Output that is there whole or not at all: a file that appears under its name, durably, when it is
// complete, or text that is kept back until then. One thread.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sluice/base/result.hpp"

namespace sluice::cli {

class WholeFile {
 public:
  // Beside `path`, which is not touched yet; an empty one: a nameless file, for commit_to.
  static Result<WholeFile> create(const std::string& path);
  // What was not committed is gone.
  ~WholeFile();
  WholeFile(WholeFile&&) noexcept = default;
  WholeFile& operator=(WholeFile&&) = delete;

  Status write(std::string_view text);
  // Under its name, for readers and after a power loss; an older file of that name is replaced.
  Status commit();
  // To somebody else, in pieces, until `out` says that it takes no more.
  Status commit_to(const std::function<bool(std::string_view)>& out);

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  WholeFile(std::string path, std::string temporary, std::FILE* file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(file) {}
  Status flush();

  std::string path_;
  std::string temporary_;  // empty: none is left
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace sluice::cli
