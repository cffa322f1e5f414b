#include "controlplane/store/segment/segment_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <optional>
#include <vector>

#include "controlplane/store/segment/entry_codec.hpp"
#include "controlplane/store/segment/hash_order.hpp"
#include "controlplane/store/segment/phf_builder.hpp"
#include "controlplane/store/segment/segment_output.hpp"

namespace sluice::controlplane::store {

using index::PhfGeometry;
using index::PhfView;
using index::Record;

namespace {

constexpr unsigned kSegmentFilterBits = 12;  // per key: another one passes once in 200

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

  // The function of all keys, of which those of a part lie between two starts.
  struct Function {
    std::vector<std::size_t> starts;
    std::vector<std::uint8_t> seeds;  // of the function, then of a fuse filter
    std::vector<std::uint8_t> pilots;

    std::span<const std::uint8_t> pilots_of(std::uint32_t part, const PhfGeometry& g) const {
      return std::span(pilots).subspan(std::size_t{part} * g.buckets, g.buckets);
    }
  };

  // Parts follow each other in the order of the keys.
  template <class Key>
  static std::vector<std::size_t> split(const std::vector<Key>& keys, std::uint32_t parts) {
    const PhfView by({.parts = parts, .buckets = 1, .slots = 1}, nullptr, nullptr);
    std::vector<std::size_t> starts(parts + 1, keys.size());
    starts[0] = 0;
    for (std::uint32_t part = 1; part < parts; ++part) {
      const auto from = keys.begin() + static_cast<std::ptrdiff_t>(starts[part - 1]);
      const auto to = std::partition_point(
          from, keys.end(), [&](const Key& key) { return by.part(key.hash()) < part; });
      starts[part] = static_cast<std::size_t>(to - keys.begin());
    }
    return starts;
  }

  template <class Key>
  static void hashes_of(std::span<const Key> keys, std::vector<Hash128>& hashes) {
    hashes.clear();
    for (const Key& key : keys)
      hashes.push_back(key.hash());
  }

  template <class Key>
  static std::span<const Key> keys_of(const std::vector<Key>& keys, const Function& function,
                                      std::uint32_t part) {
    return std::span(keys).subspan(function.starts[part],
                                   function.starts[part + 1] - function.starts[part]);
  }

  template <class Key>
  Result<Function> build_function(const std::vector<Key>& keys) {
    const PhfShape& shape = options_.quick ? kQuickPhf : kSmallPhf;
    const std::uint32_t parts = phf_parts(keys.size(), shape);
    Function function{.starts = split(keys, parts),
                      .seeds = std::vector<std::uint8_t>(2 * std::size_t{parts}),
                      .pilots = {}};
    largest_part_ = 0;
    for (std::uint32_t part = 0; part < parts; ++part)
      largest_part_ = std::max(largest_part_, function.starts[part + 1] - function.starts[part]);
    for (unsigned attempt = 0;; ++attempt) {
      const auto geometry = phf_geometry(keys.size(), parts, largest_part_, attempt, shape);
      if (!geometry) return std::unexpected(geometry.error());
      header_.parts = parts;
      header_.buckets = geometry->buckets;
      header_.slots = geometry->slots;
      const Status built = build_parts(keys, function);
      if (built) return function;
      if (built.error().code() != ErrorCode::kUnavailable || attempt + 1 == kPhfAttempts) {
        return std::unexpected(built.error());
      }
    }
  }

  template <class Key>
  Status build_parts(const std::vector<Key>& keys, Function& function) {
    const PhfGeometry geometry = header_.function();
    function.pilots.assign(geometry.pilot_count(), 0);
    PhfPartBuilder builder(geometry);
    std::vector<Hash128> hashes;
    for (std::uint32_t part = 0; part < geometry.parts; ++part) {
      hashes_of(keys_of(keys, function, part), hashes);
      const auto pilots = std::span(function.pilots)
                              .subspan(std::size_t{part} * geometry.buckets, geometry.buckets);
      const Result<std::uint8_t> seed = builder.build(hashes, pilots);
      if (!seed) return std::unexpected(seed.error());
      function.seeds[part] = *seed;
    }
    return {};
  }

