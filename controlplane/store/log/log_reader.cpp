#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "controlplane/store/log/log_format.hpp"

namespace sluice::controlplane::store {

using log_format::decode_file_header;
using log_format::decode_record;
using log_format::kAlignment;
using log_format::kFileHeader;
using log_format::kRecordHeader;
using log_format::kVersion;
using log_format::salt_of;

class LogReader::Impl {
 public:
  Impl(Fs& fs, LogReadOptions options) : fs_(fs), options_(std::move(options)) {}

  Status open();
  Result<bool> next(LogRecord& record);

  LogEnd end_;
  std::uint64_t bytes_done_ = 0;
  std::uint64_t bytes_total_ = 0;

 private:
  struct FileInfo {
    std::uint64_t base = 0;
    std::uint64_t size = 0;   // on the disk
    std::uint64_t limit = 0;  // where the next file begins; of the last: where the log ends
    std::optional<std::uint64_t> first_sequence;  // nothing: the header does not check
  };

  std::string path(const FileInfo& file) const {
    return options_.directory + "/" + log_file_name(file.base);
  }
  std::unexpected<Error> corrupt(const FileInfo& file, std::uint64_t offset,
                                 std::string_view what) const {
    return fail(ErrorCode::kCorrupt, fmt::format("{}: offset {}: {}", path(file), offset, what),
                ErrorOrigin::kStore);
  }

  Status list();
  Status read_header(FileInfo& file);
  Status choose_start();
  // Reads the file and checks that it continues the one before.
  Status enter(std::size_t index);
  // What is wrong at offset_ of the present file: torn (false) or corruption.
  Result<bool> damaged(std::string_view what);
  // Whether a record behind offset_ says that `position` was synced.
  Result<bool> proves_synced(std::uint64_t position) const;
  Result<bool> finish();

  Fs& fs_;
  const LogReadOptions options_;
  std::vector<FileInfo> files_;
  std::size_t at_ = 0;  // the present file
  bool entered_ = false;
  bool finished_ = false;
  Buffer bytes_;  // of it
  std::uint64_t offset_ = 0;
  std::uint64_t expected_ = 1;  // sequence of the next record
};

Status LogReader::Impl::list() {
  const auto names = fs_.list(options_.directory);
  if (!names) return std::unexpected(names.error());
  for (const auto& name : *names) {
    const auto base = log_file_base(name);
    if (!base || *base >= options_.end_position) continue;
    const auto size = fs_.file_size(options_.directory + "/" + name);
    if (!size) return std::unexpected(size.error());
    files_.push_back({.base = *base, .size = *size});
  }
  std::ranges::sort(files_, {}, &FileInfo::base);
  for (std::size_t i = 0; i < files_.size(); ++i) {
    FileInfo& file = files_[i];
    const bool last = i + 1 == files_.size();
    file.limit = last ? std::min(file.size, options_.end_position - file.base)
                      : files_[i + 1].base - file.base;
    if (auto read = read_header(file); !read) return read;
  }
  return {};
}

Status LogReader::Impl::read_header(FileInfo& file) {
  auto opened = fs_.open(path(file), OpenMode::kRead);
  if (!opened) return std::unexpected(std::move(opened.error()));
  std::array<std::uint8_t, kFileHeader> bytes{};
  const auto got = (*opened)->read_at(0, bytes);
  if (!got) return std::unexpected(got.error());
  const auto header = decode_file_header(ByteView(bytes).first(*got));
  if (!header) return {};
  if (header->version != kVersion) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: version {} of the log; this program knows {}", path(file),
                            header->version, kVersion),
                ErrorOrigin::kStore);
  }
  if (header->base != file.base || header->salt != salt_of(options_.store, file.base)) {
    return corrupt(file, 0, "it is of another store, or was renamed");
  }
  file.first_sequence = header->first_sequence;
  return {};
}

// The last file that begins at or before what is wanted; those before it are done with.
Status LogReader::Impl::choose_start() {
  const std::uint64_t wanted = options_.after_sequence + 1;
  for (std::size_t i = files_.size(); i-- > 0;) {
    if (!files_[i].first_sequence || *files_[i].first_sequence > wanted) continue;
    at_ = i;
    expected_ = *files_[i].first_sequence;
    return {};
  }
  const FileInfo& first = files_.front();
  if (first.first_sequence) {
    return corrupt(first, 0,
                   fmt::format("the log begins at sequence {}, but {} is needed: files are missing",
                               *first.first_sequence, wanted));
  }
  at_ = 0;
  expected_ = wanted;
  return {};
}

Status LogReader::Impl::open() {
  if (auto listed = list(); !listed) return listed;
  if (files_.empty()) {
    if (options_.must_exist) {
      return fail(ErrorCode::kCorrupt, fmt::format("{}: the log is missing", options_.directory),
                  ErrorOrigin::kStore);
    }
    end_.next_sequence = options_.after_sequence + 1;
    finished_ = true;
    return {};
  }
  if (auto chosen = choose_start(); !chosen) return chosen;
  for (std::size_t i = 0; i < at_; ++i) {
    end_.files.push_back({.base = files_[i].base,
                          .first_sequence = files_[i].first_sequence.value_or(0),
                          .length = std::min(files_[i].limit, files_[i].size)});
  }
  for (std::size_t i = at_; i < files_.size(); ++i)
    bytes_total_ += files_[i].size;
  return {};
}

