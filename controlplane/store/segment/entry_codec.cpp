#include "controlplane/store/segment/entry_codec.hpp"

#include <algorithm>
#include <limits>

#include "controlplane/store/segment/segment_format.hpp"

namespace sluice::controlplane::store {

namespace {

constexpr std::uint8_t kOpMask = 7;
constexpr std::uint8_t kUsualKey = 8;  // 16 bytes
constexpr std::uint8_t kSameKey = 16;
constexpr std::uint8_t kKnownBits = 31;
constexpr std::size_t kV1FixedBytes = 32;
constexpr std::size_t kV2ValueBytes = 7;  // of a compact value

// Beside key and value: flags, hash, table, tenant, sequence, sizes, number.
constexpr std::size_t kMostFixedBytes = 64;

// Appends to a vector that is made large enough once: byte by byte it would cost more than all
// else in a merge.
class Out {
 public:
  Out(std::vector<std::uint8_t>& to, std::size_t most) : to_(to), size_(to.size()) {
    to.resize(size_ + most);
  }
  ~Out() { to_.resize(size_); }
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;

  // Any integer, all its bytes.
  void put(auto value) noexcept {
    sluice::store(&to_[size_], value);
    size_ += sizeof value;
  }
  // The lowest seven bytes; one more of the room is written to.
  void put_56_bits(std::uint64_t value) noexcept {
    sluice::store(&to_[size_], value);
    size_ += kV2ValueBytes;
  }
  void put_varint(std::uint64_t value) noexcept {
    for (; value >= 0x80; value >>= 7)
      to_[size_++] = static_cast<std::uint8_t>(value | 0x80);
    to_[size_++] = static_cast<std::uint8_t>(value);
  }
  void put(std::span<const std::uint8_t> bytes) noexcept {
    std::ranges::copy(bytes, &to_[size_]);
    size_ += bytes.size();
  }

 private:
  std::vector<std::uint8_t>& to_;
  std::size_t size_;
};

constexpr bool has_value(Op op) noexcept {
  return op != Op::kDelete;
}

void encode_v1(const Entry& entry, Form form, Out& out) {
  const bool number = form == Form::kCompact && has_value(entry.op);
  out.put(entry.hash);
  out.put(entry.sequence);
  out.put(entry.table);
  out.put(entry.op);
  out.put(entry.tenant);
  out.put(static_cast<std::uint16_t>(entry.key.size()));
  out.put(static_cast<std::uint16_t>(number ? 8 : entry.value.size()));
  out.put(entry.key);
  if (number) {
    out.put(entry.inline_value);
  } else {
    out.put(entry.value);
  }
}

void encode_v2(const Entry& entry, Form form, bool same_key, Out& out) {
  const bool usual = entry.key.size() == sizeof(Id);
  auto flags = static_cast<std::uint8_t>(entry.op);
  if (same_key) flags |= kSameKey;
  if (usual) flags |= kUsualKey;
  out.put(flags);
  if (!same_key) {
    out.put(entry.hash);
    out.put(entry.table);
    out.put_varint(entry.tenant);
  }
  out.put_varint(entry.sequence);
  if (!same_key && !usual) out.put_varint(entry.key.size());
  if (form == Form::kExact && has_value(entry.op)) out.put_varint(entry.value.size());
  if (!same_key) out.put(entry.key);
  if (form == Form::kCompact) {
    if (has_value(entry.op)) out.put_56_bits(entry.inline_value);
  } else {
    out.put(entry.value);
  }
}

}  // namespace

bool allowed(const Entry& entry, Form form) noexcept {
  if (entry.key.empty() || entry.key.size() > kMaxKeyBytes) return false;
  const std::size_t size = entry.value.size();
  switch (entry.op) {
    case Op::kPut:
      return form == Form::kCompact ? size == 0 && entry.inline_value < kDeletedValue
                                    : size <= kMaxRecordBytes;
    case Op::kDelete:
      return size == 0;
    case Op::kSetAdd:
    case Op::kSetRemove:
      return form == Form::kExact && size >= 1 && size <= kMaxElementBytes;
  }
  return false;
}

void encode(const Entry& entry, Form form, std::uint32_t format, bool same_key,
            std::vector<std::uint8_t>& to) {
  Out out(to, kMostFixedBytes + entry.key.size() + entry.value.size());
  if (format == 1) {
    encode_v1(entry, form, out);
  } else {
    encode_v2(entry, form, same_key, out);
  }
}

bool EntryReader::set_damaged() noexcept {
  damaged_ = true;
  blocks_->set_damaged(at_);
  return false;
}

bool EntryReader::need(std::uint64_t n) noexcept {
  if (n > end_ - at_) return set_damaged();
  if (at_ + n <= checked_) return true;
  if (!blocks_->check(at_, n)) return set_damaged();
  checked_ = SegmentBlocks::end_of(at_ + n - 1);
  return true;
}

std::span<const std::uint8_t> EntryReader::take(std::uint64_t n) noexcept {
  const std::span<const std::uint8_t> bytes(file_ + at_, n);
  at_ += n;
  return bytes;
}

bool EntryReader::varint(std::uint64_t& value, std::uint64_t limit) noexcept {
  value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (!need(1)) return false;
    const std::uint8_t byte = take(1)[0];
    const std::uint64_t bits = byte & 0x7fU;
    if (shift != 0 && (bits << shift >> shift) != bits) return set_damaged();
    value |= bits << shift;
    if ((byte & 0x80) == 0) return value <= limit || set_damaged();
  }
  return set_damaged();
}

