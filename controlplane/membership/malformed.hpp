// Why input was refused, one reason per refused piece; counted and shown as a metric label.
// Counters belong to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::membership {

enum class Malformed : std::uint8_t {
  kEmpty,        // nothing where a message should begin
  kType,         // a type byte nobody knows, or one that does not belong there
  kTruncated,    // ends within a message, or a part reaches beyond the packet
  kMsgpack,      // not msgpack, nested too deep, or a field of the wrong kind
  kField,        // a field whose value cannot be: length of an address, a state, a name
  kTooLong,      // beyond a limit: bytes, nodes, parts, nesting
  kCompression,  // unknown algorithm or broken data
  kInflated,     // decompresses to more than a packet or a stream may hold
  kChecksum,
  kLabel,    // no label where we have one, or another
  kDecrypt,  // no key opens it
  kPlain,    // not encrypted, and we demand it
  kCount,
};

constexpr std::string_view to_string(Malformed reason) noexcept {
  constexpr std::array<std::string_view, static_cast<std::size_t>(Malformed::kCount)> kNames{
      "empty",       "type",     "truncated", "msgpack", "field",   "too_long",
      "compression", "inflated", "checksum",  "label",   "decrypt", "plain"};
  const auto at = static_cast<std::size_t>(reason);
  return at < kNames.size() ? kNames[at] : "unknown";
}

class MalformedCounters {
 public:
  void add(Malformed reason) noexcept { ++counts_[static_cast<std::size_t>(reason)]; }
  MalformedCounters& operator+=(const MalformedCounters& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] += other.counts_[i];
    return *this;
  }
  std::uint64_t operator[](Malformed reason) const noexcept {
    return counts_[static_cast<std::size_t>(reason)];
  }
  std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const auto count : counts_)
      sum += count;
    return sum;
  }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Malformed::kCount)> counts_{};
};

}  // namespace sluice::membership