Status LogReader::Impl::enter(std::size_t index) {
  const FileInfo& file = files_[index];
  auto bytes = read_file(fs_, path(file), std::numeric_limits<std::uint64_t>::max());
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  bytes_ = std::move(*bytes);
  if (index + 1 == files_.size() && bytes_.size() > file.limit) bytes_.resize(file.limit);
  at_ = index;
  offset_ = 0;
  entered_ = true;
  return {};
}

Result<bool> LogReader::Impl::next(LogRecord& record) {
  while (!finished_) {
    if (!entered_) {
      if (auto read = enter(at_); !read) return std::unexpected(std::move(read.error()));
    }
    const FileInfo& file = files_[at_];
    if (offset_ == 0) {
      if (!file.first_sequence) return damaged("the header of the file does not check");
      if (*file.first_sequence < expected_) {
        return corrupt(file, 0,
                       fmt::format("it begins at sequence {}, but {} is due", *file.first_sequence,
                                   expected_));
      }
      expected_ = *file.first_sequence;
      offset_ = kFileHeader;
      bytes_done_ += kFileHeader;
    }
    if (offset_ == file.limit && at_ + 1 < files_.size()) {
      end_.files.push_back({file.base, *file.first_sequence, offset_});
      ++at_;
      entered_ = false;
      continue;
    }
    if (offset_ >= bytes_.size() && at_ + 1 == files_.size()) return finish();
    const ByteView left = ByteView(bytes_).subspan(std::min<std::size_t>(offset_, bytes_.size()));
    const auto header = decode_record(left, salt_of(options_.store, file.base));
    if (!header) return damaged("a record does not check");
    if (offset_ + header->size() > file.limit) {
      return corrupt(file, offset_, "a record reaches into the next file");
    }
    if (header->sequence != expected_) {
      return corrupt(
          file, offset_,
          fmt::format("a record has sequence {}, but {} is due", header->sequence, expected_));
    }
    record = {.sequence = header->sequence,
              .operations = header->operations,
              .payload = left.subspan(kRecordHeader, header->payload_bytes)};
    offset_ += header->size();
    bytes_done_ += header->size();
    expected_ += header->operations;
    if (header->operations != 0 && expected_ > options_.after_sequence + 1) return true;
  }
  return false;
}

Result<bool> LogReader::Impl::proves_synced(std::uint64_t position) const {
  for (std::size_t i = at_; i < files_.size(); ++i) {
    Buffer other;
    if (i != at_) {
      auto bytes = read_file(fs_, path(files_[i]), std::numeric_limits<std::uint64_t>::max());
      if (!bytes) return std::unexpected(std::move(bytes.error()));
      other = std::move(*bytes);
    }
    const ByteView bytes = i == at_ ? ByteView(bytes_) : ByteView(other);
    const auto salt = salt_of(options_.store, files_[i].base);
    std::uint64_t offset = i == at_ ? offset_ : 0;
    if (offset < kFileHeader) offset = kFileHeader;
    while (offset + kRecordHeader <= bytes.size()) {
      const auto found = decode_record(bytes.subspan(offset), salt);
      if (found && found->sequence >= expected_ && found->durable > position) return true;
      offset += found ? found->size() : kAlignment;
    }
  }
  return false;
}

Result<bool> LogReader::Impl::damaged(std::string_view what) {
  const FileInfo& file = files_[at_];
  const auto proof = proves_synced(file.base + offset_);
  if (!proof) return std::unexpected(proof.error());
  if (*proof) {
    return corrupt(file, offset_, fmt::format("{}, but it was on the disk once", what));
  }
  // Zeros at the very end are space that was reserved and never written: no loss.
  ByteView rest = ByteView(bytes_).subspan(std::min<std::size_t>(offset_, bytes_.size()));
  while (!rest.empty() && rest.back() == 0)
    rest = rest.first(rest.size() - 1);
  std::uint64_t cut = rest.size();
  for (std::size_t i = at_ + 1; i < files_.size(); ++i)
    cut += files_[i].size;
  if (cut != 0) end_.torn = LogEnd::Torn{.file = path(file), .offset = offset_, .bytes = cut};
  return finish();
}

Result<bool> LogReader::Impl::finish() {
  const FileInfo& file = files_[at_];
  if (expected_ <= options_.at_least_sequence) {
    return corrupt(file, offset_,
                   fmt::format("the log ends before sequence {}, but {} was on the disk once",
                               expected_, options_.at_least_sequence));
  }
  if (offset_ >= kFileHeader) {
    end_.files.push_back({file.base, *file.first_sequence, offset_});
  }
  end_.position = file.base + offset_;
  end_.next_sequence = expected_;
  bytes_done_ = bytes_total_;
  finished_ = true;
  return false;
}

Result<std::unique_ptr<LogReader>> LogReader::open(Fs& fs, LogReadOptions options) {
  auto impl = std::make_unique<Impl>(fs, std::move(options));
  if (auto opened = impl->open(); !opened) return std::unexpected(std::move(opened.error()));
  return std::unique_ptr<LogReader>(new LogReader(std::move(impl)));
}

LogReader::LogReader(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
LogReader::~LogReader() = default;
Result<bool> LogReader::next(LogRecord& record) {
  return impl_->next(record);
}
const LogEnd& LogReader::end() const noexcept {
  return impl_->end_;
}
std::uint64_t LogReader::bytes_done() const noexcept {
  return impl_->bytes_done_;
}
std::uint64_t LogReader::bytes_total() const noexcept {
  return impl_->bytes_total_;
}

}  // namespace sluice::controlplane::store
