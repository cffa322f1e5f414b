#include "dataplane/table/base_load.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::dataplane {

namespace {

using index::BaseFault;
using index::BaseSegmentView;
using link::BaseRefusal;

constexpr std::uint64_t kRecordsPerStep = 65'536;

using Checked = std::expected<void, BaseLoadFailure>;

std::unexpected<BaseLoadFailure> refuse(BaseRefusal reason, std::uint64_t offset,
                                        std::string what) {
  return std::unexpected(BaseLoadFailure{reason, offset, std::move(what)});
}

std::unexpected<BaseLoadFailure> refuse(const BaseFault& fault) {
  const BaseRefusal reason = fault.kind == BaseFault::Kind::kTruncated ? BaseRefusal::kTruncated
                             : fault.kind == BaseFault::Kind::kForeign ? BaseRefusal::kForeign
                                                                       : BaseRefusal::kDamaged;
  return refuse(reason, fault.offset, std::string(fault.what));
}

class Loading {
 public:
  Loading(int file, int numa_node, const std::atomic<bool>& cancel)
      : file_(file), numa_node_(numa_node), cancel_(cancel) {}

  std::expected<LoadedBase, BaseLoadFailure> run(const link::SegmentId& expected) {
    if (auto sized = take_header(expected); !sized) return std::unexpected(sized.error());
    if (auto copied = copy_blocks(); !copied) return std::unexpected(copied.error());
    if (auto checked = check_records(); !checked) return std::unexpected(checked.error());
    return std::move(loaded_);
  }

 private:
  Checked read(std::uint64_t from, std::uint64_t bytes, std::uint8_t* to) const {
    while (bytes > 0) {
      const ssize_t got = ::pread(file_, to, bytes, static_cast<off_t>(from));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return refuse(BaseRefusal::kUnreadable, from, std::strerror(errno));
      if (got == 0) return refuse(BaseRefusal::kTruncated, from, "the file became shorter");
      from += static_cast<std::uint64_t>(got);
      to += got;
      bytes -= static_cast<std::uint64_t>(got);
    }
    return {};
  }
  bool cancelled() const noexcept { return cancel_.load(std::memory_order_relaxed); }
  static Checked give_way() { return refuse(BaseRefusal::kSuperseded, 0, "not wanted any more"); }

  // Nothing is allocated for a file whose header is not sound. Its size says how much there is, so
  // a header alone is enough for the view to judge.
  Checked take_header(const link::SegmentId& expected) {
    struct stat info{};
    if (::fstat(file_, &info) != 0)
      return refuse(BaseRefusal::kUnreadable, 0, std::strerror(errno));
    if (!S_ISREG(info.st_mode)) return refuse(BaseRefusal::kUnreadable, 0, "not a regular file");
    const auto size = static_cast<std::uint64_t>(info.st_size);
    alignas(8) std::array<std::uint8_t, index::kBaseAlignment> header{};
    const std::uint64_t first = std::min<std::uint64_t>(size, header.size());
    if (auto got = read(0, first, header.data()); !got) return got;
    const auto judged = BaseSegmentView::validate({header.data(), size});
    if (!judged) return refuse(judged.error());
    if (judged->header().id != expected)
      return refuse(BaseRefusal::kOtherSegment, offsetof(index::BaseHeader, id),
                    "the file is another segment than was offered");
    auto memory = BaseMemory::create(size, numa_node_);
    if (!memory) return refuse(BaseRefusal::kNoMemory, 0, memory.error().message());
    loaded_.memory = std::move(*memory);
    std::memcpy(loaded_.memory.bytes().data(), header.data(), header.size());
    loaded_.view = *BaseSegmentView::validate(loaded_.memory.bytes());
    return {};
  }

  // The checksums first, then each block is checked while it is still in the cache.
  Checked copy_blocks() {
    const BaseSegmentView& view = loaded_.view;
    const std::span<std::uint8_t> bytes = loaded_.memory.bytes();
    const std::uint64_t end = view.header().checksums_offset;
    if (auto got = read(end, bytes.size() - end, bytes.data() + end); !got) return got;
    if (auto sound = view.check_checksums(); !sound) return refuse(sound.error());
    for (std::uint32_t block = 0; block < view.block_count(); ++block) {
      if (cancelled()) return give_way();
      const std::uint64_t from = index::kBaseAlignment + block * index::kBaseBlockBytes;
      const std::uint64_t length = std::min<std::uint64_t>(end - from, index::kBaseBlockBytes);
      if (auto got = read(from, length, bytes.data() + from); !got) return got;
      if (auto sound = view.check_block(block); !sound) return refuse(sound.error());
    }
    return {};
  }

  Checked check_records() const {
    const BaseSegmentView& view = loaded_.view;
    std::uint64_t used = 0;
    for (std::uint64_t slot = 0; slot < view.slot_count(); slot += kRecordsPerStep) {
      if (cancelled()) return give_way();
      const std::uint64_t count = std::min(kRecordsPerStep, view.slot_count() - slot);
      if (auto sound = view.check_records(slot, count); !sound) return refuse(sound.error());
      for (std::uint64_t i = slot; i < slot + count; ++i)
        used += index::Record::value(view.record(i)) != 0 ? 1 : 0;
    }
    if (used == view.entries()) return {};
    return refuse(BaseRefusal::kDamaged, offsetof(index::BaseHeader, entries),
                  fmt::format("{} entries, not {}", used, view.entries()));
  }

  int file_;
  int numa_node_;
  const std::atomic<bool>& cancel_;
  LoadedBase loaded_;
};

}  // namespace

std::expected<LoadedBase, BaseLoadFailure> load_base(int file, const link::SegmentId& expected,
                                                     int numa_node,
                                                     const std::atomic<bool>& cancel) {
  return Loading(file, numa_node, cancel).run(expected);
}

}  // namespace sluice::dataplane
