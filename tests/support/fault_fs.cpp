#include "tests/support/fault_fs.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/support/fault_errors.hpp"

namespace sluice::test {
namespace {

using store::OpenMode;

class DiskMapping final : public store::Mapping {
 public:
  explicit DiskMapping(std::shared_ptr<const DiskBytes> held) : held_(std::move(held)) {
    bytes_ = *held_;
  }
  void advise(store::Advice, std::size_t, std::size_t) const noexcept override {}

 private:
  std::shared_ptr<const DiskBytes> held_;
};

}  // namespace

class FaultFs::OpenFile final : public store::File {
 public:
  OpenFile(FaultFs& fs, std::string path, std::shared_ptr<DiskFile> file, bool writable)
      : fs_(fs),
        path_(std::move(path)),
        file_(std::move(file)),
        writable_(writable),
        life_(fs.life_) {}

  const std::string& path() const noexcept override { return path_; }

  Result<std::uint64_t> size() const override {
    const std::lock_guard lock(fs_.mutex_);
    if (auto may = alive("reading size of"); !may) return std::unexpected(may.error());
    return file_->bytes().size();
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    const std::lock_guard lock(fs_.mutex_);
    if (auto may = alive("reading"); !may) return std::unexpected(may.error());
    const auto& bytes = file_->bytes();
    if (offset >= bytes.size() || into.empty()) return std::size_t{0};
    const auto count = std::min<std::size_t>(into.size(), bytes.size() - offset);
    std::memcpy(into.data(), bytes.data() + offset, count);
    return count;
  }

  Result<std::shared_ptr<const store::Mapping>> map() const override {
    const std::lock_guard lock(fs_.mutex_);
    if (auto may = alive("mapping"); !may) return std::unexpected(may.error());
    return std::make_shared<const DiskMapping>(file_->share());
  }

  Status write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    fs_.call_hook("write", path_);
    const std::lock_guard lock(fs_.mutex_);
    return write(offset, bytes);
  }

  Status append(std::span<const std::uint8_t> bytes) override {
    fs_.call_hook("write", path_);
    const std::lock_guard lock(fs_.mutex_);
    return write(file_->bytes().size(), bytes);
  }

  Status sync() override {
    fs_.call_hook("sync", path_);
    const std::lock_guard lock(fs_.mutex_);
    auto gate = begin("syncing");
    if (!gate) return std::unexpected(gate.error());
    ++fs_.syncs_;
    if (*gate == Gate::kCrashing) return lost("syncing");
    if (fs_.fail_sync_at_ != 0 && --fs_.fail_sync_at_ == 0) {
      file_->fail_sync();
      return io_error("syncing", path_);
    }
    file_->sync();
    return {};
  }

  Status truncate(std::uint64_t size) override {
    fs_.call_hook("truncate", path_);
    const std::lock_guard lock(fs_.mutex_);
    return resize("truncating", size);
  }

  Status reserve(std::uint64_t size) override {
    fs_.call_hook("reserve", path_);
    const std::lock_guard lock(fs_.mutex_);
    return resize("reserving space for", std::max<std::uint64_t>(size, file_->bytes().size()));
  }

 private:
  Status alive(std::string_view name) const {
    if (life_ != fs_.life_) return lost(name);
    return fs_.readable(name, path_);
  }

  std::unexpected<Error> lost(std::string_view name) const {
    return broken(ErrorCode::kUnavailable, name, path_, "power lost");
  }

  Result<Gate> begin(std::string_view name) {
    if (life_ != fs_.life_) return lost(name);
    if (!writable_) return broken(ErrorCode::kInternal, name, path_, "Bad file descriptor");
    return fs_.enter(name, path_);
  }

  Status write(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
    auto gate = begin("writing");
    if (!gate) return std::unexpected(gate.error());
    if (*gate == Gate::kCrashing) {
      file_->write_while_crashing(offset, bytes.data(), bytes.size());
      return lost("writing");
    }
    if (!fs_.fail_writes_.empty() && path_.contains(fs_.fail_writes_)) {
      return io_error("writing", path_);
    }
    const std::uint64_t fits = fs_.room() + file_->bytes().size();
    const bool whole = offset + bytes.size() <= fits;
    const auto count = whole ? bytes.size() : fits > offset ? fits - offset : 0;
    if (count > 0) file_->write(offset, bytes.data(), count);
    return whole ? Status{} : full("writing", path_);
  }

