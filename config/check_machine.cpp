// What the control plane needs of the machine: found missing or of another kind here, with its
// place in the file, and not one after the other at starts. What this user may not see, or a start
// makes itself, is not judged.
#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "config/reader.hpp"

namespace sluice::config {
namespace {

// The type in its mode; nullopt: it is not there, or cannot be seen.
std::optional<mode_t> type_of(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) return std::nullopt;
  return about.st_mode & S_IFMT;
}

bool is_missing(const std::string& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) != 0 && errno == ENOENT;
}

bool is_group(const std::string& name) {
  std::array<char, 16384> buffer;
  group entry{};
  group* found = nullptr;
  const int error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr || (error != 0 && error != ENOENT);  // of the doubt
}

class MachineChecks {
 public:
  MachineChecks(const Node& document, Report& report, const Config& config)
      : document_(document), report_(report), config_(config) {}

  void run() {
    check_keys_file();
    check_api();
    check_log_file();
    const auto store = type_of(config_.store.directory);
    if (store && *store != S_IFDIR) {
      wrong({"store", "directory"},
            fmt::format("{} is there and is no folder", config::quoted(config_.store.directory)));
    }
  }

 private:
  void wrong(const Steps& where, std::string message) {
    report_.add(mark_of(document_, where), text_of(where), std::move(message));
  }

  void check_keys_file() {
    const auto& cluster = config_.cluster;
    if (!cluster.bind || !cluster.encryption || !is_missing(cluster.keys_file)) return;
    wrong(
        {"cluster", "keys-file"},
        fmt::format("{} is not there; make it with `sluice cluster init`, or copy it from another "
                    "router, or, for a laboratory, set cluster.encryption: false",
                    config::quoted(cluster.keys_file)));
  }

  void check_api() {
    const auto socket = type_of(config_.api.socket);
    if (socket && *socket != S_IFSOCK) {
      wrong({"api", "socket"},
            fmt::format("{} is there and is no socket; take another path, or remove it",
                        config::quoted(config_.api.socket)));
    }
    if (!config_.api.group.empty() && !is_group(config_.api.group)) {
      wrong({"api", "group"},
            fmt::format("there is no group {}", config::quoted(config_.api.group)));
    }
  }

  // The folders of the router itself are made at its start.
  bool is_made(const std::string& folder) const {
    return same_path(folder, config_.router.run_dir) || same_path(folder, config_.router.state_dir);
  }

  void check_log_file() {
    const std::string& file = config_.log.file;
    if (file.empty()) return;
    const auto type = type_of(file);
    if (type && (*type == S_IFDIR || *type == S_IFSOCK)) {
      return wrong({"log", "file"}, fmt::format("{} is a {}; must be a file", config::quoted(file),
                                                *type == S_IFDIR ? "folder" : "socket"));
    }
    const auto folder = std::filesystem::path(file).parent_path().string();
    if (type || is_made(folder) || !is_missing(folder)) return;
    wrong({"log", "file"}, fmt::format("the folder {} is not there", config::quoted(folder)));
  }

  const Node& document_;
  Report& report_;
  const Config& config_;
};

}  // namespace

bool same_path(const std::string& a, const std::string& b) {
  const auto normal = [](const std::string& path) {
    return std::filesystem::path(path).lexically_normal() /
           "";  // the slash at the end is no difference
  };
  return normal(a) == normal(b);
}

void check_machine(const Node& document, Report& report, const Config& config) {
  MachineChecks(document, report, config).run();
}

}  // namespace sluice::config
