#include "controlplane/store/segment/base_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "controlplane/store/segment/phf_builder.hpp"

namespace sluice::controlplane::store {

using index::BaseDestination;
using index::BaseHeader;
using index::PhfGeometry;
using index::PhfView;
using index::Record;

namespace {

constexpr unsigned kRangeBits = 10;  // of lo: coarse ranges
constexpr std::size_t kChunkKeys = 512;

// lo, then the record: what the function and the file need of one route.
struct Packed {
  std::array<std::uint8_t, 8 + Record::kBytes> bytes;

  std::uint64_t lo() const noexcept { return load<std::uint64_t>(bytes.data()); }
  const std::uint8_t* record() const noexcept { return bytes.data() + 8; }
  // As much of the hash as the function looks at.
  Hash128 hash() const noexcept { return {lo(), Record::fingerprint(record())}; }
};
static_assert(sizeof(Packed) == 20);

std::span<const std::uint8_t> bytes_of(const auto& range) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(range.data()),
          range.size() * sizeof(*range.data())};
}

}  // namespace

struct BaseBuilder::Chunk {
  std::size_t used = 0;
  std::array<Packed, kChunkKeys> keys;
};

std::size_t BaseBuilder::DestinationHash::operator()(
    const BaseDestination& destination) const noexcept {
  const auto* bytes = reinterpret_cast<const char*>(&destination);
  return std::hash<std::string_view>()({bytes, sizeof destination});
}

BaseBuilder::BaseBuilder(const BaseOptions& options)
    : options_(options), hasher_(IdHasher::create(options.key)), ranges_(1U << kRangeBits) {}
BaseBuilder::BaseBuilder(BaseBuilder&&) noexcept = default;
BaseBuilder& BaseBuilder::operator=(BaseBuilder&&) noexcept = default;
BaseBuilder::~BaseBuilder() = default;

Result<std::uint32_t> BaseBuilder::position(const BaseDestination& destination) {
  const auto next = static_cast<std::uint32_t>(dictionary_.size());
  if (const auto known = positions_.find(destination); known != positions_.end()) {
    return known->second;
  }
  if (next == kMaxAdjacencies) {
    return fail(ErrorCode::kExhausted,
                fmt::format("a base has at most {} destinations", kMaxAdjacencies),
                ErrorOrigin::kStore);
  }
  dictionary_.push_back(destination);
  positions_.emplace(destination, next);
  return next;
}

Status BaseBuilder::add(const Id& id, Action action) {
  const std::uint64_t value = action.bits() & index::kValueMask;
  if (value == 0 ||
      !index::BaseSegmentView::allowed(value, static_cast<std::uint32_t>(dictionary_.size()))) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("a base cannot hold action {:#x}", value),
                ErrorOrigin::kStore);
  }
  const Hash128 hash = hasher_(id);
  auto& range = ranges_[hash.lo >> (64 - kRangeBits)];
  // Not zeroed: every key is written before it is read.
  if (range.empty() || range.back()->used == kChunkKeys) {
    range.push_back(std::make_unique_for_overwrite<Chunk>());
    range.back()->used = 0;
  }
  Packed& key = range.back()->keys[range.back()->used++];
  sluice::store(key.bytes.data(), hash.lo);
  Record::put(key.bytes.data() + 8, hash, value);
  ++entries_;
  return {};
}

// One finish(): the state that its threads share.
class BaseBuilder::Run {
 public:
  Run(const BaseBuilder& builder, File& file, Pace& pace)
      : builder_(builder), file_(file), pace_(pace) {}

  Result<BaseInfo> write() {
    for (unsigned attempt = 0;; ++attempt) {
      if (Status planned = plan(attempt); !planned) return std::unexpected(planned.error());
      if (Status reserved = file_.reserve(header_.total_bytes); !reserved) {
        return std::unexpected(reserved.error());
      }
      build_parts();
      if (!error_) break;
      if (!unplaced_ || attempt + 1 == kPhfAttempts) return std::unexpected(*error_);
    }
    if (Status rest = write_rest(); !rest) return std::unexpected(rest.error());
    return BaseInfo{header_.id, header_.total_bytes, header_.entries, header_.dictionary_entries};
  }

