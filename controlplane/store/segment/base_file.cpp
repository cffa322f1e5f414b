#include "controlplane/store/segment/base_file.hpp"

#include <fmt/format.h>

namespace sluice::controlplane::store {

namespace {

std::unexpected<Error> damaged(const std::string& path, const index::BaseFault& fault) {
  return fail(ErrorCode::kCorrupt, fmt::format("{}: offset {}: {}", path, fault.offset, fault.what),
              ErrorOrigin::kStore);
}

}  // namespace

Result<BaseFile> BaseFile::open(Fs& fs, const std::string& path) {
  Result<std::unique_ptr<File>> file = fs.open(path, OpenMode::kRead);
  if (!file) return std::unexpected(std::move(file).error());
  Result<std::shared_ptr<const Mapping>> mapping = (*file)->map();
  if (!mapping) return std::unexpected(std::move(mapping).error());
  const auto view = index::BaseSegmentView::validate((*mapping)->bytes());
  if (!view) return damaged(path, view.error());
  (*mapping)->advise(Advice::kRandom, 0, (*mapping)->bytes().size());
  return BaseFile{std::move(*mapping), *view, path};
}

Status BaseFile::verify(
    const std::function<bool(std::uint64_t done, std::uint64_t total)>& progress) const {
  if (const auto sums = view.check_checksums(); !sums) return damaged(path, sums.error());
  for (std::uint32_t block = 0; block < view.block_count(); ++block) {
    if (const auto checked = view.check_block(block); !checked) {
      return damaged(path, checked.error());
    }
    if (!progress(block + 1, view.block_count())) {
      return fail(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
    }
  }
  if (const auto all = view.check_content(); !all) return damaged(path, all.error());
  return {};
}

}  // namespace sluice::controlplane::store
