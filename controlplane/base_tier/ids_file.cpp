#include "controlplane/base_tier/ids_file.hpp"

#include <algorithm>
#include <array>

#include "sluice/base/bytes.hpp"
#include "sluice/hash/crc32c.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::array<std::uint8_t, 8> kMagic{'S', 'L', 'U', 'I', 'D', 'S', '1', '\n'};
constexpr std::size_t kHeaderBytes = kMagic.size() + sizeof(link::SegmentId);
constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
constexpr std::size_t kCheckBytes = std::size_t{4} << 20;
static_assert(sizeof(Id) == 16);

std::unexpected<Error> damaged(const std::string& path, const std::string& what) {
  return fail(ErrorCode::kCorrupt, path + ": " + what, ErrorOrigin::kStore);
}

}  // namespace

Result<IdsWriter> IdsWriter::create(store::Fs& fs, const std::string& path,
                                    const link::SegmentId& segment) {
  auto file = fs.open(path + ".new", store::OpenMode::kCreate);
  if (!file) return std::unexpected(file.error());
  IdsWriter writer(fs, path, std::move(*file));
  writer.buffer_.reserve(kBufferBytes + sizeof(Id));
  writer.buffer_.insert(writer.buffer_.end(), kMagic.begin(), kMagic.end());
  writer.buffer_.insert(writer.buffer_.end(), segment.begin(), segment.end());
  return writer;
}

Status IdsWriter::add(const Id& id) {
  buffer_.insert(buffer_.end(), id.bytes.begin(), id.bytes.end());
  return buffer_.size() < kBufferBytes ? Status() : flush();
}

Status IdsWriter::flush() {
  check_ = crc32c(buffer_, check_);
  auto ok = file_->append(buffer_);
  buffer_.clear();
  return ok;
}

Status IdsWriter::finish() {
  if (auto ok = flush(); !ok) return ok;
  std::array<std::uint8_t, 4> check;
  sluice::store(check.data(), check_);
  if (auto ok = file_->append(check); !ok) return ok;
  if (auto ok = file_->sync(); !ok) return ok;
  if (auto ok = fs_->rename(path_ + ".new", path_); !ok) return ok;
  return fs_->sync_dir(store::parent_dir(path_));
}

Result<std::unique_ptr<IdsReader>> IdsReader::open(store::Fs& fs, const std::string& path,
                                                   const link::SegmentId& segment,
                                                   std::uint64_t entries) {
  auto file = fs.open(path, store::OpenMode::kRead);
  if (!file) return std::unexpected(file.error());
  auto mapping = (*file)->map();
  if (!mapping) return std::unexpected(mapping.error());
  const auto bytes = (*mapping)->bytes();
  (*mapping)->advise(store::Advice::kSequential, 0, bytes.size());
  if (bytes.size() != kHeaderBytes + entries * sizeof(Id) + 4) {
    return damaged(path, "it has a wrong size");
  }
  if (!std::ranges::equal(bytes.first<kMagic.size()>(), kMagic)) {
    return damaged(path, "this is no list of ids");
  }
  if (!std::ranges::equal(bytes.subspan(kMagic.size(), segment.size()), segment)) {
    return damaged(path, "it is of another segment");
  }
  return std::unique_ptr<IdsReader>(new IdsReader(path, std::move(*mapping), entries));
}

Status IdsReader::verify(const std::function<bool()>& go_on) const {
  const auto bytes = mapping_->bytes();
  const auto content = bytes.first(bytes.size() - 4);
  std::uint32_t check = 0;
  for (std::size_t at = 0; at < content.size(); at += kCheckBytes) {
    if (!go_on()) return fail(ErrorCode::kUnavailable, "cancelled");
    check = crc32c(content.subspan(at, std::min(kCheckBytes, content.size() - at)), check);
  }
  if (check != sluice::load<std::uint32_t>(bytes.data() + content.size())) {
    return damaged(path_, "its checksum is wrong");
  }
  return {};
}

std::span<const Id> IdsReader::next(std::size_t most) {
  piece_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(most, entries_ - done_)));
  const auto* from = mapping_->bytes().data() + kHeaderBytes + done_ * sizeof(Id);
  if (!piece_.empty()) std::memcpy(piece_.data(), from, piece_.size() * sizeof(Id));
  done_ += piece_.size();
  return piece_;
}

}  // namespace sluice::controlplane
