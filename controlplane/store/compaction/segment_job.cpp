#include "controlplane/store/compaction/segment_job.hpp"

#include <utility>

#include "controlplane/store/compaction/merge.hpp"
#include "controlplane/store/segment/segment_writer.hpp"
#include "sluice/index/base_segment.hpp"

namespace sluice::controlplane::store {
namespace {

// Remembers which file was damaged, so that only that one is taken out of service.
class WatchedSource final : public EntrySource {
 public:
  WatchedSource(Core& core, const SegmentPtr& segment)
      : core_(core), segment_(segment), source_(segment->segment().source()) {}

  Result<bool> next(Entry& entry) override {
    auto more = source_->next(entry);
    if (!more && more.error().code() == ErrorCode::kCorrupt)
      core_.quarantine(*segment_, more.error());
    return more;
  }

 private:
  Core& core_;
  const SegmentPtr segment_;
  const std::unique_ptr<EntrySource> source_;
};

}  // namespace

std::unique_ptr<EntrySource> watched_source(Core& core, const SegmentPtr& segment) {
  return std::make_unique<WatchedSource>(core, segment);
}

Result<SegmentPtr> merge_to_segment(Core& core, const Layout& layout, Form form,
                                    std::vector<std::unique_ptr<EntrySource>> sources,
                                    std::uint64_t expected, bool bottom, Pace pace) {
  const std::uint64_t file = core.new_file();
  const SegmentOptions options{.form = form,
                               .format = layout.format,
                               .filter = !bottom,
                               .quick = !bottom,
                               .expected = expected,
                               .key_check = index::base_key_check(layout.hasher.ids())};
  auto writer = SegmentWriter::create(core.fs(), core.segment_path(file), options, pace);
  if (!writer) return std::unexpected(std::move(writer).error());
  const auto merged = merge(std::move(sources), bottom);
  if (const Status copied = copy(*merged, **writer); !copied)
    return std::unexpected(copied.error());
  if ((*writer)->entries() == 0) return SegmentPtr();
  const auto info = (*writer)->finish();
  if (!info) return std::unexpected(info.error());
  writer->reset();
  if (const Status synced = core.fs().sync_dir(core.directory()); !synced) {
    (void)core.fs().remove(core.segment_path(file));  // it is made anew
    return std::unexpected(synced.error());
  }
  auto segment = core.open_segment({.file = file,
                                    .bytes = info->bytes,
                                    .entries = info->entries,
                                    .min_sequence = info->min_sequence,
                                    .max_sequence = info->max_sequence,
                                    .checksum = info->checksum});
  if (!segment) return segment;
  if (!core.options().serves_lookups) return segment;
  if (const Status loaded = (*segment)->segment().load_hot(); !loaded) {
    (*segment)->set_obsolete();
    return std::unexpected(loaded.error());
  }
  return segment;
}

}  // namespace sluice::controlplane::store
