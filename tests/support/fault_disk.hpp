// What a disk is sure to have and what only the kernel has: the model under FaultFs. Not
// thread-safe; FaultFs locks.
//
// After ext4 and worse: content and size of a file are safe after a sync of it; names after a sync
// of their directory, also the name of a new file. Unsynced writes survive sector by sector (512
// bytes) in any order, the unsynced size may be old or new. Unsynced names of one directory survive
// as a prefix of its history (journals do not reorder).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace sluice::test {

using DiskBytes = std::vector<std::uint8_t>;

enum class Loss : std::uint8_t {
  kAll,     // nothing unsynced survives
  kNone,    // kill -9: the kernel has it all, but it is no safer than before
  kRandom,  // any part survives: torn, reordered
};

class DiskFile {
 public:
  const DiskBytes& bytes() const noexcept { return *now_; }
  // Shared with mappings; copied before it changes while somebody else has it.
  std::shared_ptr<const DiskBytes> share() const noexcept { return now_; }

  void write(std::uint64_t offset, const std::uint8_t* bytes, std::size_t size);
  void resize(std::uint64_t size);
  // The power goes while this is written: it may be there afterwards, but only with Loss::kRandom.
  void write_while_crashing(std::uint64_t offset, const std::uint8_t* bytes, std::size_t size);
  void sync();
  // The kernel reports an error once and drops what it could not write; it still shows it.
  void fail_sync();
  void lose(Loss loss, std::mt19937_64& random);
  // Rot: in the kernel's view and on the disk.
  void flip_bit(std::uint64_t offset, unsigned bit);

 private:
  struct Change {
    std::uint64_t offset = 0;  // of a write; the new size of a resize
    DiskBytes bytes;
    bool resize = false;
    bool dropped = false;  // by a failed sync: no later sync makes it safe
    bool crashing = false;
  };
  DiskBytes& mine();
  static void apply(const Change& change, DiskBytes& to);

  std::shared_ptr<DiskBytes> now_ = std::make_shared<DiskBytes>();
  DiskBytes safe_;
  std::vector<Change> unsynced_;
};

// A name: of a file, or of a directory (no file).
struct DiskName {
  std::shared_ptr<DiskFile> file;
  bool directory = false;
};

// All names, by full path.
class DiskNames {
 public:
  DiskNames();

  const std::map<std::string, DiskName>& now() const noexcept { return now_; }
  const DiskName* find(const std::string& path) const;

  // One step of a directory's history: names set and taken away together.
  struct Step {
    std::vector<std::pair<std::string, DiskName>> set;
    std::vector<std::string> gone;
    bool crashing = false;
  };
  void change(const std::string& directory, Step step);
  void change_while_crashing(const std::string& directory, Step step);
  void sync(const std::string& directory);
  void lose(Loss loss, std::mt19937_64& random);

 private:
  static void apply(const Step& step, std::map<std::string, DiskName>& to);
  void lose_names(Loss loss, std::mt19937_64& random);

  std::map<std::string, DiskName> now_;
  std::map<std::string, DiskName> safe_;
  std::map<std::string, std::vector<Step>> unsynced_;  // by directory
};

}  // namespace sluice::test
