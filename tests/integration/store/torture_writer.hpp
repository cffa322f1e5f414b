// The process that is killed: opens the store, writes batches and acknowledges each through a pipe,
// and does all maintenance beside it, without end.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/store/index.hpp"
#include "tests/integration/store/kill_fs.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::test {

struct Kill {
  Phase phase = Phase::kOpen;
  std::uint64_t nth = 0;  // 0: from outside, whenever
};

struct TortureRound {
  std::string directory;      // everything is below it
  std::uint64_t history = 0;  // seed of what is written
  std::uint64_t seed = 0;     // of what is done beside it
  std::uint64_t first = 1;    // batch
  store::Fsync fsync = store::Fsync::kEach;
  Kill kill;
  int acknowledge = -1;  // batch numbers go here
};

StoreModel::Shape torture_shape(std::uint64_t seed);
store::IndexOptions torture_options(const std::string& directory, store::Fsync fsync);

// In the child of a process with one thread.
[[noreturn]] void write_until_killed(const TortureRound& round, KillBoard& board);

}  // namespace sluice::test
