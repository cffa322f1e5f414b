#include "tests/integration/store/kill_fs.hpp"

#include <csignal>
#include <utility>

namespace sluice::test {

KillFs::KillFs(std::string part, std::uint64_t nth)
    : real_(store::make_posix_fs()), part_(std::move(part)), nth_(nth) {}

template <class Operation>
auto KillFs::at(const std::string& path, const Operation& operation) {
  const bool counts = armed_.load() && path.find(part_) != std::string::npos;
  const bool last = counts && count_.fetch_add(1) + 1 == nth_;
  if (last && nth_ % 2 != 0) ::raise(SIGKILL);
  auto result = operation();
  if (last) ::raise(SIGKILL);
  return result;
}

class KillFs::KillFile final : public store::File {
 public:
  KillFile(KillFs& fs, std::unique_ptr<store::File> real) : fs_(fs), real_(std::move(real)) {}

  const std::string& path() const noexcept override { return real_->path(); }
  Result<std::uint64_t> size() const override { return real_->size(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    return real_->read_at(offset, into);
  }
  Status write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    return fs_.at(path(), [&] { return real_->write_at(offset, bytes); });
  }
  // Half of it first, so that a kill can leave torn bytes.
  Status append(std::span<const std::uint8_t> bytes) override {
    const std::size_t half = bytes.size() / 2;
    if (const Status done = real_->append(bytes.first(half)); !done) return done;
    return fs_.at(path(), [&] { return real_->append(bytes.subspan(half)); });
  }
  Status sync() override {
    return fs_.at(path(), [&] { return real_->sync(); });
  }
  Status truncate(std::uint64_t size) override {
    return fs_.at(path(), [&] { return real_->truncate(size); });
  }
  Status reserve(std::uint64_t size) override { return real_->reserve(size); }
  Result<std::shared_ptr<const store::Mapping>> map() const override { return real_->map(); }

 private:
  KillFs& fs_;
  const std::unique_ptr<store::File> real_;
};

Result<std::unique_ptr<store::File>> KillFs::open(const std::string& path, store::OpenMode mode) {
  auto real = at(path, [&] { return real_->open(path, mode); });
  if (!real) return real;
  return std::make_unique<KillFile>(*this, *std::move(real));
}

Status KillFs::rename(const std::string& from, const std::string& to) {
  return at(to, [&] { return real_->rename(from, to); });
}
Status KillFs::remove(const std::string& path) {
  return at(path, [&] { return real_->remove(path); });
}
Status KillFs::link(const std::string& from, const std::string& to) {
  return at(to, [&] { return real_->link(from, to); });
}
Status KillFs::make_dir(const std::string& directory) {
  return at(directory, [&] { return real_->make_dir(directory); });
}
Status KillFs::sync_dir(const std::string& directory) {
  return at(directory, [&] { return real_->sync_dir(directory); });
}

}  // namespace sluice::test
