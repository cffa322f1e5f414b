#include "controlplane/membership/msgpack.hpp"

namespace sluice::membership::msgpack {
namespace {

// What one first byte announces.
struct Form {
  std::uint8_t width = 0;  // bytes of a value or length that follow
  enum class Then : std::uint8_t { kNothing, kBytes, kElements, kPairs, kBad } then{};
  std::uint32_t count = 0;  // of what follows, where it is in the first byte
  std::uint8_t extra = 0;   // bytes on top of the length: the type of an ext
};

constexpr Form form_of(std::uint8_t first) noexcept {
  using enum Form::Then;
  if (first < 0x80 || first >= 0xe0) return {0, kNothing};
  if (first < 0x90) return {0, kPairs, first & 0x0fU};
  if (first < 0xa0) return {0, kElements, first & 0x0fU};
  if (first < 0xc0) return {0, kBytes, first & 0x1fU};
  switch (first) {
    case 0xc0:  // nil
    case 0xc2:  // false
    case 0xc3:  // true
      return {0, kNothing};
    case 0xc4:  // bin
    case 0xd9:  // str
      return {1, kBytes};
    case 0xc5:
    case 0xda:
      return {2, kBytes};
    case 0xc6:
    case 0xdb:
      return {4, kBytes};
    case 0xc7:  // ext
      return {1, kBytes, 0, 1};
    case 0xc8:
      return {2, kBytes, 0, 1};
    case 0xc9:
      return {4, kBytes, 0, 1};
    case 0xca:  // float
      return {0, kBytes, 4};
    case 0xcb:
      return {0, kBytes, 8};
    case 0xcc:  // unsigned
    case 0xd0:  // signed
      return {0, kBytes, 1};
    case 0xcd:
    case 0xd1:
      return {0, kBytes, 2};
    case 0xce:
    case 0xd2:
      return {0, kBytes, 4};
    case 0xcf:
    case 0xd3:
      return {0, kBytes, 8};
    case 0xd4:  // fixext
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return {0, kBytes, (1U << (first - 0xd4)) + 1};
    case 0xdc:
      return {2, kElements};
    case 0xdd:
      return {4, kElements};
    case 0xde:
      return {2, kPairs};
    case 0xdf:
      return {4, kPairs};
    default:
      return {0, kBad};
  }
}

std::uint64_t load_big(const std::uint8_t* at, std::size_t width) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i)
    value = value << 8 | at[i];
  return value;
}

}  // namespace

Scanner::State Scanner::scan(ByteView data) noexcept {
  while (pending_ > 0) {
    const auto left = data.size() - offset_;
    if (left == 0) {
      wanted_ = offset_ + 1;
      return State::kMore;
    }
    const Form form = form_of(data[offset_]);
    if (form.then == Form::Then::kBad) return State::kBad;
    std::size_t length = 1U + form.width;
    if (left < length) {
      wanted_ = offset_ + length;
      return State::kMore;
    }
    const auto count =
        form.width == 0 ? form.count : load_big(data.data() + offset_ + 1, form.width);
    if (form.then == Form::Then::kBytes) length += static_cast<std::size_t>(count) + form.extra;
    if (left < length) {
      wanted_ = offset_ + length;
      return State::kMore;
    }
    offset_ += length;
    --pending_;
    // No overflow: each addition costs at least one byte of input and adds less than 2^33.
    if (form.then == Form::Then::kElements) pending_ += count;
    if (form.then == Form::Then::kPairs) pending_ += 2 * count;
  }
  return State::kDone;
}

bool Reader::fail(Malformed reason) noexcept {
  if (!failed_) reason_ = reason;
  failed_ = true;
  return false;
}

bool Reader::take(std::size_t count, ByteView& value) noexcept {
  if (failed_) return false;
  if (data_.size() < count) return fail(Malformed::kTruncated);
  value = data_.first(count);
  data_ = data_.subspan(count);
  return true;
}

bool Reader::big_endian(std::size_t width, std::uint64_t& value) noexcept {
  ByteView raw;
  if (!take(width, raw)) return false;
  value = load_big(raw.data(), width);
  return true;
}

