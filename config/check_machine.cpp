// What the control plane needs of the machine: found missing or of another kind here, with its
// place in the file, and not one after the other at starts. What this user may not see, or a start
// makes itself, is not judged; whoever starts it must see, make and write everything.
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
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

// The errno of what keeps this user from making entries in a folder, or writing a file; 0: nothing.
int why_not_writable(const std::string& path, int mode) {
  return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0 ? 0 : errno;
}

// The path itself, or the nearest folder above it that is there. A link that leads nowhere is
// there.
std::string nearest_part(const std::string& path) {
  std::filesystem::path at = path;
  struct stat about{};
  while (::lstat(at.c_str(), &about) != 0 && (errno == ENOENT || errno == ENOTDIR) &&
         at.has_relative_path()) {
    at = at.parent_path();
  }
  return at.string();
}

class MachineChecks {
 public:
  MachineChecks(const Node& document, Report& report, const Config& config, Files files)
      : document_(document), report_(report), config_(config), start_(files == Files::kStart) {}

  void run() {
    check_folder(config_.router.run_dir, {"router", "run-dir"});
    const bool state = check_folder(config_.router.state_dir, {"router", "state-dir"});
    // By default it lies in that folder.
    if (state || is_given(document_, {"store", "directory"})) {
      check_folder(config_.store.directory, {"store", "directory"});
    }
    check_keys_file();
    check_api();
    check_log_file();
  }

 private:
  void wrong(const Steps& where, std::string message) {
    report_.add(mark_of(document_, where), text_of(where), std::move(message));
  }

  // That it is a folder of ours, or can be made: with all that is missing above it.
  bool check_folder(const std::string& folder, const Steps& where) {
    const auto part = nearest_part(folder);
    const auto type = type_of(part);
    const int unseen = type ? 0 : errno;
    const bool itself = same_path(part, folder);
    if (type ? *type != S_IFDIR : unseen == ENOENT) {
      wrong(where, itself ? fmt::format("{} is there and is no folder; take another path, or "
                                        "remove it",
                                        config::quoted(part))
                          : fmt::format("{} cannot be made: {} is no folder; take another path",
                                        config::quoted(folder), config::quoted(part)));
      return false;
    }
    const int error = type ? why_not_writable(part, W_OK | X_OK) : unseen;
    if (!start_ || error == 0) return true;
    // What a router has on a read-only disk it serves; the folder of this run it must write.
    if (error == EROFS && itself && folder != config_.router.run_dir) return true;
    const std::string remedy =
        error == EROFS
            ? "mount its file system for writing, or take another path"
            : "start as another user, or make it theirs: install -d -o USER -m 0755 " + folder;
    wrong(where, fmt::format("{} cannot be {}: {}: {}; {}", config::quoted(folder),
                             itself ? "written" : "made", config::quoted(part),
                             std::strerror(error), remedy));
    return false;
  }

  void check_keys_file() {
    const auto& cluster = config_.cluster;
    if (!cluster.bind || !cluster.encryption) return;
    warn_of_readers(document_, report_, {"cluster", "keys-file"}, cluster.keys_file);
    if (!is_missing(cluster.keys_file)) return;
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
    if (type || is_made(folder) || !is_missing(folder)) return check_log_access(type.has_value());
    wrong({"log", "file"}, fmt::format("the folder {} is not there", config::quoted(folder)));
  }

  void check_log_access(bool there) {
    const std::string& file = config_.log.file;
    const auto folder = std::filesystem::path(file).parent_path().string();
    if (!start_ || (!there && is_made(folder))) return;
    const int error = there ? why_not_writable(file, W_OK) : why_not_writable(folder, W_OK | X_OK);
    if (error == 0) return;
    wrong({"log", "file"},
          fmt::format("{} cannot be written: {}; make it this user's, or take another path",
                      config::quoted(file), std::strerror(error)));
  }

  const Node& document_;
  Report& report_;
  const Config& config_;
  const bool start_;
};

}  // namespace

bool same_path(const std::string& a, const std::string& b) {
  const auto normal = [](const std::string& path) {
    return std::filesystem::path(path).lexically_normal() /
           "";  // the slash at the end is no difference
  };
  return normal(a) == normal(b);
}

void warn_of_readers(const Node& document, Report& report, const Steps& where,
                     const std::string& file) {
  struct stat about{};
  if (::stat(file.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) return;
  // As ssh and wg-quick look at it: a bit for anybody else is one too many.
  if ((about.st_mode & 077) == 0) return;
  report.warn(
      mark_of(document, where), text_of(where),
      fmt::format("{} is a secret that others can read or write (mode {:04o}); chmod 600 {}",
                  config::quoted(file), about.st_mode & 07777, file));
}

void check_machine(const Node& document, Report& report, const Config& config, Files files) {
  MachineChecks(document, report, config, files).run();
}

}  // namespace sluice::config
