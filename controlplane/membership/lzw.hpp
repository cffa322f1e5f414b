// LZW as Go's compress/lzw does it, least significant bit first, 8-bit literals: what the protocol
// calls compression. The width of the codes grows late, as in GIF. Streams with and without the
// clear code at the start are read; a full table without a clear code is survived. Any thread; an
// encoder belongs to one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "controlplane/membership/messages.hpp"

namespace sluice::membership {

enum class LzwResult : std::uint8_t { kOk, kCorrupt, kTooLong };

// Appends to out what in holds; stops with kTooLong before out has more than max bytes, so that a
// few bytes cannot become gigabytes. What was appended before a failure is removed. out is not
// reallocated while it has max bytes reserved.
LzwResult lzw_decode(ByteView in, Bytes& out, std::size_t max);

class LzwEncoder {
 public:
  void encode(ByteView in, Bytes& out);

 private:
  static constexpr std::size_t kSlots = 8192;  // at most 3838 are used between two clear codes

  std::uint32_t* find(std::uint32_t key) noexcept;

  // Prefix code and literal (20 bits) above the code they became (12 bits); 0 is free.
  std::array<std::uint32_t, kSlots> slots_;
};

}  // namespace sluice::membership
