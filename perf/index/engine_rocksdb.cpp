// RocksDB, set up for point look-ups in memory: a block cache larger than the data, Bloom filters,
// hash index in the blocks, no compression.
#include "perf/index/engine.hpp"

#ifdef SLUICE_HAVE_ROCKSDB
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <cstring>

namespace sluice::perf {
namespace {

namespace store = controlplane::store;

void check(const rocksdb::Status& status) {
  if (!status.ok()) give_up("RocksDB: " + status.ToString());
}

rocksdb::Slice slice_of(const Id& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

class RocksDb final : public KeyValueEngine {
 public:
  RocksDb(const std::string& directory, store::Fsync fsync) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.OptimizeForPointLookup(2048);
    options.compression = rocksdb::kNoCompression;
    options.write_buffer_size = std::size_t{64} << 20;
    options.max_background_jobs = 2;
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(options, directory, &db));
    db_.reset(db);
    write_.sync = fsync == store::Fsync::kEach;
  }

  std::string_view name() const override { return "rocksdb"; }

  void write(std::span<const Pair> batch) override {
    batch_.Clear();
    for (const Pair& pair : batch)
      check(batch_.Put(slice_of(pair.id),
                       {reinterpret_cast<const char*>(&pair.value), sizeof pair.value}));
    check(db_->Write(write_, &batch_));
  }

  bool get(const Id& id, std::uint64_t& value) override {
    found_.Reset();
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), slice_of(id), &found_);
    if (status.IsNotFound()) return false;
    check(status);
    std::memcpy(&value, found_.data(), sizeof value);
    return true;
  }

  void settle() override {
    check(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions write_;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice found_;
};

}  // namespace

std::unique_ptr<KeyValueEngine> open_rocksdb(const std::string& directory, store::Fsync fsync) {
  return std::make_unique<RocksDb>(directory, fsync);
}

}  // namespace sluice::perf
#else
namespace sluice::perf {
std::unique_ptr<KeyValueEngine> open_rocksdb(const std::string&, controlplane::store::Fsync) {
  return nullptr;
}
}  // namespace sluice::perf
#endif
