// LMDB: one transaction per batch; without fsync it may lose the newest ones in a power loss, as
// the others do then.
#include "perf/index/engine.hpp"

#ifdef SLUICE_HAVE_LMDB
#include <lmdb.h>

#include <cstring>
#include <filesystem>

namespace sluice::perf {
namespace {

namespace store = controlplane::store;

void check(int code) {
  if (code != 0) give_up(std::string("LMDB: ") + mdb_strerror(code));
}

MDB_val value_of(const void* data, std::size_t size) {
  return {size, const_cast<void*>(data)};
}

class Lmdb final : public KeyValueEngine {
 public:
  Lmdb(const std::string& directory, store::Fsync fsync) {
    std::filesystem::create_directories(directory);
    check(mdb_env_create(&env_));
    check(mdb_env_set_mapsize(env_, std::size_t{8} << 30));
    const unsigned flags = fsync == store::Fsync::kEach ? 0 : MDB_NOSYNC;
    check(mdb_env_open(env_, directory.c_str(), flags, 0644));
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn));
    check(mdb_dbi_open(txn, nullptr, 0, &dbi_));
    check(mdb_txn_commit(txn));
    check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reading_));
  }
  ~Lmdb() override {
    mdb_txn_abort(reading_);
    mdb_env_close(env_);
  }
  Lmdb(const Lmdb&) = delete;
  Lmdb& operator=(const Lmdb&) = delete;

  std::string_view name() const override { return "lmdb"; }

  void write(std::span<const Pair> batch) override {
    mdb_txn_reset(reading_);  // an open reader would keep old pages from being used again
    fresh_ = false;
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn));
    for (const Pair& pair : batch) {
      MDB_val key = value_of(pair.id.bytes.data(), pair.id.bytes.size());
      MDB_val value = value_of(&pair.value, sizeof pair.value);
      check(mdb_put(txn, dbi_, &key, &value, 0));
    }
    check(mdb_txn_commit(txn));
  }

  bool get(const Id& id, std::uint64_t& value) override {
    if (!fresh_) {
      mdb_txn_reset(reading_);
      check(mdb_txn_renew(reading_));
      fresh_ = true;
    }
    MDB_val key = value_of(id.bytes.data(), id.bytes.size());
    MDB_val found{};
    const int code = mdb_get(reading_, dbi_, &key, &found);
    if (code == MDB_NOTFOUND) return false;
    check(code);
    std::memcpy(&value, found.mv_data, sizeof value);
    return true;
  }

  void settle() override { check(mdb_env_sync(env_, 1)); }

 private:
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
  MDB_txn* reading_ = nullptr;
  bool fresh_ = true;
};

}  // namespace

std::unique_ptr<KeyValueEngine> open_lmdb(const std::string& directory, store::Fsync fsync) {
  return std::make_unique<Lmdb>(directory, fsync);
}

}  // namespace sluice::perf
#else
namespace sluice::perf {
std::unique_ptr<KeyValueEngine> open_lmdb(const std::string&, controlplane::store::Fsync) {
  return nullptr;
}
}  // namespace sluice::perf
#endif
