#include "tests/support/store_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::test {
namespace {

constexpr std::array<std::uint16_t, 3> kTenants = {0, 1, 700};
const std::string kProgressKey = "batch";

std::string random_text(std::mt19937_64& random, std::size_t size) {
  std::string text(size, '\0');
  for (char& c : text)
    c = static_cast<char>(random());
  return text;
}

template <class Map>
std::string difference(const char* what, const Map& expected, const Map& actual) {
  if (expected == actual) return {};
  for (const auto& [name, value] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end())
      return fmt::format("{}: tenant {} key '{}' is missing", what, name.first, name.second);
    if (found->second != value)
      return fmt::format("{}: tenant {} key '{}' differs", what, name.first, name.second);
  }
  for (const auto& [name, value] : actual) {
    if (!expected.contains(name))
      return fmt::format("{}: tenant {} key '{}' should not be there", what, name.first,
                         name.second);
  }
  return "differ";
}

}  // namespace

// Half of the keys have 16 bytes, like ids; the others have other lengths.
std::string StoreModel::key(unsigned number) const {
  if (number % 2 == 0) {
    std::string id(16, '\x5a');
    std::memcpy(id.data(), &number, sizeof number);
    return id;
  }
  return fmt::format("org/space/{}/{}", std::string(number % 37, 'x'), number);
}

store::WriteBatch StoreModel::batch(std::uint64_t number) const {
  std::seed_seq sequence{shape_.seed, shape_.seed >> 32, number, number >> 32};
  std::mt19937_64 random(sequence);
  store::WriteBatch batch;
  unsigned operations = 1 + static_cast<unsigned>(random() % shape_.largest_batch);
  if (random() % 50 == 0) operations *= 10;
  for (unsigned i = 0; i < operations; ++i) {
    const std::uint16_t tenant = kTenants[random() % kTenants.size()];
    const std::string name = key(static_cast<unsigned>(random() % shape_.keys));
    const auto at = bytes_of(name);
    const unsigned what = static_cast<unsigned>(random() % 100);
    if (what < 30) {
      batch.put(kNumbers, tenant, at, random() % store::kDeletedValue);
    } else if (what < 40) {
      batch.erase(kNumbers, tenant, at);
    } else if (what < 60) {
      const std::size_t limit =
          random() % 200 == 0 ? store::kMaxRecordBytes : shape_.largest_record;
      const std::string record = random_text(random, random() % (limit + 1));
      batch.put(kRecords, tenant, at, bytes_of(record));
    } else if (what < 67) {
      batch.erase(kRecords, tenant, at);
    } else if (what < 85) {
      const std::string element = fmt::format("e{}", random() % 12);
      batch.set_add(kSets, tenant, at, bytes_of(element));
    } else if (what < 97) {
      const std::string element = fmt::format("e{}", random() % 12);
      batch.set_remove(kSets, tenant, at, bytes_of(element));
    } else {
      batch.erase(kSets, tenant, at);
    }
  }
  batch.put(kProgress, 0, bytes_of(kProgressKey), number);
  return batch;
}

void StoreModel::apply(const store::WriteBatch& batch) {
  for (const auto& operation : batch.operations()) {
    const Name name{operation.tenant, text_of(batch.key(operation))};
    const std::string value = text_of(batch.value(operation));
    const bool put = operation.op == store::Op::kPut;
    if (operation.table == kNumbers) {
      if (put) {
        numbers_[name] = operation.inline_value;
      } else {
        numbers_.erase(name);
      }
    } else if (operation.table == kRecords) {
      if (put) {
        records_[name] = value;
      } else {
        records_.erase(name);
      }
    } else if (operation.table == kSets) {
      if (operation.op == store::Op::kSetAdd) {
        sets_[name].insert(value);
      } else if (const auto set = sets_.find(name); set != sets_.end()) {
        if (operation.op == store::Op::kSetRemove) set->second.erase(value);
        if (operation.op == store::Op::kDelete || set->second.empty()) sets_.erase(set);
      }
    }
  }
}

void StoreModel::delete_tenant(std::uint16_t tenant) {
  const auto of_tenant = [tenant](const auto& item) { return item.first.first == tenant; };
  std::erase_if(numbers_, of_tenant);
  std::erase_if(records_, of_tenant);
  std::erase_if(sets_, of_tenant);
}