  Status resize(std::string_view name, std::uint64_t size) {
    auto gate = begin(name);
    if (!gate) return std::unexpected(gate.error());
    if (*gate == Gate::kCrashing) return lost(name);
    const auto now = file_->bytes().size();
    if (size > now && size - now > fs_.room()) return full(name, path_);
    if (size != now) file_->resize(size);
    return {};
  }

  FaultFs& fs_;
  const std::string path_;
  const std::shared_ptr<DiskFile> file_;
  const bool writable_;
  const std::uint64_t life_;
};

class FaultFs::Lock final : public store::FileLock {
 public:
  Lock(FaultFs& fs, std::string path) : fs_(fs), path_(std::move(path)), life_(fs.life_) {}
  ~Lock() override {
    const std::lock_guard lock(fs_.mutex_);
    if (life_ == fs_.life_) fs_.locks_.erase(path_);
  }

 private:
  FaultFs& fs_;
  const std::string path_;
  const std::uint64_t life_;
};

void FaultFs::crash_at(std::uint64_t n) {
  const std::lock_guard lock(mutex_);
  crash_at_ = operations_ + n;
  if (n == 0) crashed_ = true;
}

void FaultFs::crash_when(Chooser chosen) {
  const std::lock_guard lock(mutex_);
  crash_when_ = std::move(chosen);
}

bool FaultFs::crashed() const {
  const std::lock_guard lock(mutex_);
  return crashed_;
}

std::uint64_t FaultFs::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

std::uint64_t FaultFs::syncs() const {
  const std::lock_guard lock(mutex_);
  return syncs_;
}

void FaultFs::restart(Loss loss, std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 random(seed);
  names_.lose(loss, random);
  ++life_;
  crashed_ = read_only_ = denied_ = false;
  crash_at_ = std::numeric_limits<std::uint64_t>::max();
  crash_when_ = {};
  capacity_.reset();
  fail_sync_at_ = 0;
  fail_writes_.clear();
  fail_reads_.clear();
  locks_.clear();
}

void FaultFs::set_free_bytes(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  capacity_.reset();
  if (bytes) capacity_ = used() + *bytes;
}

void FaultFs::set_read_only(bool on) {
  const std::lock_guard lock(mutex_);
  read_only_ = on;
}

void FaultFs::deny_changes(bool on) {
  const std::lock_guard lock(mutex_);
  denied_ = on;
}

void FaultFs::fail_sync_at(std::uint64_t n) {
  const std::lock_guard lock(mutex_);
  fail_sync_at_ = n;
}

void FaultFs::fail_writes_of(std::string part) {
  const std::lock_guard lock(mutex_);
  fail_writes_ = std::move(part);
}

void FaultFs::fail_reads_of(std::string part) {
  const std::lock_guard lock(mutex_);
  fail_reads_ = std::move(part);
}

void FaultFs::flip_bit(const std::string& path, std::uint64_t offset, unsigned bit) {
  const std::lock_guard lock(mutex_);
  if (const auto* name = names_.find(clean(path)); name != nullptr && name->file) {
    name->file->flip_bit(offset, bit);
  }
}

void FaultFs::on_operation(Hook hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

void FaultFs::on_read(ReadHook hook) {
  const std::lock_guard lock(mutex_);
  read_hook_ = std::move(hook);
}

std::vector<std::uint8_t> FaultFs::contents(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto* name = names_.find(clean(path));
  return name != nullptr && name->file ? name->file->bytes() : DiskBytes{};
}

std::vector<std::string> FaultFs::all_files() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> files;
  for (const auto& [path, name] : names_.now())
    if (name.file) files.push_back(path);
  return files;
}

void FaultFs::call_hook(std::string_view name, const std::string& path) {
  Hook hook;
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    hook = hook_;
    number = operations_ + 1;
  }
  if (hook) hook(number, name, path);
}

void FaultFs::call_read_hook(const std::string& path) {
  ReadHook hook;
  {
    const std::lock_guard lock(mutex_);
    hook = read_hook_;
  }
  if (hook) hook(path);
}

Result<FaultFs::Gate> FaultFs::enter(std::string_view name, const std::string& path, bool changes) {
  if (crashed_) return broken(ErrorCode::kUnavailable, name, path, "power lost");
  const bool chosen = crash_when_ && crash_when_(name, path);
  if (++operations_ >= crash_at_ || chosen) {
    crashed_ = true;
    return Gate::kCrashing;
  }
  if (read_only_ && changes) return read_only(name, path);
  if (denied_) return broken(ErrorCode::kPermissionDenied, name, path, "Permission denied");
  return Gate::kPass;
}