 private:
  static std::unexpected<Error> cancelled() {
    return fail(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
  }

  template <class Visit>
  void for_range(std::size_t range, const Visit& visit) const {
    for (const auto& chunk : builder_.ranges_[range])
      for (std::size_t i = 0; i < chunk->used; ++i)
        visit(chunk->keys[i]);
  }

  // Counts parts, and by them decides the function's geometry and the file's layout.
  Status plan(unsigned attempt) {
    error_.reset();
    unplaced_ = false;
    next_part_ = 0;
    const std::uint32_t parts = phf_parts(builder_.entries_);
    const PhfView split({.parts = parts, .buckets = 1, .slots = 1}, nullptr, nullptr);
    counts_.assign(parts, 0);
    for (std::size_t range = 0; range < builder_.ranges_.size(); ++range)
      for_range(range, [&](const Packed& key) { ++counts_[split.part({key.lo(), 0})]; });
    const Result<PhfGeometry> geometry =
        phf_geometry(builder_.entries_, parts, std::ranges::max(counts_), attempt);
    if (!geometry) return std::unexpected(geometry.error());
    geometry_ = *geometry;
    seeds_.assign(parts, 0);
    header_.magic = index::kBaseMagic;
    header_.version = index::kBaseVersion;
    header_.header_bytes = sizeof header_;
    header_.entries = builder_.entries_;
    header_.id = builder_.options_.id;
    header_.key_check = index::base_key_check(builder_.hasher_);
    header_.created_unix_s = builder_.options_.created_unix_s;
    header_.parts = geometry_.parts;
    header_.buckets = geometry_.buckets;
    header_.slots = geometry_.slots;
    header_.dictionary_entries = static_cast<std::uint32_t>(builder_.dictionary_.size());
    index::set_base_offsets(header_);
    return {};
  }

  void build_parts() {
    const unsigned threads =
        std::clamp(builder_.options_.threads, 1U, static_cast<unsigned>(geometry_.parts));
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < threads; ++i)
      helpers.emplace_back([this] { work(); });
    work();
  }

  void work() {
    PhfPartBuilder function(geometry_);
    std::vector<Packed> packed;
    std::vector<Hash128> keys;
    std::vector<std::uint8_t> pilots(geometry_.buckets);
    std::vector<std::uint8_t> records(std::size_t{geometry_.slots} * Record::kBytes);
    for (std::uint32_t part = next_part_++; part < geometry_.parts; part = next_part_++) {
      gather(part, packed, keys);
      const Result<std::uint8_t> seed = function.build(keys, pilots);
      if (!seed) return stop(seed.error(), seed.error().code() == ErrorCode::kUnavailable);
      fill(packed, *seed, pilots, records);
      if (Status written = write_part(part, *seed, pilots, records); !written) {
        return stop(written.error(), false);
      }
    }
  }

  void gather(std::uint32_t part, std::vector<Packed>& packed, std::vector<Hash128>& keys) const {
    packed.clear();
    keys.clear();
    const PhfView split(geometry_, nullptr, nullptr);
    // The ranges that can have keys of the part: those of its bounds and what is between.
    const std::uint64_t ranges = builder_.ranges_.size();
    const std::uint64_t first = part * ranges / geometry_.parts;
    const std::uint64_t last =
        std::min(ranges - 1, (part + std::uint64_t{1}) * ranges / geometry_.parts);
    for (std::uint64_t range = first; range <= last; ++range) {
      for_range(range, [&](const Packed& key) {
        if (split.part({key.lo(), 0}) != part) return;
        packed.push_back(key);
        keys.push_back(key.hash());
      });
    }
  }

  // A part alone looks like a function of one part to which the part's own bits are given.
  void fill(const std::vector<Packed>& packed, std::uint8_t seed,
            const std::vector<std::uint8_t>& pilots, std::vector<std::uint8_t>& records) const {
    const PhfView split(geometry_, nullptr, nullptr);
    std::ranges::fill(records, std::uint8_t{0});
    for (const Packed& key : packed) {
      const Hash128 hash = key.hash();
      const std::uint32_t bucket = split.bucket(hash);
      const std::uint32_t slot = PhfView::slot_of(
          PhfView::slot_word(hash), PhfView::displacement(pilots[bucket], seed), geometry_.slots);
      std::memcpy(records.data() + std::size_t{slot} * Record::kBytes, key.record(),
                  Record::kBytes);
    }
  }