std::uint64_t StoreModel::items() const noexcept {
  std::uint64_t items = numbers_.size() + records_.size();
  for (const auto& [name, elements] : sets_)
    items += elements.size();
  return items;
}

Result<std::uint64_t> StoreModel::progress_of(const store::Index& index) {
  const auto number = index.number(kProgress, 0, bytes_of(kProgressKey));
  if (!number) return std::unexpected(number.error());
  return number->value_or(0);
}

std::string StoreModel::compare(const store::Snapshot& snapshot) const {
  std::map<Name, std::uint64_t> numbers;
  std::map<Name, std::string> records;
  std::map<Name, std::set<std::string>> sets;
  for (const std::uint8_t table : {kNumbers, kRecords, kSets}) {
    auto cursor = snapshot.cursor(table);
    if (!cursor) return cursor.error().message();
    store::Item item;
    for (;;) {
      const auto more = cursor->next(item);
      if (!more) return more.error().message();
      if (!*more) break;
      const Name name{item.tenant, text_of(item.key)};
      bool fresh = item.table == table;
      if (table == kNumbers) fresh = fresh && numbers.emplace(name, item.number).second;
      if (table == kRecords) fresh = fresh && records.emplace(name, text_of(item.value)).second;
      if (table == kSets) fresh = fresh && sets[name].insert(text_of(item.value)).second;
      if (!fresh) return fmt::format("table {} key '{}' came twice", table, name.second);
    }
  }
  if (auto text = difference("numbers", numbers_, numbers); !text.empty()) return text;
  if (auto text = difference("records", records_, records); !text.empty()) return text;
  return difference("sets", sets_, sets);
}

std::string StoreModel::compare_one(store::Index& index, std::uint16_t tenant,
                                    const std::string& key) const {
  const Name name{tenant, key};
  const auto number = index.number(kNumbers, tenant, bytes_of(key));
  if (!number) return number.error().message();
  const auto number_at = numbers_.find(name);
  if (number->has_value() != (number_at != numbers_.end()) ||
      (*number && **number != number_at->second)) {
    return fmt::format("number of tenant {} key '{}' differs", tenant, key);
  }
  const auto record = index.record(kRecords, tenant, bytes_of(key));
  if (!record) return record.error().message();
  const auto record_at = records_.find(name);
  if (record->has_value() != (record_at != records_.end()) ||
      (*record && text_of(**record) != record_at->second)) {
    return fmt::format("record of tenant {} key '{}' differs", tenant, key);
  }
  const auto members = index.members(kSets, tenant, bytes_of(key));
  if (!members) return members.error().message();
  std::vector<std::string> expected;
  if (const auto set = sets_.find(name); set != sets_.end())
    expected.assign(set->second.begin(), set->second.end());
  std::vector<std::string> actual;
  for (const auto& member : *members)
    actual.push_back(text_of(member));
  if (actual != expected) return fmt::format("set of tenant {} key '{}' differs", tenant, key);
  return {};
}

std::string StoreModel::compare(store::Index& index, std::uint64_t probe_seed,
                                unsigned probes) const {
  std::mt19937_64 random(probe_seed);
  // Some of the keys were never written.
  const auto any_key = [&] { return static_cast<unsigned>(random() % (shape_.keys * 5 / 4)); };
  for (unsigned i = 0; i < probes; ++i) {
    const std::uint16_t tenant = kTenants[random() % kTenants.size()];
    if (auto text = compare_one(index, tenant, key(any_key())); !text.empty()) return text;
  }
  std::array<Id, store::kMaxLookup> ids;
  std::array<std::uint64_t, store::kMaxLookup> values;
  const std::uint16_t tenant = kTenants[random() % kTenants.size()];
  const auto n = static_cast<unsigned>(random() % (ids.size() + 1));
  for (unsigned i = 0; i < n; ++i)
    std::memcpy(ids[i].bytes.data(), key(any_key() & ~1U).data(), 16);
  const auto found = index.lookup(kNumbers, tenant, ids.data(), n, values.data());
  if (!found) return found.error().message();
  for (unsigned i = 0; i < n; ++i) {
    const auto at = numbers_.find({tenant, text_of(ids[i].bytes)});
    const bool there = (*found >> i & 1) != 0;
    if (there != (at != numbers_.end()) || (there && values[i] != at->second))
      return fmt::format("batch look-up: key {} of {} differs", i, n);
  }
  return compare(index.snapshot());
}

}  // namespace sluice::test
