#include "controlplane/store/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <utility>

#include "controlplane/store/lane.hpp"
#include "controlplane/store/segment/segment_format.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::string_view kMagic = "SLMANIF\n";
constexpr std::size_t kHeader = 24;
constexpr std::size_t kChecksum = 4;
constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{16} << 20;
constexpr std::size_t kMaxLayouts = 2;
constexpr std::size_t kMaxTables = 256;
constexpr std::size_t kMaxTrees = std::size_t{kMaxForm} * kMaxLanes;
constexpr std::size_t kSegmentBytes = 44;
constexpr std::uint8_t kMaxKind = 3;
constexpr std::string_view kSegmentPrefix = "seg-";

void put_tree(Buffer& to, const TreeState& tree) {
  put(to, static_cast<std::uint8_t>(tree.form));
  put(to, tree.lane);
  put(to, tree.flushed_sequence);
  put(to, static_cast<std::uint32_t>(tree.segments.size()));
  for (const auto& segment : tree.segments) {
    put(to, segment.file);
    put(to, segment.bytes);
    put(to, segment.entries);
    put(to, segment.min_sequence);
    put(to, segment.max_sequence);
    put(to, segment.checksum);
  }
}

// Takes the body apart; the first thing that is wrong ends it.
class Decoder {
 public:
  Decoder(ByteView body, std::string_view name) : fields_(body), size_(body.size()), name_(name) {}

  Result<Manifest> manifest(std::uint64_t generation) {
    Manifest manifest{.generation = generation};
    if (!header(manifest) || !tables(manifest) || !layouts(manifest)) {
      return std::unexpected(std::move(*error_));
    }
    if (fields_.left() != 0) {
      (void)refuse("bytes behind its end");
      return std::unexpected(std::move(*error_));
    }
    return manifest;
  }

 private:
  bool refuse(std::string_view what) {
    error_ = Error(ErrorCode::kCorrupt,
                   fmt::format("{}: offset {}: {}", name_, kHeader + size_ - fields_.left(), what),
                   ErrorOrigin::kStore);
    return false;
  }

  template <class T>
  bool take(T& value) {
    const auto field = fields_.take<T>();
    if (!field) return refuse("cut short");
    value = *field;
    return true;
  }

  template <std::size_t N>
  bool take(std::array<std::uint8_t, N>& value) {
    const auto bytes = fields_.take_bytes(N);
    if (!bytes) return refuse("cut short");
    std::ranges::copy(*bytes, value.begin());
    return true;
  }

  bool header(Manifest& manifest) {
    if (!take(manifest.store) || !take(manifest.next_file) || !take(manifest.sequence_floor)) {
      return false;
    }
    return manifest.sequence_floor != 0 || refuse("sequence floor 0");
  }

  bool tables(Manifest& manifest) {
    std::uint32_t count = 0;
    if (!take(count)) return false;
    if (count > kMaxTables) return refuse("too many tables");
    std::array<bool, kMaxTables> seen{};
    for (std::uint32_t i = 0; i < count; ++i) {
      TableSpec table;
      std::uint8_t kind = 0;
      if (!take(table.id) || !take(kind)) return false;
      if (kind == 0 || kind > kMaxKind) return refuse("a table of unknown kind");
      if (std::exchange(seen[table.id], true)) return refuse("a table twice");
      auto name = fields_.take_text();
      if (!name) return refuse("cut short");
      table.kind = static_cast<Kind>(kind);
      table.name = std::move(*name);
      manifest.tables.push_back(std::move(table));
    }
    return true;
  }

  bool layouts(Manifest& manifest) {
    std::uint32_t count = 0;
    if (!take(count)) return false;
    if (count == 0 || count > kMaxLayouts) return refuse("not one or two layouts");
    for (std::uint32_t i = 0; i < count; ++i) {
      LayoutState layout;
      std::uint32_t trees = 0;
      if (!take(layout.id) || !take(layout.key.bytes) || !take(layout.lanes) ||
          !take(layout.segment_format) || !take(trees)) {
        return false;
      }
      if (!known_format(layout.segment_format)) {
        error_ = unknown_format(name_, layout.segment_format);
        return false;
      }
      if (layout.lanes == 0 || layout.lanes > kMaxLanes) return refuse("lanes out of range");
      if (i == 1 && layout.id == manifest.layouts.front().id) return refuse("a layout twice");
      if (trees > kMaxTrees) return refuse("too many trees");
      for (std::uint32_t t = 0; t < trees; ++t)
        if (!tree(layout, manifest.next_file)) return false;
      manifest.layouts.push_back(std::move(layout));
    }
    return true;
  }

