// Entries as bytes in the cold part of a segment; its formats are described in segment_format.hpp.
// The reader trusts nothing: sizes, operations and the end of the section are checked, and blocks
// are checked before they are read. Each object belongs to one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/segment/segment_blocks.hpp"

namespace sluice::controlplane::store {

// What an entry of this form may be; the rest of the store checks this earlier, on writes.
bool allowed(const Entry& entry, Form form) noexcept;

// Appends an entry that is allowed. `same_key`: it follows another of the same key.
void encode(const Entry& entry, Form form, std::uint32_t format, bool same_key,
            std::vector<std::uint8_t>& out);

class EntryReader {
 public:
  EntryReader() = default;
  // Entries of [begin, end) of a file that `blocks` knows.
  EntryReader(const std::uint8_t* file, std::uint64_t begin, std::uint64_t end, Form form,
              std::uint32_t format, SegmentBlocks& blocks) noexcept
      : file_(file),
        at_(begin),
        end_(end),
        checked_(begin),
        form_(form),
        format_(format),
        blocks_(&blocks) {}

  // False at the end, and where the bytes are damaged or no entry. The spans point into the file.
  bool next(Entry& entry) noexcept;
  bool damaged() const noexcept { return damaged_; }
  // What lies here is not what must be here; also for a caller that knows more. Always false.
  bool set_damaged() noexcept;
  // Of the next entry; of the bad one when damaged.
  std::uint64_t offset() const noexcept { return at_; }

 private:
  bool next_v1(Entry& entry) noexcept;
  bool next_v2(Entry& entry) noexcept;
  bool start_key_v2(Entry& entry) noexcept;
  // The next n bytes lie in the section and in good blocks.
  bool need(std::uint64_t n) noexcept;
  bool varint(std::uint64_t& value, std::uint64_t limit) noexcept;
  std::span<const std::uint8_t> take(std::uint64_t n) noexcept;

  const std::uint8_t* file_ = nullptr;
  std::uint64_t at_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t checked_ = 0;  // blocks are good up to here
  Form form_ = Form::kCompact;
  std::uint32_t format_ = 0;
  SegmentBlocks* blocks_ = nullptr;
  Entry previous_;  // whose key the next entry may share
  bool damaged_ = false;
};

}  // namespace sluice::controlplane::store