bool Reader::map(std::uint32_t& pairs) noexcept {
  ByteView first;
  if (!take(1, first)) return false;
  const Form form = form_of(first[0]);
  if (form.then != Form::Then::kPairs) return fail(Malformed::kMsgpack);
  std::uint64_t count = form.count;
  if (form.width != 0 && !big_endian(form.width, count)) return false;
  pairs = static_cast<std::uint32_t>(count);
  return true;
}

bool Reader::string(ByteView& value, bool allow_bin) noexcept {
  ByteView first;
  if (!take(1, first)) return false;
  const auto byte = first[0];
  if (byte == 0xc0) {
    value = {};
    return true;
  }
  const bool is_raw = (byte >= 0xa0 && byte < 0xc0) || (byte >= 0xd9 && byte <= 0xdb);
  const bool is_bin = byte >= 0xc4 && byte <= 0xc6;
  if (!is_raw && !(is_bin && allow_bin)) return fail(Malformed::kMsgpack);
  const Form form = form_of(byte);
  std::uint64_t length = form.count;
  if (form.width != 0 && !big_endian(form.width, length)) return false;
  return take(static_cast<std::size_t>(length), value);
}

bool Reader::text(std::string_view& value) noexcept {
  ByteView raw;
  // Peers of the Go implementation refuse bin for a text as well.
  if (!string(raw, false)) return false;
  value = {reinterpret_cast<const char*>(raw.data()), raw.size()};
  return true;
}

bool Reader::bytes(ByteView& value) noexcept {
  return string(value, true);
}

bool Reader::boolean(bool& value) noexcept {
  ByteView first;
  if (!take(1, first)) return false;
  if (first[0] != 0xc2 && first[0] != 0xc3) return fail(Malformed::kMsgpack);
  value = first[0] == 0xc3;
  return true;
}

bool Reader::integer(std::uint64_t& value, std::uint64_t max) noexcept {
  ByteView first;
  if (!take(1, first)) return false;
  const auto byte = first[0];
  if (byte < 0x80) {
    value = byte;
  } else if (byte >= 0xcc && byte <= 0xcf) {
    if (!big_endian(std::size_t{1} << (byte - 0xcc), value)) return false;
  } else if (byte >= 0xd0 && byte <= 0xd3) {
    const auto width = std::size_t{1} << (byte - 0xd0);
    if (!big_endian(width, value)) return false;
    if ((value >> (8 * width - 1)) != 0) return fail(Malformed::kField);
  } else {
    return fail(byte >= 0xe0 ? Malformed::kField : Malformed::kMsgpack);
  }
  return value <= max || fail(Malformed::kField);
}

bool Reader::skip() noexcept {
  if (failed_) return false;
  Scanner scanner;
  switch (scanner.scan(data_)) {
    case Scanner::State::kDone:
      data_ = data_.subspan(scanner.offset());
      return true;
    case Scanner::State::kMore:
      return fail(Malformed::kTruncated);
    case Scanner::State::kBad:
      break;
  }
  return fail(Malformed::kMsgpack);
}

void Writer::big_endian(std::uint64_t value, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
    out_.push_back(static_cast<std::uint8_t>(value >> shift));
}

void Writer::map(std::uint8_t pairs) {
  out_.push_back(0x80 | (pairs & 0x0f));
}

void Writer::text(std::string_view value) {
  bytes({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
}

void Writer::bytes(ByteView value) {
  if (value.size() < 32) {
    out_.push_back(static_cast<std::uint8_t>(0xa0 | value.size()));
  } else {
    const bool wide = value.size() > UINT16_MAX;
    out_.push_back(wide ? 0xdb : 0xda);
    big_endian(value.size(), wide ? 4 : 2);
  }
  out_.insert(out_.end(), value.begin(), value.end());
}

void Writer::integer(std::uint64_t value) {
  if (value < 0x80) {
    out_.push_back(static_cast<std::uint8_t>(value));
    return;
  }
  const int step = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
  out_.push_back(static_cast<std::uint8_t>(0xcc + step));
  big_endian(value, 1 << step);
}

}  // namespace sluice::membership::msgpack
