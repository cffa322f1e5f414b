// A base segment on the disk as the manager keeps it: mapped, with a descriptor to be offered.
// Immutable; control thread, but for verifying its file.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "controlplane/link/route_base.hpp"
#include "controlplane/store/segment/base_file.hpp"
#include "sluice/base/unique_fd.hpp"

namespace sluice::controlplane {

// A mapped file. Stays readable, and can be offered, when its name is gone.
class FileImage final : public BaseImage {
 public:
  static Result<std::shared_ptr<const FileImage>> open(store::Fs& fs, const std::string& path,
                                                       std::uint32_t number) {
    auto file = store::BaseFile::open(fs, path);
    if (!file) return std::unexpected(file.error());
    UniqueFd descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!descriptor) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("opening {}: {}", path, std::strerror(errno)), ErrorOrigin::kStore);
    }
    return std::shared_ptr<const FileImage>(
        new FileImage(std::move(*file), std::move(descriptor), number));
  }

  const store::BaseFile file;
  const UniqueFd descriptor;

 private:
  FileImage(store::BaseFile the_file, UniqueFd the_descriptor, std::uint32_t the_number)
      : file(std::move(the_file)), descriptor(std::move(the_descriptor)) {
    view = file.view;
    number = the_number;
  }
};

}  // namespace sluice::controlplane
