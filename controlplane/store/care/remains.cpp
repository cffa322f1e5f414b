#include "controlplane/store/care/remains.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "controlplane/store/file/flipped_bit.hpp"

namespace sluice::controlplane::store {
namespace {

// Larger ones are not searched for one flipped bit: that takes the square of their size.
constexpr std::size_t kMendable = std::size_t{64} << 10;
constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{16} << 20;

class Finder {
 public:
  Finder(Fs& fs, const std::string& directory, const Progress& progress)
      : fs_(fs), progress_(progress) {
    found_.directory = directory;
  }

  Result<StoreRemains> find() {
    const auto names = fs_.list(found_.directory);
    if (!names) return std::unexpected(names.error());
    const bool any = std::ranges::any_of(*names, [](const std::string& name) {
      return name == kManifestName || log_file_base(name) || segment_file_number(name);
    });
    if (!any) {
      return fail(ErrorCode::kNotFound, found_.directory + ": there is no store here",
                  ErrorOrigin::kStore);
    }
    if (auto done = sizes(*names); !done) return std::unexpected(done.error());
    if (auto done = manifest(); !done) return std::unexpected(done.error());
    const Status done = found_.manifest ? named_segments() : all_segments(*names);
    if (!done) return std::unexpected(done.error());
    return std::move(found_);
  }

 private:
  std::string path(const std::string& name) const { return found_.directory + "/" + name; }
  void tell(const std::string& name, std::string what) {
    found_.damaged.push_back({path(name), std::move(what)});
  }

  Status sizes(const std::vector<std::string>& names) {
    for (const auto& name : names) {
      const auto size = fs_.file_size(path(name));
      if (!size) return std::unexpected(size.error());
      found_.bytes += *size;
    }
    return {};
  }

  Status manifest() {
    const std::string name(kManifestName);
    auto bytes = read_file(fs_, path(name), kMaxManifestBytes);
    if (!bytes && bytes.error().code() == ErrorCode::kNotFound) {
      tell(name, "is missing");
      return {};
    }
    if (!bytes) return std::unexpected(bytes.error());
    done_ += bytes->size();
    auto decoded = decode_manifest(*bytes, path(name));
    if (!decoded && decoded.error().code() == ErrorCode::kUnsupported)
      return std::unexpected(decoded.error());
    if (!decoded) {
      tell(name, decoded.error().message());
      const auto right = [&] { return decode_manifest(*bytes, name).has_value(); };
      if (bytes->size() <= kMendable && mend_flipped_bit(std::span(*bytes), right)) {
        tell(name, "it was one flipped bit, and could be mended");
        decoded = decode_manifest(*bytes, path(name));
      }
    }
    if (decoded) found_.manifest = *std::move(decoded);
    return {};
  }

  // A layout that is being migrated from goes before the present one; in a tree the oldest goes
  // first.
  Status named_segments() {
    for (const LayoutState& layout : found_.manifest->layouts) {
      for (const TreeState& tree : layout.trees) {
        for (auto ref = tree.segments.rbegin(); ref != tree.segments.rend(); ++ref)
          if (auto done = segment(ref->file, &*ref); !done) return done;
      }
    }
    return {};
  }

  Status all_segments(const std::vector<std::string>& names) {
    for (const auto& name : names) {
      const auto file = segment_file_number(name);
      if (!file) continue;
      if (auto done = segment(*file, nullptr); !done) return done;
    }
    std::ranges::stable_sort(found_.segments, {}, [](const SegmentRemainder& segment) {
      return segment.remains ? segment.remains->info().max_sequence : 0;
    });
    return {};
  }

  Status segment(std::uint64_t file, const SegmentRef* ref) {
    const std::string name = segment_file_name(file);
    SegmentRemainder& out = found_.segments.emplace_back();
    out.file = file;
    if (ref != nullptr) {
      out.bytes = ref->bytes;
      out.entries = ref->entries;
    }
    auto remains = SegmentRemains::open(fs_, path(name));
    if (!remains) {
      const auto code = remains.error().code();
      if (code != ErrorCode::kCorrupt && code != ErrorCode::kNotFound)
        return std::unexpected(remains.error());
      out.damaged = true;
      tell(name, code == ErrorCode::kNotFound ? "is missing" : remains.error().message());
      return progress(out.bytes);
    }
    if (ref != nullptr && remains->info().checksum != ref->checksum) {
      out.damaged = true;
      tell(name, "not the file that the manifest names");
      return progress(out.bytes);
    }
    auto damage = remains->damage();
    out.damaged = !damage.empty();
    std::ranges::move(damage, std::back_inserter(found_.damaged));
    out.bytes = remains->info().bytes;
    out.entries = remains->info().entries;
    out.remains = *std::move(remains);
    return progress(out.bytes);
  }

  Status progress(std::uint64_t bytes) {
    done_ += bytes;
    if (!progress_ || progress_(done_, std::max(done_, found_.bytes))) return {};
    return fail(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
  }

  Fs& fs_;
  const Progress& progress_;
  StoreRemains found_;
  std::uint64_t done_ = 0;
};

// What the index would say when it opens.
Status read_as_index(Fs& fs, const std::string& directory, const Manifest& manifest,
                     const std::optional<LogEnd>& durable) {
  LogReadOptions options{.directory = directory,
                         .store = manifest.store,
                         .after_sequence = ~std::uint64_t{0},
                         .must_exist = manifest.generation > 1};
  for (const TreeState& tree : manifest.layouts.back().trees) {
    options.after_sequence = std::min(options.after_sequence, tree.flushed_sequence);
    options.at_least_sequence = std::max(options.at_least_sequence, tree.flushed_sequence);
  }
  if (durable) {
    options.at_least_sequence = std::max(options.at_least_sequence, durable->next_sequence - 1);
    options.end_position = durable->position;
  }
  auto reader = LogReader::open(fs, options);
  if (!reader) return std::unexpected(reader.error());
  LogRecord record;
  for (;;) {
    const auto more = (*reader)->next(record);
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
  }
}

}  // namespace

bool StoreRemains::is_damaged(std::uint64_t file) const {
  return std::ranges::any_of(segments, [&](const SegmentRemainder& segment) {
    return segment.file == file && segment.damaged;
  });
}

Result<StoreRemains> find_remains(Fs& fs, const std::string& directory, const Progress& progress) {
  return Finder(fs, directory, progress).find();
}

std::vector<Damage> segment_damage(Fs& fs, const std::string& path) {
  const auto remains = SegmentRemains::open(fs, path);
  if (!remains) return {{path, remains.error().message()}};
  auto damage = remains->damage();
  // It may be another file than it should be, or have been read wrongly once.
  if (damage.empty()) damage.push_back({path, "was found damaged before"});
  return damage;
}

Result<LogRemains> log_damage(Fs& fs, const std::string& directory,
                              const std::optional<Manifest>& manifest,
                              const std::optional<LogEnd>& durable) {
  const auto none = [](const LogRecord&) { return Status{}; };
  const auto store = manifest ? std::optional(manifest->store) : std::nullopt;
  auto log = read_log_remains(fs, directory, store, none, durable ? durable->position : kNoLogEnd);
  if (!log || !manifest) return log;
  const Status good = read_as_index(fs, directory, *manifest, durable);
  if (good) {
    log->damaged.clear();  // a torn end, or files that nothing is needed of any more
    return log;
  }
  if (good.error().code() != ErrorCode::kCorrupt) return std::unexpected(good.error());
  if (log->damaged.empty()) log->damaged.push_back({directory + "/log-*", good.error().message()});
  return log;
}

}  // namespace sluice::controlplane::store