  bool tree(LayoutState& layout, std::uint64_t next_file) {
    TreeState tree;
    std::uint8_t form = 0;
    std::uint32_t segments = 0;
    if (!take(form) || !take(tree.lane) || !take(tree.flushed_sequence) || !take(segments)) {
      return false;
    }
    if (form == 0 || form > kMaxForm) return refuse("a tree of unknown form");
    if (tree.lane >= layout.lanes) return refuse("a tree of a lane that is not there");
    tree.form = static_cast<Form>(form);
    for (const auto& other : layout.trees)
      if (other.form == tree.form && other.lane == tree.lane) return refuse("a tree twice");
    // Before memory is taken for them.
    if (segments > fields_.left() / kSegmentBytes) return refuse("more segments than bytes");
    for (std::uint32_t i = 0; i < segments; ++i) {
      SegmentRef segment;
      if (!take(segment.file) || !take(segment.bytes) || !take(segment.entries) ||
          !take(segment.min_sequence) || !take(segment.max_sequence) || !take(segment.checksum)) {
        return false;
      }
      if (segment.file >= next_file) return refuse("a segment whose number was never given");
      if (!files_.insert(segment.file).second) return refuse("a segment twice");
      if (segment.min_sequence > segment.max_sequence) return refuse("a segment's sequences");
      tree.segments.push_back(segment);
    }
    layout.trees.push_back(std::move(tree));
    return true;
  }

  FieldReader fields_;
  std::size_t size_;
  std::string_view name_;
  std::set<std::uint64_t> files_;
  std::optional<Error> error_;
};

std::unexpected<Error> corrupt(std::string_view name, std::string_view what) {
  return fail(ErrorCode::kCorrupt, fmt::format("{}: {}", name, what), ErrorOrigin::kStore);
}

std::string manifest_path(const std::string& directory) {
  return fmt::format("{}/{}", directory, kManifestName);
}

}  // namespace

std::string segment_file_name(std::uint64_t file) {
  return fmt::format("{}{:016x}", kSegmentPrefix, file);
}

std::optional<std::uint64_t> segment_file_number(std::string_view name) {
  if (!name.starts_with(kSegmentPrefix)) return std::nullopt;
  // The digits are those of log files.
  return log_file_base(fmt::format("log-{}", name.substr(kSegmentPrefix.size())));
}

Buffer encode(const Manifest& manifest) {
  Buffer bytes(kMagic.begin(), kMagic.end());
  put(bytes, kManifestVersion);
  put(bytes, std::uint32_t{0});  // of the body's size, below
  put(bytes, manifest.generation);
  put_bytes(bytes, manifest.store);
  put(bytes, manifest.next_file);
  put(bytes, manifest.sequence_floor);
  put(bytes, static_cast<std::uint32_t>(manifest.tables.size()));
  for (const auto& table : manifest.tables) {
    put(bytes, table.id);
    put(bytes, static_cast<std::uint8_t>(table.kind));
    put_text(bytes, table.name);
  }
  put(bytes, static_cast<std::uint32_t>(manifest.layouts.size()));
  for (const auto& layout : manifest.layouts) {
    put(bytes, layout.id);
    put_bytes(bytes, layout.key.bytes);
    put(bytes, layout.lanes);
    put(bytes, layout.segment_format);
    put(bytes, static_cast<std::uint32_t>(layout.trees.size()));
    for (const auto& tree : layout.trees)
      put_tree(bytes, tree);
  }
  sluice::store(bytes.data() + 12, static_cast<std::uint32_t>(bytes.size() - kHeader));
  put(bytes, crc32c(bytes));
  return bytes;
}

Result<Manifest> decode_manifest(ByteView bytes, std::string_view name) {
  if (bytes.size() < kHeader + kChecksum) return corrupt(name, "shorter than a manifest");
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return corrupt(name, "offset 0: not a manifest");
  }
  const std::size_t covered = bytes.size() - kChecksum;
  if (load<std::uint32_t>(bytes.data() + covered) != crc32c(bytes.first(covered))) {
    return corrupt(name, "its checksum is wrong");
  }
  const auto version = load<std::uint32_t>(bytes.data() + 8);
  if (version != kManifestVersion) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: version {} of the manifest; this program knows {}", name, version,
                            kManifestVersion),
                ErrorOrigin::kStore);
  }
  if (load<std::uint32_t>(bytes.data() + 12) != covered - kHeader) {
    return corrupt(name, "offset 12: another size than the file's");
  }
  Decoder decoder(bytes.subspan(kHeader, covered - kHeader), name);
  return decoder.manifest(load<std::uint64_t>(bytes.data() + 16));
}

Result<Manifest> read_manifest(Fs& fs, const std::string& directory) {
  const std::string path = manifest_path(directory);
  const auto bytes = read_file(fs, path, kMaxManifestBytes);
  if (!bytes) return std::unexpected(bytes.error());
  return decode_manifest(*bytes, path);
}

Status write_manifest(Fs& fs, const std::string& directory, const Manifest& manifest) {
  return replace_file(fs, manifest_path(directory), encode(manifest));
}

}  // namespace sluice::controlplane::store