bool EntryReader::next(Entry& entry) noexcept {
  if (damaged_ || at_ == end_) return false;
  const std::uint64_t begin = at_;
  const bool good = format_ == 1 ? next_v1(entry) : next_v2(entry);
  if (good && allowed(entry, form_)) {
    previous_ = entry;
    return true;
  }
  at_ = begin;
  return set_damaged();
}

bool EntryReader::next_v1(Entry& entry) noexcept {
  if (!need(kV1FixedBytes)) return false;
  const std::uint8_t* fixed = take(kV1FixedBytes).data();
  const auto op = fixed[25];
  const auto key_size = load<std::uint16_t>(fixed + 28);
  const auto value_size = load<std::uint16_t>(fixed + 30);
  if (op == 0 || op > kMaxOp || !need(std::uint64_t{key_size} + value_size)) return false;
  entry = {.hash = load<Hash128>(fixed),
           .sequence = load<std::uint64_t>(fixed + 16),
           .table = fixed[24],
           .tenant = load<std::uint16_t>(fixed + 26),
           .op = static_cast<Op>(op)};
  entry.key = take(key_size);
  const auto value = take(value_size);
  if (form_ == Form::kExact || entry.op == Op::kDelete) {
    entry.value = value;
    return true;
  }
  if (value_size != 8) return false;
  entry.inline_value = load<std::uint64_t>(value.data());
  return true;
}

bool EntryReader::start_key_v2(Entry& entry) noexcept {
  std::uint64_t tenant = 0;
  if (!need(sizeof(Hash128) + 1)) return false;
  entry.hash = load<Hash128>(take(sizeof(Hash128)).data());
  entry.table = take(1)[0];
  if (!varint(tenant, std::numeric_limits<std::uint16_t>::max())) return false;
  entry.tenant = static_cast<std::uint16_t>(tenant);
  return true;
}

bool EntryReader::next_v2(Entry& entry) noexcept {
  if (!need(1)) return false;
  const std::uint8_t flags = take(1)[0];
  const auto op = static_cast<std::uint8_t>(flags & kOpMask);
  const bool same_key = (flags & kSameKey) != 0;
  const bool usual = (flags & kUsualKey) != 0;
  if (op == 0 || op > kMaxOp || (flags & ~kKnownBits) != 0) return false;
  if (same_key && previous_.key.empty()) return false;
  entry = {};
  std::uint64_t key_size = sizeof(Id);
  std::uint64_t value_size = 0;
  if (same_key) {
    entry.hash = previous_.hash;
    entry.table = previous_.table;
    entry.tenant = previous_.tenant;
  } else if (!start_key_v2(entry)) {
    return false;
  }
  if (!varint(entry.sequence, std::numeric_limits<std::uint64_t>::max())) return false;
  if (!same_key && !usual && !varint(key_size, kMaxKeyBytes)) return false;
  entry.op = static_cast<Op>(op);
  const bool valued = has_value(entry.op);
  if (form_ == Form::kExact && valued && !varint(value_size, kMaxRecordBytes)) return false;
  if (form_ == Form::kCompact && valued) value_size = kV2ValueBytes;
  if (!need((same_key ? 0 : key_size) + value_size)) return false;
  entry.key = same_key ? previous_.key : take(key_size);
  const auto value = take(value_size);
  if (form_ == Form::kExact) {
    entry.value = value;
  } else {
    for (std::size_t i = 0; i < value.size(); ++i)
      entry.inline_value |= std::uint64_t{value[i]} << 8 * i;
  }
  return true;
}

}  // namespace sluice::controlplane::store
