#include "perf/support/built_base.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "controlplane/store/segment/base_builder.hpp"
#include "perf/support/report.hpp"

namespace sluice::perf {

namespace {

namespace store = controlplane::store;
using Clock = std::chrono::steady_clock;

double since_ns(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

[[noreturn]] void give_up(std::string_view why) {
  progress("base segment: {}", why);
  std::exit(1);
}

// Removed with its content.
class Directory {
 public:
  Directory() {
    std::string text = std::filesystem::temp_directory_path() / "sluice-base-XXXXXX";
    if (::mkdtemp(text.data()) == nullptr) give_up("no temporary directory");
    path_ = text;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

WrittenBase write_base(const std::string& path, std::uint8_t number, const HashKey& key,
                       std::uint64_t routes, std::uint32_t dictionary, unsigned threads,
                       const RouteOf& route_of) {
  store::BaseBuilder builder({.key = key, .id = {number}, .threads = threads});
  for (std::uint32_t i = 0; i < dictionary; ++i) {
    index::BaseDestination destination{};
    destination.family = 4;
    sluice::store(destination.address.data(), i);
    if (!builder.position(destination)) give_up("the dictionary is full");
  }
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < routes; ++i) {
    const auto [id, action] = route_of(i);
    if (action.kind() == ActionKind::kNone) continue;
    if (auto added = builder.add(id, action); !added) give_up(added.error().message());
  }
  const auto fs = store::make_posix_fs();
  store::Pace pace;
  const auto info = builder.finish(*fs, path, pace);
  if (!info) give_up(info.error().message());
  return {.path = path,
          .id = info->id,
          .bytes = info->bytes,
          .entries = info->entries,
          .build_ns = since_ns(start)};
}

BuiltBase build_base(const HashKey& key, std::uint64_t routes, std::uint32_t dictionary,
                     unsigned threads, const RouteOf& route_of) {
  const Directory directory;
  const WrittenBase written =
      write_base(directory.path() + "/base", 1, key, routes, dictionary, threads, route_of);
  BuiltBase made{
      .file_bytes = written.bytes, .entries = written.entries, .build_ns = written.build_ns};
  const int file = ::open(written.path.c_str(), O_RDONLY | O_CLOEXEC);
  const std::atomic<bool> cancel{false};
  const auto loading = Clock::now();
  auto loaded = dataplane::load_base(file, written.id, -1, cancel);
  ::close(file);
  if (!loaded) give_up(loaded.error().what);
  made.load_ns = since_ns(loading);
  made.loaded = std::make_shared<dataplane::LoadedBase>(std::move(*loaded));
  return made;
}

}  // namespace sluice::perf
