// Base segment files for tests, put together byte by byte beside the store's own writer, so that a
// test can spoil what it likes. One part, so at most some hundred thousand routes. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sluice/base/ids.hpp"
#include "sluice/hash/aes_key.hpp"
#include "sluice/index/base_segment.hpp"
#include "sluice/link/base_messages.hpp"
#include "sluice/route/action.hpp"

namespace sluice::testing {

struct BaseRoute {
  Id id;
  Action action;  // an adjacency's index: a position in the dictionary; the epoch is left out
};

class BaseFile {
 public:
  // `number` makes the segment's id, (number, 0, 0, ..., 1). Ends the program when it cannot be
  // built.
  BaseFile(const HashKey& key, std::span<const BaseRoute> routes, std::uint32_t dictionary,
           std::uint8_t number);

  link::SegmentId id() const { return header().id; }
  std::uint64_t entries() const { return header().entries; }
  index::BaseHeader header() const { return load<index::BaseHeader>(bytes.data()); }
  void set_header(index::BaseHeader header) { store(bytes.data(), header); }
  // After a deliberate change: makes all checksums right again.
  void seal();
  // A fresh descriptor of a file with these bytes; the caller closes it.
  int open() const;

  std::vector<std::uint8_t> bytes;
};

}  // namespace sluice::testing
