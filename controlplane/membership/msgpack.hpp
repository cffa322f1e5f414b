// The part of msgpack the memberlist protocol uses, read from untrusted bytes without copying and
// written in the oldest form (raw strings, no str8, no bin), which is what every peer reads.
//
// Why not msgpack-cxx: it builds a tree in memory of its own, throws on limits, cannot go on where
// a TCP stream broke off, and does not write the old form. Nothing here recurses or allocates; work
// is linear in the bytes. Any thread; an object belongs to one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "controlplane/membership/malformed.hpp"
#include "controlplane/membership/messages.hpp"

namespace sluice::membership::msgpack {

// Walks over one object of any kind, and goes on when more bytes have come.
class Scanner {
 public:
  enum class State : std::uint8_t { kDone, kMore, kBad };

  // data is everything from the object's first byte on, never less than last time.
  State scan(ByteView data) noexcept;
  // kDone: the object's length. Otherwise how far the scan got.
  std::size_t offset() const noexcept { return offset_; }
  // kMore: below this many bytes another attempt is of no use.
  std::size_t wanted() const noexcept { return wanted_; }

 private:
  std::size_t offset_ = 0;
  std::size_t wanted_ = 1;
  std::uint64_t pending_ = 1;  // elements not yet walked over
};

// Reads values in order. After the first failure every call returns false and reason() says why.
class Reader {
 public:
  explicit Reader(ByteView data) noexcept : data_(data) {}

  bool map(std::uint32_t& pairs) noexcept;
  bool text(std::string_view& value) noexcept;  // raw or str; nil is empty
  bool bytes(ByteView& value) noexcept;         // raw, str or bin; nil is empty
  bool boolean(bool& value) noexcept;
  // Any integer family; a negative one or one above max is kField.
  bool integer(std::uint64_t& value, std::uint64_t max) noexcept;
  template <class T>
  bool integer(T& value) noexcept {
    std::uint64_t wide = 0;
    if (!integer(wide, T(-1))) return false;
    value = static_cast<T>(wide);
    return true;
  }
  bool skip() noexcept;

  bool failed() const noexcept { return failed_; }
  Malformed reason() const noexcept { return reason_; }
  bool fail(Malformed reason) noexcept;
  ByteView rest() const noexcept { return data_; }

 private:
  bool take(std::size_t count, ByteView& value) noexcept;
  bool big_endian(std::size_t width, std::uint64_t& value) noexcept;
  bool string(ByteView& value, bool allow_bin) noexcept;

  ByteView data_;
  Malformed reason_ = Malformed::kMsgpack;
  bool failed_ = false;
};

class Writer {
 public:
  explicit Writer(Bytes& out) noexcept : out_(out) {}

  void map(std::uint8_t pairs);  // at most 15
  void text(std::string_view value);
  void bytes(ByteView value);
  void nil() { out_.push_back(0xc0); }
  void boolean(bool value) { out_.push_back(value ? 0xc3 : 0xc2); }
  void integer(std::uint64_t value);

 private:
  void big_endian(std::uint64_t value, int width);

  Bytes& out_;
};

}  // namespace sluice::membership::msgpack
