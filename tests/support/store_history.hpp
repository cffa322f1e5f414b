// A short history that makes every part of the store that writes files do so once or twice, step by
// step, on a disk that may break at any moment: log, seal, compaction, manifest, base segment,
// backup, restore, migration, closing and opening. Between the steps it waits for what works in the
// background, so that two runs do the same operations. After a crash, check() says what is wrong.
// One thread.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/index.hpp"
#include "tests/support/fault_fs.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::test {

class StoreHistory {
 public:
  StoreHistory(FaultFs& fs, store::Fsync fsync, std::uint64_t seed);

  // False: the disk failed, at step().
  bool run();
  std::string_view step() const noexcept { return step_; }
  std::uint64_t acknowledged() const noexcept { return written_; }
  // Lets go of what is open.
  void close() { index_.reset(); }

  // After a restart of the disk: the store opens by itself, has everything that was promised to
  // survive, as a prefix of the history, works on and keeps no stray file; backup, restored store
  // and base segment are whole or not there. Before that the same disk is read-only once: the store
  // is served, and nothing of it changes. Empty, or what is wrong.
  std::string check();
  // Only the opening, as check() does first; false: the disk failed.
  bool reopen() { return open(); }

 private:
  bool open();
  bool log();
  bool seal();
  bool compact();
  bool build_base();
  bool back_up();
  bool migrate_keys();
  bool migrate_lanes();
  bool restore();
  bool close_and_reopen();
  bool settle();

  std::string strays() const;
  std::string check_read_only();
  std::string check_store();
  std::expected<std::uint64_t, std::string> check_served();
  std::map<std::string, std::vector<std::uint8_t>> all_contents() const;
  std::string check_copy(const std::string& directory, bool promised, std::uint64_t at_least);
  std::string check_base();

  FaultFs& fs_;
  const store::Fsync fsync_;
  const StoreModel model_;
  std::unique_ptr<store::Index> index_;
  std::string_view step_;
  std::uint64_t written_ = 0;  // acknowledged
  std::uint64_t safe_ = 0;     // acknowledged, and promised to survive
  bool backed_up_ = false;     // promised to be there, with at least:
  std::uint64_t in_backup_ = 0;
  bool restored_ = false;
  bool base_built_ = false;
  std::string error_;
};

}  // namespace sluice::test
