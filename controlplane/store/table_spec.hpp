// What a table of the index is: its number, kind and name, as the manifest has them. A plain value;
// any thread.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/store/entry.hpp"

namespace sluice::controlplane::store {

// What the keys of a table have. Numbers are kept in the compact form, the others in the exact one.
enum class Kind : std::uint8_t {
  kNumber =
      1,  // below kDeletedValue; found by 40 bits of the hash, so 1 unknown key in 2^40 matches
  kRecord = 2,  // up to kMaxRecordBytes
  kSet = 3,     // elements of 1 to kMaxElementBytes; a key without elements is not there
};

constexpr Form form_of(Kind kind) noexcept {
  return kind == Kind::kNumber ? Form::kCompact : Form::kExact;
}

struct TableSpec {
  std::uint8_t id = 0;
  Kind kind = Kind::kRecord;
  std::string name;

  friend bool operator==(const TableSpec&, const TableSpec&) = default;
};

}  // namespace sluice::controlplane::store