Status FaultFs::readable(std::string_view name, const std::string& path) const {
  if (crashed_) return broken(ErrorCode::kUnavailable, name, path, "power lost");
  if (!fail_reads_.empty() && path.contains(fail_reads_)) return io_error(name, path);
  return {};
}

Status FaultFs::change(std::string_view name, const std::string& directory, DiskNames::Step step,
                       Gate gate) {
  if (gate == Gate::kCrashing) {
    names_.change_while_crashing(directory, std::move(step));
    return broken(ErrorCode::kUnavailable, name, directory, "power lost");
  }
  names_.change(directory, std::move(step));
  return {};
}

std::uint64_t FaultFs::used() const {
  std::set<const DiskFile*> seen;
  std::uint64_t bytes = 0;
  for (const auto& [path, name] : names_.now())
    if (name.file && seen.insert(name.file.get()).second) bytes += name.file->bytes().size();
  return bytes;
}

std::uint64_t FaultFs::room() const {
  if (!capacity_) return std::numeric_limits<std::uint64_t>::max() / 2;
  const auto taken = used();
  return taken < *capacity_ ? *capacity_ - taken : 0;
}

Result<std::unique_ptr<store::File>> FaultFs::open(const std::string& raw, OpenMode mode) {
  const auto path = clean(raw);
  const std::string_view what = mode == OpenMode::kCreate ? "creating" : "opening";
  if (mode == OpenMode::kCreate) call_hook("create", path);
  if (mode == OpenMode::kRead) call_read_hook(path);
  const std::lock_guard lock(mutex_);
  if (auto may = readable(what, path); !may) return std::unexpected(may.error());
  const auto* name = names_.find(path);
  if (name != nullptr && name->directory) {
    return broken(ErrorCode::kInvalidArgument, what, path, "not a regular file");
  }
  if (mode != OpenMode::kCreate) {
    if (name == nullptr) return missing(what, path);
    if (mode == OpenMode::kWrite && read_only_) return read_only(what, path);
    return std::make_unique<OpenFile>(*this, path, name->file, mode == OpenMode::kWrite);
  }
  auto gate = enter(what, path);
  if (!gate) return std::unexpected(gate.error());
  if (name != nullptr) return existing(what, path);
  const auto parent = store::parent_dir(path);
  if (names_.find(parent) == nullptr) return missing(what, path);
  if (room() == 0) return full(what, path);
  auto file = std::make_shared<DiskFile>();
  auto done = change(what, parent, {.set = {{path, {.file = file}}}}, *gate);
  if (!done) return std::unexpected(done.error());
  return std::make_unique<OpenFile>(*this, path, file, true);
}

Result<std::unique_ptr<store::FileLock>> FaultFs::lock(const std::string& raw) {
  const auto path = clean(raw);
  call_hook("lock", path);
  const std::lock_guard guard(mutex_);
  const bool there = names_.find(path) != nullptr || read_only_;
  auto gate = enter("locking", path, !there);
  if (!gate) return std::unexpected(gate.error());
  const auto parent = store::parent_dir(path);
  if (names_.find(parent) == nullptr) return missing("locking", path);
  if (!there) {
    auto done =
        change("locking", parent, {.set = {{path, {.file = std::make_shared<DiskFile>()}}}}, *gate);
    if (!done) return std::unexpected(done.error());
  } else if (*gate == Gate::kCrashing) {
    return broken(ErrorCode::kUnavailable, "locking", path, "power lost");
  }
  if (!locks_.insert(path).second) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("locking {}: process 1 has this store open", path), ErrorOrigin::kStore,
                true);
  }
  return std::make_unique<Lock>(*this, path);
}

Result<std::unique_ptr<store::FileLock>> FaultFs::lock_for_reading(const std::string& raw) {
  const auto directory = clean(raw);
  const std::lock_guard guard(mutex_);
  if (names_.find(directory) == nullptr) return missing("locking", directory);
  for (const auto& path : locks_) {
    if (store::parent_dir(path) != directory) continue;
    return fail(ErrorCode::kUnavailable,
                fmt::format("locking {}: process 1 has this store open", directory),
                ErrorOrigin::kStore, true);
  }
  return std::make_unique<Lock>(*this, directory);
}

}  // namespace sluice::test
