// Several processes that want the same store at once, again and again: one at a time has it, the
// others are told who, and nothing that was written under one is lost under the next.
//
//   store_openers --directory D [--processes N] [--turns N]
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/index.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::test {
namespace {

constexpr int kWrong = 1;
const std::string kCounter = "counter";

Result<std::unique_ptr<store::Index>> open_store(store::Fs& fs, const std::string& directory) {
  return store::Index::open(fs, {.directory = directory,
                                 .tables = model_tables(),
                                 .lanes = 1,
                                 .fsync = store::Fsync::kNever,
                                 .overlay_bytes = 1 << 18});
}

Result<std::uint64_t> count_of(const store::Index& index) {
  const auto number = index.number(kProgress, 0, bytes_of(kCounter));
  if (!number) return std::unexpected(number.error());
  return number->value_or(0);
}

// One turn with the store: reads the counter and writes the next number.
bool take_turn(store::Index& index) {
  const auto count = count_of(index);
  if (!count) return false;
  store::WriteBatch batch;
  batch.put(kProgress, 0, bytes_of(kCounter), *count + 1);
  return index.write(batch).has_value();
}

[[noreturn]] void work(const std::string& directory, unsigned turns) {
  const auto fs = store::make_posix_fs();
  std::uint64_t refused = 0;
  for (unsigned done = 0; done < turns;) {
    auto index = open_store(*fs, directory);
    if (index) {
      if (!take_turn(**index)) ::_exit(kWrong);
      ++done;
      continue;
    }
    const bool busy = index.error().code() == ErrorCode::kUnavailable && index.error().retryable();
    if (!busy || !index.error().message().contains("process")) {
      fmt::print(stderr, "{}\n", index.error().message());
      ::_exit(kWrong);
    }
    ++refused;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  fmt::print("turns={} refused={}\n", turns, refused);
  std::fflush(stdout);
  ::_exit(0);
}

int run(const std::string& directory, unsigned processes, unsigned turns) {
  std::vector<pid_t> children;
  for (unsigned i = 0; i < processes; ++i) {
    const pid_t child = ::fork();
    if (child == 0) work(directory, turns);
    children.push_back(child);
  }
  bool good = true;
  for (const pid_t child : children) {
    int status = 0;
    good = child > 0 && ::waitpid(child, &status, 0) == child && status == 0 && good;
  }
  const auto fs = store::make_posix_fs();
  const auto index = open_store(*fs, directory);
  const std::uint64_t count = index ? count_of(**index).value_or(0) : 0;
  fmt::print("processes={} turns={} counted={}\n", processes, turns, count);
  return good && count == std::uint64_t{processes} * turns ? 0 : kWrong;
}

}  // namespace
}  // namespace sluice::test

int main(int argc, char** argv) {
  std::string directory;
  unsigned processes = 6;
  unsigned turns = 20;
  CLI::App app("Several processes want one store", "store_openers");
  app.add_option("--directory", directory, "where to work, in a new directory")->required();
  app.add_option("--processes", processes, "at once");
  app.add_option("--turns", turns, "of each with the store");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::off);
  std::filesystem::create_directories(directory);
  directory += "/run-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return 1;
  const int status = sluice::test::run(directory + "/store", processes, turns);
  if (status == 0) std::filesystem::remove_all(directory);
  return status;
}
