#include "controlplane/store/log/log_batch.hpp"

#include <fmt/format.h>

#include <cstring>

namespace sluice::controlplane::store {
namespace {

constexpr std::size_t kHeader = 8;
constexpr std::uint8_t kNumberBit = 0x80;

std::size_t value_bytes(const WriteBatch::Operation& operation) noexcept {
  return operation.inlined ? sizeof(std::uint64_t) : operation.value_size;
}

void copy(std::uint8_t*& to, ByteView bytes) noexcept {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  to += bytes.size();
}

bool sizes_allowed(const Entry& entry, bool number) noexcept {
  if (entry.key.empty() || entry.key.size() > kMaxKeyBytes) return false;
  switch (entry.op) {
    case Op::kPut:
      return !number || entry.inline_value < kDeletedValue;
    case Op::kDelete:
      return !number && entry.value.empty();
    case Op::kSetAdd:
    case Op::kSetRemove:
      return !number && !entry.value.empty() && entry.value.size() <= kMaxElementBytes;
  }
  return false;
}

}  // namespace

Buffer encode_batch(const WriteBatch& batch) {
  std::size_t bytes = 0;
  for (const auto& operation : batch.operations())
    bytes += kHeader + operation.key_size + value_bytes(operation);
  Buffer out(bytes);
  std::uint8_t* to = out.data();
  for (const auto& operation : batch.operations()) {
    const auto op = static_cast<std::uint8_t>(operation.op);
    to[0] = operation.inlined ? op | kNumberBit : op;
    to[1] = operation.table;
    sluice::store(to + 2, operation.tenant);
    sluice::store(to + 4, static_cast<std::uint16_t>(operation.key_size));
    sluice::store(to + 6, static_cast<std::uint16_t>(value_bytes(operation)));
    to += kHeader;
    copy(to, batch.key(operation));
    if (operation.inlined) {
      sluice::store(to, operation.inline_value);
      to += sizeof operation.inline_value;
    } else {
      copy(to, batch.value(operation));
    }
  }
  return out;
}

Result<bool> BatchReader::next(Entry& entry) {
  if (left_.empty()) return false;
  const auto broken = [&](std::string_view what) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("operation at payload offset {}: {}", size_ - left_.size(), what),
                ErrorOrigin::kStore);
  };
  if (left_.size() < kHeader) return broken("cut short");
  const std::uint8_t* header = left_.data();
  const auto op = static_cast<std::uint8_t>(header[0] & ~kNumberBit);
  const bool number = (header[0] & kNumberBit) != 0;
  const std::size_t key_size = load<std::uint16_t>(header + 4);
  const std::size_t value_size = load<std::uint16_t>(header + 6);
  if (op == 0 || op > kMaxOp) return broken("unknown kind");
  if (left_.size() - kHeader < key_size + value_size) return broken("longer than its record");
  if (number && value_size != sizeof(std::uint64_t)) return broken("a number of another size");
  entry = {.sequence = sequence_++,
           .table = header[1],
           .tenant = load<std::uint16_t>(header + 2),
           .op = static_cast<Op>(op),
           .key = left_.subspan(kHeader, key_size)};
  const ByteView value = left_.subspan(kHeader + key_size, value_size);
  if (number) {
    entry.inline_value = load<std::uint64_t>(value.data());
  } else {
    entry.value = value;
  }
  if (!sizes_allowed(entry, number)) return broken("a size or value out of range");
  left_ = left_.subspan(kHeader + key_size + value_size);
  return true;
}

}  // namespace sluice::controlplane::store
