// A group of changes that becomes durable as one: after a crash, and in a snapshot, all of it is
// there or nothing. Other reads may see part of it until the write returns (index.hpp). A plain
// value of one thread; it copies keys and values. What is wrong with an operation (unknown table,
// wrong kind, too long) is said by Index::write, which then takes nothing of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "controlplane/store/entry.hpp"

namespace sluice::controlplane::store {

using Bytes = std::span<const std::uint8_t>;

class WriteBatch {
 public:
  // One operation as it was added; where its bytes are is told by key() and value().
  struct Operation {
    std::uint64_t inline_value = 0;
    std::uint32_t offset = 0;      // into the batch's bytes: key, then value
    std::uint32_t value_size = 0;  // as given, so that one that is too long can be refused
    std::uint32_t key_size = 0;
    std::uint16_t tenant = 0;
    std::uint8_t table = 0;
    Op op = Op::kPut;
    bool inlined = false;  // the value is a number: for a table of Kind::kNumber
  };

  // Tables of numbers.
  void put(std::uint8_t table, std::uint16_t tenant, Bytes key, std::uint64_t value) {
    add(Op::kPut, table, tenant, key, {}).inline_value = value;
    operations_.back().inlined = true;
  }
  // Tables of records.
  void put(std::uint8_t table, std::uint16_t tenant, Bytes key, Bytes record) {
    add(Op::kPut, table, tenant, key, record);
  }
  // Every kind of table; of a set it removes all elements. A key that is not there is no error.
  void erase(std::uint8_t table, std::uint16_t tenant, Bytes key) {
    add(Op::kDelete, table, tenant, key, {});
  }
  // Tables of sets.
  void set_add(std::uint8_t table, std::uint16_t tenant, Bytes key, Bytes element) {
    add(Op::kSetAdd, table, tenant, key, element);
  }
  void set_remove(std::uint8_t table, std::uint16_t tenant, Bytes key, Bytes element) {
    add(Op::kSetRemove, table, tenant, key, element);
  }

  // Keeps the memory, so that one batch can be filled again and again without allocating.
  void clear() noexcept {
    operations_.clear();
    bytes_.clear();
  }
  bool empty() const noexcept { return operations_.empty(); }
  std::size_t size() const noexcept { return operations_.size(); }

  std::span<const Operation> operations() const noexcept { return operations_; }
  Bytes key(const Operation& of) const noexcept {
    return Bytes(bytes_).subspan(of.offset, of.key_size);
  }
  Bytes value(const Operation& of) const noexcept {
    return Bytes(bytes_).subspan(of.offset + of.key_size, of.value_size);
  }

 private:
  Operation& add(Op op, std::uint8_t table, std::uint16_t tenant, Bytes key, Bytes value) {
    operations_.push_back({.offset = static_cast<std::uint32_t>(bytes_.size()),
                           .value_size = static_cast<std::uint32_t>(value.size()),
                           .key_size = static_cast<std::uint32_t>(key.size()),
                           .tenant = tenant,
                           .table = table,
                           .op = op});
    bytes_.insert(bytes_.end(), key.begin(), key.end());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return operations_.back();
  }

  std::vector<Operation> operations_;
  std::vector<std::uint8_t> bytes_;
};

}  // namespace sluice::controlplane::store