  // Empty when there shall be none.
  template <class Key>
  Result<std::vector<std::uint8_t>> build_filter(const std::vector<Key>& keys, Function& function) {
    if (!options_.filter) return std::vector<std::uint8_t>();
    if (header_.has_block_filter()) return build_block_filter(keys);
    return build_fuse_filter(keys, function);
  }

  template <class Key>
  std::vector<std::uint8_t> build_block_filter(const std::vector<Key>& keys) {
    header_.filter_segment_bytes = BlockFilter::kBlockBytes;
    header_.filter_segments = BlockFilter::blocks_for(keys.size(), kSegmentFilterBits);
    std::vector<std::uint8_t> filter(header_.filter_bytes());
    auto* const words = reinterpret_cast<BlockFilter::Word*>(filter.data());
    for (const Key& key : keys)
      BlockFilter::add(words, header_.filter_segments, key.hash());
    return filter;
  }

  template <class Key>
  Result<std::vector<std::uint8_t>> build_fuse_filter(const std::vector<Key>& keys,
                                                      Function& function) {
    const FuseGeometry geometry = fuse_geometry(header_.parts, largest_part_);
    header_.filter_segment_bytes = geometry.segment_bytes;
    header_.filter_segments = geometry.segments;
    std::vector<std::uint8_t> filter(geometry.byte_count());
    FuseBuilder builder(geometry);
    std::vector<Hash128> hashes;
    for (std::uint32_t part = 0; part < geometry.parts; ++part) {
      hashes_of(keys_of(keys, function, part), hashes);
      const auto out =
          std::span(filter).subspan(part * geometry.part_bytes(), geometry.part_bytes());
      const Result<std::uint8_t> seed = builder.build(hashes, out);
      if (!seed) return std::unexpected(seed.error());
      function.seeds[geometry.parts + part] = *seed;
    }
    return filter;
  }

  // Records, pilots, filter, seeds, fences, checksums, header.
  template <class Key>
  Status write_rest(const std::vector<Key>& keys) {
    Result<Function> function = build_function(keys);
    if (!function) return std::unexpected(function.error());
    const Result<std::vector<std::uint8_t>> filter = build_filter(keys, *function);
    if (!filter) return std::unexpected(filter.error());
    set_segment_offsets(header_);
    if (Status aligned = output_.align(); !aligned) return aligned;
    for (std::uint32_t part = 0; part < header_.parts; ++part) {
      const Status written = write_records(keys_of(keys, *function, part), function->seeds[part],
                                           function->pilots_of(part, header_.function()));
      if (!written) return written;
    }
    return write_sections({function->pilots, *filter, function->seeds, bytes_of(fences_)});
  }

  template <class Key>
  Status write_records(std::span<const Key> keys, std::uint8_t seed,
                       std::span<const std::uint8_t> pilots) {
    const PhfGeometry geometry = header_.function();
    const PhfView within(geometry, nullptr, nullptr);
    const std::size_t size = record_bytes(options_.form);
    records_.assign(geometry.slots * size, 0);
    if (options_.form == Form::kCompact) {
      for (std::size_t slot = 0; slot < geometry.slots; ++slot)
        Record::put(&records_[slot * size], Hash128{}, kDeletedValue);
    }
    for (const Key& key : keys) {
      const Hash128 hash = key.hash();
      const std::size_t slot = PhfView::slot_of(
          PhfView::slot_word(hash), PhfView::displacement(pilots[within.bucket(hash)], seed),
          geometry.slots);
      std::memcpy(&records_[slot * size], key.record().data(), size);
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
  std::size_t largest_part_ = 0;
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
  if (!known_format(options.format)) {
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
