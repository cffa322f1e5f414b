// The contents of the index at one moment, for reading through: export, base segments, loading at
// start. Iteration is sequential over the files and the sealed overlays; it disturbs neither reads
// nor writes. A Snapshot may be copied and used from any thread; a Cursor belongs to one thread.
// Both keep their files on the disk until they are gone, also when the index is closed before them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/write_batch.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

// One key and its value, or one element of a set; the spans are valid until the next next().
struct Item {
  Hash128 hash;
  std::uint64_t sequence = 0;  // of the write that it is from
  std::uint8_t table = 0;
  std::uint16_t tenant = 0;
  Bytes key;
  std::uint64_t number = 0;  // tables of numbers
  Bytes value;               // the record, or the element
};

class Cursor {
 public:
  class Source;
  explicit Cursor(std::unique_ptr<Source> source) noexcept;
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) noexcept;
  ~Cursor();

  // False at the end. An error (a damaged block, named) ends it; what came before was good.
  Result<bool> next(Item& item);

 private:
  std::unique_ptr<Source> source_;
};

class Snapshot {
 public:
  class State;
  explicit Snapshot(std::shared_ptr<const State> state) noexcept;

  // The newest write in it.
  std::uint64_t sequence() const noexcept;
  // All items of one table, lane by lane, in hash order inside a lane; the elements of a set follow
  // each other, newest first (while a migration runs, in two groups). With a tenant: only its
  // items.
  Result<Cursor> cursor(std::uint8_t table,
                        std::optional<std::uint16_t> tenant = std::nullopt) const;

 private:
  std::shared_ptr<const State> state_;
};

}  // namespace sluice::controlplane::store
