#include "controlplane/membership/lzw.hpp"

#include <algorithm>

namespace sluice::membership {
namespace {

constexpr std::uint32_t kClear = 256;
constexpr std::uint32_t kEnd = 257;
constexpr unsigned kFirstWidth = 9;
constexpr unsigned kMaxWidth = 12;
constexpr std::uint32_t kMaxCode = (1U << kMaxWidth) - 1;
constexpr std::uint32_t kNone = UINT32_MAX;

class BitReader {
 public:
  explicit BitReader(ByteView in) noexcept : in_(in) {}

  bool read(unsigned width, std::uint32_t& code) noexcept {
    while (bits_ < width) {
      if (at_ == in_.size()) return false;
      held_ |= std::uint32_t{in_[at_++]} << bits_;
      bits_ += 8;
    }
    code = held_ & ((1U << width) - 1);
    held_ >>= width;
    bits_ -= width;
    return true;
  }

 private:
  ByteView in_;
  std::size_t at_ = 0;
  std::uint32_t held_ = 0;
  unsigned bits_ = 0;
};

class BitWriter {
 public:
  explicit BitWriter(Bytes& out) noexcept : out_(out) {}

  void write(std::uint32_t code, unsigned width) {
    held_ |= code << bits_;
    bits_ += width;
    for (; bits_ >= 8; bits_ -= 8, held_ >>= 8)
      out_.push_back(static_cast<std::uint8_t>(held_));
  }
  void finish() {
    if (bits_ > 0) out_.push_back(static_cast<std::uint8_t>(held_));
    bits_ = held_ = 0;
  }

 private:
  Bytes& out_;
  std::uint32_t held_ = 0;
  unsigned bits_ = 0;
};

// What both sides count alike: how many codes were used since the last clear, and so how wide the
// next one is.
struct Counter {
  std::uint32_t next = kEnd;
  unsigned width = kFirstWidth;

  void reset() noexcept { *this = {}; }
};

class Decoder {
 public:
  Decoder(Bytes& out, std::size_t max) noexcept : out_(out), max_(max) {}

  LzwResult run(BitReader in) {
    std::uint32_t code = 0;
    while (in.read(counter_.width, code)) {
      if (code == kEnd) return LzwResult::kOk;
      if (code == kClear) {
        counter_.reset();
        last_ = kNone;
        continue;
      }
      if (code > counter_.next) return LzwResult::kCorrupt;
      if (!append(code)) return LzwResult::kTooLong;
      advance(code);
    }
    return LzwResult::kCorrupt;  // without an end code
  }

 private:
  // A string is its prefix's and one byte. The code that is just being defined (the next one) is
  // the last string and that string's own first byte. Codes below the next one are all defined
  // since the last clear: each code after the first defined one.
  bool append(std::uint32_t code) {
    const bool own = code == counter_.next && last_ != kNone;
    std::uint32_t walk = own ? last_ : code;
    std::size_t length = own ? 1 : 0;
    length += walk < kClear ? 1 : length_[walk];
    if (length > max_ - out_.size()) return false;
    const auto start = out_.size();
    out_.resize(start + length);
    auto at = out_.size() - (own ? 1 : 0);
    for (; walk >= kClear; walk = prefix_[walk])
      out_[--at] = suffix_[walk];
    out_[--at] = static_cast<std::uint8_t>(walk);
    if (own) out_.back() = out_[start];
    if (last_ != kNone) define(out_[start]);
    return true;
  }

  void define(std::uint8_t byte) noexcept {
    prefix_[counter_.next] = static_cast<std::uint16_t>(last_);
    suffix_[counter_.next] = byte;
    length_[counter_.next] = static_cast<std::uint16_t>(last_ < kClear ? 2 : length_[last_] + 1);
  }

  void advance(std::uint32_t code) noexcept {
    last_ = code;
    if (counter_.next == kMaxCode) {
      last_ = kNone;  // the table is full; nothing is added until a clear code
      return;
    }
    if (++counter_.next == 1U << counter_.width) ++counter_.width;
  }

  Bytes& out_;
  std::size_t max_;
  Counter counter_;
  std::uint32_t last_ = kNone;
  std::array<std::uint16_t, kMaxCode + 1> prefix_;
  std::array<std::uint16_t, kMaxCode + 1> length_;
  std::array<std::uint8_t, kMaxCode + 1> suffix_;
};

}  // namespace

LzwResult lzw_decode(ByteView in, Bytes& out, std::size_t max) {
  const auto before = out.size();
  if (before > max) return LzwResult::kTooLong;
  const auto result = Decoder(out, max).run(BitReader(in));
  if (result != LzwResult::kOk) out.resize(before);
  return result;
}

std::uint32_t* LzwEncoder::find(std::uint32_t key) noexcept {
  auto at = (key * 0x9e3779b1U) >> 19;  // 13 bits
  while (slots_[at] != 0 && slots_[at] >> 12 != key)
    at = (at + 1) & (kSlots - 1);
  return &slots_[at];
}

void LzwEncoder::encode(ByteView in, Bytes& out) {
  BitWriter bits(out);
  Counter counter;
  const auto emit = [&](std::uint32_t code) {
    bits.write(code, counter.width);
    if (++counter.next == 1U << counter.width) ++counter.width;
  };
  slots_.fill(0);
  bits.write(kClear, counter.width);
  std::uint32_t code = kNone;
  for (const auto byte : in) {
    if (code == kNone) {
      code = byte;
      continue;
    }
    const auto key = code << 8 | byte;
    auto* slot = find(key);
    if (*slot != 0) {
      code = *slot & kMaxCode;
      continue;
    }
    emit(code);
    code = byte;
    if (counter.next == kMaxCode) {
      bits.write(kClear, counter.width);
      counter.reset();
      slots_.fill(0);
    } else {
      *slot = key << 12 | counter.next;
    }
  }
  if (code != kNone) {
    emit(code);
    if (counter.next == kMaxCode) {
      bits.write(kClear, counter.width);
      counter.reset();
    }
  }
  bits.write(kEnd, counter.width);
  bits.finish();
}

}  // namespace sluice::membership