  Status write_part(std::uint32_t part, std::uint8_t seed, const std::vector<std::uint8_t>& pilots,
                    const std::vector<std::uint8_t>& records) {
    seeds_[part] = seed;  // of this part only: no other thread touches it
    {
      const std::lock_guard lock(file_mutex_);
      if (Status written =
              file_.write_at(header_.pilots_offset + std::uint64_t{part} * pilots.size(), pilots);
          !written) {
        return written;
      }
      if (Status written = file_.write_at(
              header_.records_offset + std::uint64_t{part} * records.size(), records);
          !written) {
        return written;
      }
    }
    return pace_.spend(pilots.size() + records.size()) ? Status{} : cancelled();
  }

  // The first error is the one that is told; the others stop at their next part.
  void stop(const Error& error, bool unplaced) {
    next_part_ = geometry_.parts;
    const std::lock_guard lock(error_mutex_);
    if (error_) return;
    error_ = error;
    unplaced_ = unplaced;
  }

  Status write_rest() {
    if (Status written = file_.write_at(header_.seeds_offset, seeds_); !written) return written;
    if (Status written = file_.write_at(header_.dictionary_offset, bytes_of(builder_.dictionary_));
        !written) {
      return written;
    }
    const Result<std::vector<std::uint32_t>> sums = checksums();
    if (!sums) return std::unexpected(sums.error());
    if (Status written = file_.write_at(header_.checksums_offset, bytes_of(*sums)); !written) {
      return written;
    }
    header_.checksums_check = crc32c(bytes_of(*sums));
    std::array<std::uint8_t, index::kBaseAlignment> page{};
    sluice::store(page.data(), header_);
    header_.header_check = index::base_header_check(page);
    sluice::store(page.data(), header_);
    if (Status written = file_.write_at(0, page); !written) return written;
    return file_.sync();
  }

  // Parts and blocks have different bounds, so the sums are made of what the file holds.
  Result<std::vector<std::uint32_t>> checksums() {
    std::vector<std::uint32_t> sums(header_.checksum_count);
    std::vector<std::uint8_t> block(index::kBaseBlockBytes);
    for (std::uint32_t i = 0; i < header_.checksum_count; ++i) {
      const std::uint64_t at = index::kBaseAlignment + i * index::kBaseBlockBytes;
      const std::uint64_t size = std::min(index::kBaseBlockBytes, header_.checksums_offset - at);
      const std::span<std::uint8_t> part = std::span(block).first(size);
      const Result<std::size_t> got = file_.read_at(at, part);
      if (!got) return std::unexpected(got.error());
      if (*got != size) {
        return fail(ErrorCode::kCorrupt, fmt::format("{}: shorter than written", file_.path()),
                    ErrorOrigin::kStore);
      }
      sums[i] = crc32c(part);
      if (!pace_.spend(size)) return cancelled();
    }
    return sums;
  }

  const BaseBuilder& builder_;
  File& file_;
  Pace& pace_;
  PhfGeometry geometry_;
  BaseHeader header_{};
  std::vector<std::uint64_t> counts_;  // keys per part
  std::vector<std::uint8_t> seeds_;
  std::atomic<std::uint32_t> next_part_{0};
  std::mutex file_mutex_;
  std::mutex error_mutex_;
  std::optional<Error> error_;
  bool unplaced_ = false;  // the error is that no seed places a part: another geometry can help
};

Result<BaseInfo> BaseBuilder::finish(Fs& fs, const std::string& path, Pace& pace) {
  const std::string fresh = path + ".new";
  // What a crash left there is of no use to anybody.
  if (const Result<bool> left = fs.exists(fresh); left && *left) {
    if (Status removed = fs.remove(fresh); !removed) return std::unexpected(removed.error());
  }
  Result<std::unique_ptr<File>> file = fs.open(fresh, OpenMode::kCreate);
  if (!file) return std::unexpected(std::move(file).error());
  Result<BaseInfo> info = Run(*this, **file, pace).write();
  file->reset();
  Status done = info ? fs.rename(fresh, path) : std::unexpected(info.error());
  if (!done) {
    (void)fs.remove(fresh);  // the error that is told is the first
    return fail(std::move(done).error(), "writing a base segment");
  }
  if (Status synced = fs.sync_dir(parent_dir(path)); !synced) {
    return std::unexpected(synced.error());
  }
  return info;
}

}  // namespace sluice::controlplane::store
