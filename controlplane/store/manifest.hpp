// The manifest: which files are the store. Replaced by one atomic rename (replace_file), so the
// store is always one generation or the next. Files that an older generation names live as long as
// somebody holds them; whoever does removes them (index).
//
// File MANIFEST, little-endian: "SLMANIF\n" | version u32 | body bytes u32 | generation u64 | body
// | CRC-32C of all before u32. The body is encode()'s, in the order of the members of Manifest.
// Everything is checked when it is read: checksum, counts, ranges, no file or tree twice.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/file/checksum.hpp"
#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/log/log.hpp"
#include "controlplane/store/table_spec.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/hash/aes_key.hpp"

namespace sluice::controlplane::store {

inline constexpr std::uint32_t kManifestVersion = 1;
inline constexpr std::string_view kManifestName = "MANIFEST";
inline constexpr std::string_view kLockName = "LOCK";

std::string segment_file_name(std::uint64_t file);
// Nothing when it is not the name of a segment.
std::optional<std::uint64_t> segment_file_number(std::string_view name);

struct SegmentRef {
  std::uint64_t file = 0;  // number, in its name; used once
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
  std::uint64_t min_sequence = 0;
  std::uint64_t max_sequence = 0;
  std::uint32_t checksum = 0;  // of the segment's footer

  friend bool operator==(const SegmentRef&, const SegmentRef&) = default;
};

struct TreeState {
  Form form = Form::kCompact;
  std::uint16_t lane = 0;
  std::uint64_t flushed_sequence = 0;  // every entry of this tree up to it is in the segments
  std::vector<SegmentRef> segments;    // newest first

  friend bool operator==(const TreeState&, const TreeState&) = default;
};

// A way to store keys: what a migration changes.
struct LayoutState {
  std::uint32_t id = 0;
  HashKey key{};  // so the file is secret, mode 0600
  std::uint16_t lanes = 1;
  std::uint32_t segment_format = 0;  // of the segments that are written; says how ids are hashed
  std::vector<TreeState> trees;      // each (form, lane) once

  friend bool operator==(const LayoutState&, const LayoutState&) = default;
};

struct Manifest {
  std::uint64_t generation = 0;
  StoreId store{};
  std::uint64_t next_file = 1;       // numbers from here on were never used
  std::uint64_t sequence_floor = 1;  // later operations have at least this number
  std::vector<TableSpec> tables;     // each id once
  std::vector<LayoutState> layouts;  // one; two while a migration goes on

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

Buffer encode(const Manifest& manifest);
// kCorrupt says which field; kUnsupported for a newer version. `name` is for the error.
Result<Manifest> decode_manifest(ByteView bytes, std::string_view name);

// The manifest of one open directory. Any thread.
class ManifestStore {
 public:
  // Locks the directory (made when missing) and reads the manifest. Where there is none, `fresh`
  // is written as the first; but a directory without manifest that has segments or logs is
  // kCorrupt, not a new store. A store that is there is not changed: settle() is next.
  static Result<std::unique_ptr<ManifestStore>> open(Fs& fs, const std::string& directory,
                                                     const Manifest& fresh);

  const std::string& directory() const noexcept { return directory_; }
  // FileLock::in_place() of the directory. While it is not, nothing is committed.
  Status in_place() const { return lock_->in_place(); }
  std::weak_ptr<const FileLock> lock() const noexcept { return lock_; }
  bool created() const noexcept { return created_; }
  Manifest current() const;

  // Makes the names durable, then removes stray files: segments that the manifest does not name,
  // and temporary ones (*.new). Files of other names are left alone. To be tried again after an
  // error; does nothing once it has worked. Nothing can be committed before.
  Status settle();
  const std::vector<std::string>& strays() const noexcept { return strays_; }  // removed by it

  // Makes `next` the current one, durably; its generation is set to the next number. On an error
  // the present one stays. When the sync behind the rename fails, nobody knows which of both a
  // power loss would leave: then every later commit is refused, until the store is opened anew.
  Status commit(Manifest next);

  // At an orderly close, when nobody writes files any more: what cancelled work left behind goes at
  // once, not with the next open. Nothing goes when it is not sure which manifest counts.
  void tidy();

 private:
  ManifestStore(Fs& fs, std::string directory, std::unique_ptr<FileLock> lock);
  Status create(const Manifest& fresh);
  Status settle_locked();
  std::unexpected<Error> give_up(const Error& error);
  Status remove_strays();

  Fs& fs_;
  const std::string directory_;
  const std::shared_ptr<const FileLock> lock_;
  bool created_ = false;
  std::vector<std::string> strays_;
  mutable std::mutex mutex_;  // of what follows
  Manifest current_;
  bool settled_ = false;
  std::optional<Error> refused_;
};

// Reads and checks `directory`'s manifest without locking: for backups and for looking.
Result<Manifest> read_manifest(Fs& fs, const std::string& directory);
// Writes one into a directory that nobody has open: the last step of a backup or a restore.
Status write_manifest(Fs& fs, const std::string& directory, const Manifest& manifest);

}  // namespace sluice::controlplane::store
