#include "controlplane/store/segment_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "controlplane/store/entry_codec.hpp"
#include "controlplane/store/hash_order.hpp"
#include "controlplane/store/phf_builder.hpp"
#include "controlplane/store/segment_output.hpp"

namespace sluice::controlplane::store {

using index::PhfGeometry;
using index::PhfView;
using index::Record;

namespace {

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what), ErrorOrigin::kStore);
}

// What is kept of each key until finish(): compact: hash.lo, then the record; exact: the record,
// which begins with the hash.
struct CompactKey {
  std::array<std::uint8_t, 8 + Record::kBytes> bytes;

  Hash128 hash() const noexcept {
    return {load<std::uint64_t>(bytes.data()), Record::fingerprint(bytes.data() + 8)};
  }
  std::span<const std::uint8_t> record() const noexcept { return std::span(bytes).subspan(8); }
};

struct ExactKey {
  Hash128 whole;
  std::uint64_t offset;
  std::uint32_t count;
  std::uint32_t zero;

  Hash128 hash() const noexcept { return whole; }
  std::span<const std::uint8_t> record() const noexcept {
    return {reinterpret_cast<const std::uint8_t*>(this), sizeof *this};
  }
};
static_assert(sizeof(CompactKey) == 20 && sizeof(ExactKey) == kExactRecordBytes);

std::span<const std::uint8_t> bytes_of(const auto& range) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(range.data()),
          range.size() * sizeof(*range.data())};
}

}  // namespace

