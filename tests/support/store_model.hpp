// What an index must contain, in plain maps, and histories of random writes to compare the two
// under. Batch i of a history follows from seed and i alone, so that a checker in another process,
// or after a crash, can make the same one. Every batch also writes its own number: whoever reads it
// knows which prefix of the history is there. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/store/index.hpp"

namespace sluice::test {

namespace store = controlplane::store;

inline constexpr std::uint8_t kNumbers = 1;
inline constexpr std::uint8_t kRecords = 2;
inline constexpr std::uint8_t kSets = 3;
inline constexpr std::uint8_t kProgress = 4;  // numbers; one key: the last batch

inline std::vector<store::TableSpec> model_tables() {
  return {{kNumbers, store::Kind::kNumber, "numbers"},
          {kRecords, store::Kind::kRecord, "records"},
          {kSets, store::Kind::kSet, "sets"},
          {kProgress, store::Kind::kNumber, "progress"}};
}

inline store::Bytes bytes_of(const std::string& text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string text_of(store::Bytes bytes) {
  return {bytes.begin(), bytes.end()};
}

class StoreModel {
 public:
  using Name = std::pair<std::uint16_t, std::string>;  // tenant, key

  struct Shape {
    std::uint64_t seed = 1;
    unsigned keys = 500;          // of each kind
    unsigned largest_batch = 24;  // operations; now and then ten times as many
    std::size_t largest_record = 300;
  };

  explicit StoreModel(const Shape& shape) : shape_(shape) {}

  // Batch `number`, from 1.
  store::WriteBatch batch(std::uint64_t number) const;
  void apply(const store::WriteBatch& batch);
  void apply_history(std::uint64_t last) {
    for (std::uint64_t number = applied_ + 1; number <= last; ++number)
      apply(batch(number));
    applied_ = last;
  }

  // The number of the newest batch that the index has; 0: none.
  static Result<std::uint64_t> progress_of(const store::Index& index);
  // What differs, in words; empty when nothing does. `probes`: random single look-ups beside the
  // comparison of everything.
  std::string compare(store::Index& index, std::uint64_t probe_seed, unsigned probes = 64) const;
  // The same for what a snapshot shows.
  std::string compare(const store::Snapshot& snapshot) const;

  std::uint64_t items() const noexcept;
  std::string key(unsigned number) const;
  void delete_tenant(std::uint16_t tenant);

  const std::map<Name, std::uint64_t>& numbers() const noexcept { return numbers_; }
  const std::map<Name, std::set<std::string>>& sets() const noexcept { return sets_; }
  const std::map<Name, std::string>& records() const noexcept { return records_; }

 private:
  std::string compare_one(store::Index& index, std::uint16_t tenant, const std::string& key) const;

  Shape shape_;
  std::uint64_t applied_ = 0;
  std::map<Name, std::uint64_t> numbers_;
  std::map<Name, std::string> records_;
  std::map<Name, std::set<std::string>> sets_;
};

}  // namespace sluice::test
