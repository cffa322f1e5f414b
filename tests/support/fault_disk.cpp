#include "tests/support/fault_disk.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::test {
namespace {

constexpr std::uint64_t kSector = 512;

bool coin(std::mt19937_64& random) {
  return (random() & 1) != 0;
}

}  // namespace

DiskBytes& DiskFile::mine() {
  if (now_.use_count() > 1) now_ = std::make_shared<DiskBytes>(*now_);
  return *now_;
}

void DiskFile::apply(const Change& change, DiskBytes& to) {
  if (change.resize) {
    to.resize(change.offset);
    return;
  }
  if (change.bytes.empty()) return;
  to.resize(std::max<std::size_t>(to.size(), change.offset + change.bytes.size()));
  std::memcpy(to.data() + change.offset, change.bytes.data(), change.bytes.size());
}

void DiskFile::write(std::uint64_t offset, const std::uint8_t* bytes, std::size_t size) {
  unsynced_.push_back({.offset = offset, .bytes = DiskBytes(bytes, bytes + size)});
  apply(unsynced_.back(), mine());
}

void DiskFile::write_while_crashing(std::uint64_t offset, const std::uint8_t* bytes,
                                    std::size_t size) {
  unsynced_.push_back(
      {.offset = offset, .bytes = DiskBytes(bytes, bytes + size), .crashing = true});
}

void DiskFile::resize(std::uint64_t size) {
  unsynced_.push_back({.offset = size, .resize = true});
  apply(unsynced_.back(), mine());
}

void DiskFile::sync() {
  for (const auto& change : unsynced_)
    if (!change.dropped) apply(change, safe_);
  std::erase_if(unsynced_, [](const Change& change) { return !change.dropped; });
}

void DiskFile::fail_sync() {
  for (auto& change : unsynced_)
    change.dropped = true;
}

void DiskFile::lose(Loss loss, std::mt19937_64& random) {
  if (loss == Loss::kNone) {
    // The kernel lives on, and still has what no sync has made safe.
    std::erase_if(unsynced_, [](const Change& change) { return change.crashing; });
    return;
  }
  if (loss == Loss::kRandom) {
    DiskBytes left = safe_;
    for (const auto& change : unsynced_) {
      if (change.resize) {
        if (coin(random)) apply(change, left);
        continue;
      }
      const std::uint64_t end = change.offset + change.bytes.size();
      for (std::uint64_t at = change.offset; at < end;) {
        const std::uint64_t next = std::min(end, (at / kSector + 1) * kSector);
        const auto from = change.bytes.begin() + static_cast<std::ptrdiff_t>(at - change.offset);
        if (coin(random)) {
          apply({.offset = at,
                 .bytes = DiskBytes(from, from + static_cast<std::ptrdiff_t>(next - at))},
                left);
        } else if (left.size() < next && coin(random)) {
          left.resize(next);  // the size is there, the bytes are not
        }
        at = next;
      }
    }
    safe_ = std::move(left);
  }
  unsynced_.clear();
  now_ = std::make_shared<DiskBytes>(safe_);
}

void DiskFile::flip_bit(std::uint64_t offset, unsigned bit) {
  const auto mask = static_cast<std::uint8_t>(1U << bit);
  if (offset < now_->size()) mine()[offset] ^= mask;
  if (offset < safe_.size()) safe_[offset] ^= mask;
}

DiskNames::DiskNames() {
  now_["/"] = {.directory = true};
  safe_ = now_;
}

const DiskName* DiskNames::find(const std::string& path) const {
  const auto found = now_.find(path);
  return found == now_.end() ? nullptr : &found->second;
}

void DiskNames::apply(const Step& step, std::map<std::string, DiskName>& to) {
  for (const auto& path : step.gone)
    to.erase(path);
  for (const auto& [path, name] : step.set)
    to[path] = name;
}

void DiskNames::change(const std::string& directory, Step step) {
  apply(step, now_);
  unsynced_[directory].push_back(std::move(step));
}

void DiskNames::change_while_crashing(const std::string& directory, Step step) {
  step.crashing = true;
  unsynced_[directory].push_back(std::move(step));
}

void DiskNames::sync(const std::string& directory) {
  for (const auto& step : unsynced_[directory])
    apply(step, safe_);
  unsynced_.erase(directory);
}

void DiskNames::lose(Loss loss, std::mt19937_64& random) {
  if (loss == Loss::kNone) {
    for (auto& [directory, steps] : unsynced_)
      std::erase_if(steps, [](const Step& step) { return step.crashing; });
  } else {
    lose_names(loss, random);
  }
  for (const auto& [path, name] : now_)
    if (name.file) name.file->lose(loss, random);
}

void DiskNames::lose_names(Loss loss, std::mt19937_64& random) {
  if (loss == Loss::kRandom) {
    for (const auto& [directory, steps] : unsynced_) {
      const auto kept = random() % (steps.size() + 1);
      for (std::size_t i = 0; i < kept; ++i)
        apply(steps[i], safe_);
    }
  }
  // A name whose directory did not survive is not there either.
  for (auto at = safe_.begin(); at != safe_.end();) {
    const auto slash = at->first.rfind('/');
    const std::string parent = slash == 0 ? "/" : at->first.substr(0, slash);
    at = at->first == "/" || safe_.contains(parent) ? std::next(at) : safe_.erase(at);
  }
  unsynced_.clear();
  now_ = safe_;
}

}  // namespace sluice::test
