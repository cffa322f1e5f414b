// A log on a disk that breaks as told, for the tests of log.hpp: opening it as the index does, and
// reading back everything. One thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/store/log/log.hpp"
#include "tests/support/fault_fs.hpp"

namespace sluice::controlplane::store {

inline constexpr StoreId kTestStore = {1, 2, 3};
inline const std::string kLogDir = "/log";

struct ReadBack {
  std::vector<std::pair<std::uint64_t, Buffer>> records;  // first sequence, payload
  LogEnd end;
};

inline Result<ReadBack> read_log(Fs& fs, LogReadOptions options = {}) {
  options.directory = kLogDir;
  options.store = kTestStore;
  auto reader = LogReader::open(fs, options);
  if (!reader) return std::unexpected(reader.error());
  ReadBack back;
  for (LogRecord record;;) {
    const auto more = (*reader)->next(record);
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
    back.records.emplace_back(record.sequence,
                              Buffer(record.payload.begin(), record.payload.end()));
  }
  back.end = (*reader)->end();
  return back;
}

inline Result<std::unique_ptr<LogWriter>> open_log(Fs& fs, LogOptions options = {}) {
  auto back = read_log(fs, {.must_exist = false});
  if (!back) return std::unexpected(back.error());
  options.directory = kLogDir;
  options.store = kTestStore;
  return LogWriter::create(fs, options, back->end);
}

// A payload that says which it is.
inline Buffer payload_of(std::uint64_t number, std::size_t size) {
  Buffer bytes(std::max<std::size_t>(size, 8));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(number * 31 + i);
  sluice::store(bytes.data(), number);
  return bytes;
}

inline std::unique_ptr<test::FaultFs> log_disk() {
  auto fs = std::make_unique<test::FaultFs>();
  EXPECT_TRUE(fs->make_dir(kLogDir));
  EXPECT_TRUE(fs->sync_dir("/"));
  return fs;
}

}  // namespace sluice::controlplane::store
