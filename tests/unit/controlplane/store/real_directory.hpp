// An index in a directory of the real file system, for what only that one can do to it: the fixture
// of the tests beside it.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/index.hpp"

namespace sluice::controlplane::store {

inline constexpr std::uint8_t kTable = 1;
inline constexpr unsigned kBatches = 36;  // of 1 MiB: a file of the log has 32

class RealDirectory : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/store-real-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override {
    index_.reset();
    std::filesystem::remove_all(directory_);
  }
  void open() {
    index_.reset();
    auto opened = Index::open(*fs_, {.directory = directory_ + "/store",
                                     .tables = {{kTable, Kind::kRecord, "records"}},
                                     .lanes = 1,
                                     .verify_after_open = false});
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
  }
  static std::string key(unsigned batch, unsigned record) {
    return fmt::format("{}-{}", batch, record);
  }
  static Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
  Status write(unsigned number) {
    WriteBatch batch;
    const std::string value(std::size_t{32} << 10, 'v');
    for (unsigned record = 0; record < 32; ++record)
      batch.put(kTable, 1, bytes_of(key(number, record)), bytes_of(value));
    return index_->write(batch);
  }

  Status wait_for_health(bool good) {
    while (index_->health().has_value() != good)
      std::this_thread::yield();
    return index_->health();
  }

  std::string directory_;
  std::unique_ptr<Fs> fs_ = make_posix_fs();
  std::unique_ptr<Index> index_;
};

}  // namespace sluice::controlplane::store