class SegmentWriter::State {
 public:
  State(Fs& fs, std::string path, std::unique_ptr<File> file, const SegmentOptions& options,
        Pace& pace)
      : fs_(fs),
        path_(std::move(path)),
        file_(std::move(file)),
        options_(options),
        output_(*file_, pace) {
    const auto expected = std::min<std::uint64_t>(options.expected, index::kMaxPhfSlots);
    if (options.form == Form::kCompact) {
      compact_.reserve(expected);
    } else {
      exact_.reserve(expected);
    }
  }
  ~State() {
    if (finished_) return;
    file_.reset();
    (void)fs_.remove(path_);  // nobody is left to be told
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  std::uint64_t entries() const noexcept { return entries_; }

  Status add(const Entry& entry) {
    const bool same_key = last_ && last_->hash == entry.hash;
    if (Status good = check(entry, same_key); !good) return good;
    const std::uint64_t offset = output_.offset();
    if (!same_key) remember(entry, offset);
    if (options_.form == Form::kExact) ++exact_.back().count;
    encode(entry, options_.form, options_.format, same_key, output_.buffer());
    ++entries_;
    deletions_ += entry.op == Op::kDelete || entry.op == Op::kSetRemove;
    min_sequence_ = std::min(min_sequence_, entry.sequence);
    max_sequence_ = std::max(max_sequence_, entry.sequence);
    last_ = {entry.hash, entry.sequence, entry.op};
    return output_.flush_if_large();
  }

  Result<SegmentInfo> finish() {
    set_counts();
    const Status written =
        options_.form == Form::kCompact ? write_rest(compact_) : write_rest(exact_);
    if (!written) return std::unexpected(written.error());
    finished_ = true;
    return info_of(header_);
  }

 private:
  struct Last {
    Hash128 hash;
    std::uint64_t sequence;
    Op op;
  };

  Status check(const Entry& entry, bool same_key) const {
    if (!allowed(entry, options_.form)) return refuse("an entry that no segment may have");
    if (!last_) return {};
    if (same_key) {
      const bool more = options_.form == Form::kExact && last_->op != Op::kPut &&
                        last_->op != Op::kDelete && entry.op != Op::kPut;
      if (!more) return refuse("an entry after the last of its key");
      if (entry.sequence >= last_->sequence) return refuse("entries of a key out of order");
      return {};
    }
    if (order(entry.hash, last_->hash) < 0) return refuse("entries out of order");
    return {};
  }

  // The first entry of a key.
  void remember(const Entry& entry, std::uint64_t offset) {
    if (offset - kSegmentAlignment >= next_fence_) {
      fences_.push_back({entry.hash.lo, offset});
      next_fence_ = offset - kSegmentAlignment + kFenceDistance;
    }
    if (options_.form == Form::kExact) {
      exact_.push_back({entry.hash, offset, 0, 0});
      return;
    }
    CompactKey& key = compact_.emplace_back();
    sluice::store(key.bytes.data(), entry.hash.lo);
    Record::put(key.bytes.data() + 8, entry.hash,
                entry.op == Op::kDelete ? kDeletedValue : entry.inline_value);
  }

  void set_counts() {
    header_.magic = kSegmentMagic;
    header_.format = options_.format;
    header_.header_bytes = sizeof header_;
    header_.entries = entries_;
    header_.keys = std::max(compact_.size(), exact_.size());
    header_.deletions = deletions_;
    header_.min_sequence = entries_ == 0 ? 0 : min_sequence_;
    header_.max_sequence = max_sequence_;
    header_.key_check = options_.key_check;
    header_.cold_bytes = output_.offset() - kSegmentAlignment;
    header_.form = static_cast<std::uint8_t>(options_.form);
    header_.has_filter = options_.filter ? 1 : 0;
    header_.fences = fences_.size();
  }

  template <class Key>
  Status plan(const std::vector<Key>& keys, std::vector<std::size_t>& starts) {
    const std::uint32_t parts = phf_parts(keys.size());
    const PhfView split({.parts = parts, .buckets = 1, .slots = 1}, nullptr, nullptr);
    // Parts follow each other in the order of the keys.
    starts.assign(parts + 1, keys.size());
    starts[0] = 0;
    for (std::uint32_t part = 1; part < parts; ++part) {
      starts[part] = static_cast<std::size_t>(
          std::partition_point(keys.begin() + static_cast<std::ptrdiff_t>(starts[part - 1]),
                               keys.end(),
                               [&](const Key& key) { return split.part(key.hash()) < part; }) -
          keys.begin());
    }
    std::size_t largest = 0;
    for (std::uint32_t part = 0; part < parts; ++part)
      largest = std::max(largest, starts[part + 1] - starts[part]);
    const Result<PhfGeometry> function = phf_geometry(keys.size(), parts, largest);
    if (!function) return std::unexpected(function.error());
    header_.parts = parts;
    header_.buckets = function->buckets;
    header_.slots = function->slots;
    if (options_.filter) {
      const FuseGeometry filter = fuse_geometry(parts, largest);
      header_.filter_segment_bytes = filter.segment_bytes;
      header_.filter_segments = filter.segments;
    }
    set_segment_offsets(header_);
    return {};
  }

  // Records, pilots, filter, seeds, fences, checksums, header.
  template <class Key>
  Status write_rest(const std::vector<Key>& keys) {
    std::vector<std::size_t> starts;
    if (Status planned = plan(keys, starts); !planned) return planned;
    if (Status aligned = output_.align(); !aligned) return aligned;
    const PhfGeometry geometry = header_.function();
    const FuseGeometry filter_geometry = header_.filter();
    std::vector<std::uint8_t> pilots(geometry.pilot_count());
    std::vector<std::uint8_t> filter(options_.filter ? filter_geometry.byte_count() : 0);
    std::vector<std::uint8_t> seeds(2 * std::size_t{geometry.parts});
    PhfPartBuilder function(geometry);
    std::optional<FuseBuilder> fuse;
    if (options_.filter) fuse.emplace(filter_geometry);
    std::vector<Hash128> hashes;
    for (std::uint32_t part = 0; part < geometry.parts; ++part) {
      const std::span<const Key> of_part =
          std::span(keys).subspan(starts[part], starts[part + 1] - starts[part]);
      hashes.clear();
      for (const Key& key : of_part)
        hashes.push_back(key.hash());
      const auto part_pilots =
          std::span(pilots).subspan(std::size_t{part} * geometry.buckets, geometry.buckets);
      const Result<std::uint8_t> seed = function.build(hashes, part_pilots);
      if (!seed) return std::unexpected(seed.error());
      seeds[part] = *seed;
      if (Status written = write_records(of_part, hashes, *seed, part_pilots); !written) {
        return written;
      }
      if (!fuse) continue;
      const Result<std::uint8_t> filter_seed =
          fuse->build(hashes, std::span(filter).subspan(part * filter_geometry.part_bytes(),
                                                        filter_geometry.part_bytes()));
      if (!filter_seed) return std::unexpected(filter_seed.error());
      seeds[geometry.parts + part] = *filter_seed;
    }
    return write_sections({pilots, filter, seeds, bytes_of(fences_)});
  }

  template <class Key>
  Status write_records(std::span<const Key> keys, std::span<const Hash128> hashes,
                       std::uint8_t seed, std::span<const std::uint8_t> pilots) {
    const PhfGeometry geometry = header_.function();
    const PhfView split(geometry, nullptr, nullptr);
    const std::size_t size = record_bytes(options_.form);
    records_.assign(geometry.slots * size, 0);
    if (options_.form == Form::kCompact) {
      for (std::size_t slot = 0; slot < geometry.slots; ++slot)
        Record::put(&records_[slot * size], Hash128{}, kDeletedValue);
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::uint64_t displacement =
          PhfView::displacement(pilots[split.bucket(hashes[i])], seed);
      const std::size_t slot =
          PhfView::slot_of(PhfView::slot_word(hashes[i]), displacement, geometry.slots);
      std::memcpy(&records_[slot * size], keys[i].record().data(), size);
    }
    return output_.append(records_);
  }

  Status write_sections(std::initializer_list<std::span<const std::uint8_t>> sections) {
    for (const std::span<const std::uint8_t> section : sections) {
      if (Status aligned = output_.align(); !aligned) return aligned;
      if (Status written = output_.append(section); !written) return written;
    }
    if (Status aligned = output_.align(); !aligned) return aligned;
    if (Status written = output_.finish(); !written) return written;
    const auto sums = bytes_of(output_.checksums());
    if (Status written = output_.append_unchecked(sums); !written) return written;
    header_.checksums_check = crc32c(sums);
    std::array<std::uint8_t, kSegmentAlignment> page{};
    sluice::store(page.data(), header_);
    header_.header_check = segment_header_check(page);
    sluice::store(page.data(), header_);
    if (Status written = file_->write_at(0, page); !written) return written;
    return file_->sync();
  }

  Fs& fs_;
  const std::string path_;
  std::unique_ptr<File> file_;
  const SegmentOptions options_;
  SegmentOutput output_;
  SegmentHeader header_{};
  std::vector<CompactKey> compact_;
  std::vector<ExactKey> exact_;
  std::vector<Fence> fences_;
  std::vector<std::uint8_t> records_;
  std::optional<Last> last_;
  std::uint64_t next_fence_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t deletions_ = 0;
  std::uint64_t min_sequence_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_sequence_ = 0;
  bool finished_ = false;
};

SegmentWriter::SegmentWriter(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
SegmentWriter::~SegmentWriter() = default;

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(Fs& fs, const std::string& path,
                                                             const SegmentOptions& options,
                                                             Pace& pace) {
  if (options.format < kOldestSegmentFormat || options.format > kNewestSegmentFormat) {
    return refuse(fmt::format("segment formats are {} to {}, not {}", kOldestSegmentFormat,
                              kNewestSegmentFormat, options.format));
  }
  Result<std::unique_ptr<File>> file = fs.open(path, OpenMode::kCreate);
  if (!file) return std::unexpected(std::move(file).error());
  return std::unique_ptr<SegmentWriter>(
      new SegmentWriter(std::make_unique<State>(fs, path, *std::move(file), options, pace)));
}

Status SegmentWriter::add(const Entry& entry) {
  return state_->add(entry);
}
std::uint64_t SegmentWriter::entries() const noexcept {
  return state_->entries();
}
Result<SegmentInfo> SegmentWriter::finish() {
  return state_->finish();
}

}  // namespace sluice::controlplane::store
