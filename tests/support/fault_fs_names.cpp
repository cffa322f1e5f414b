// FaultFs: names and directories.
#include <utility>

#include "tests/support/fault_errors.hpp"
#include "tests/support/fault_fs.hpp"

namespace sluice::test {

Status FaultFs::rename(const std::string& raw_from, const std::string& raw_to) {
  const auto from = clean(raw_from);
  const auto to = clean(raw_to);
  call_hook("rename", to);
  const std::lock_guard lock(mutex_);
  auto gate = enter("renaming", to);
  if (!gate) return std::unexpected(gate.error());
  const auto* name = names_.find(from);
  if (name == nullptr || names_.find(store::parent_dir(to)) == nullptr) {
    return missing("renaming " + from + " to", to);
  }
  return change("renaming", store::parent_dir(to), {.set = {{to, *name}}, .gone = {from}}, *gate);
}

Status FaultFs::remove(const std::string& raw) {
  const auto path = clean(raw);
  call_hook("remove", path);
  const std::lock_guard lock(mutex_);
  auto gate = enter("removing", path);
  if (!gate) return std::unexpected(gate.error());
  const auto* name = names_.find(path);
  if (name == nullptr) return missing("removing", path);
  if (name->directory)
    return broken(ErrorCode::kInvalidArgument, "removing", path, "Is a directory");
  return change("removing", store::parent_dir(path), {.gone = {path}}, *gate);
}

Status FaultFs::link(const std::string& raw_from, const std::string& raw_to) {
  const auto from = clean(raw_from);
  const auto to = clean(raw_to);
  call_hook("link", to);
  const std::lock_guard lock(mutex_);
  auto gate = enter("linking", to);
  if (!gate) return std::unexpected(gate.error());
  const auto* name = names_.find(from);
  if (name == nullptr || names_.find(store::parent_dir(to)) == nullptr) {
    return missing("linking " + from + " to", to);
  }
  if (names_.find(to) != nullptr) return existing("linking " + from + " to", to);
  return change("linking", store::parent_dir(to), {.set = {{to, *name}}}, *gate);
}

Result<bool> FaultFs::exists(const std::string& raw) {
  const auto path = clean(raw);
  const std::lock_guard lock(mutex_);
  if (auto may = readable("looking for", path); !may) return std::unexpected(may.error());
  return names_.find(path) != nullptr;
}

Result<std::uint64_t> FaultFs::file_size(const std::string& raw) {
  const auto path = clean(raw);
  const std::lock_guard lock(mutex_);
  if (auto may = readable("reading size of", path); !may) return std::unexpected(may.error());
  const auto* name = names_.find(path);
  if (name == nullptr) return missing("reading size of", path);
  return name->file ? name->file->bytes().size() : 0;
}

Result<std::vector<std::string>> FaultFs::list(const std::string& raw) {
  const auto directory = clean(raw);
  const std::lock_guard lock(mutex_);
  if (auto may = readable("listing", directory); !may) return std::unexpected(may.error());
  if (names_.find(directory) == nullptr) return missing("listing", directory);
  std::vector<std::string> names;
  for (const auto& [path, name] : names_.now()) {
    if (path != "/" && store::parent_dir(path) == directory) {
      names.push_back(path.substr(path.rfind('/') + 1));
    }
  }
  return names;
}

Status FaultFs::make_dir(const std::string& raw) {
  const auto directory = clean(raw);
  call_hook("make_dir", directory);
  const std::lock_guard lock(mutex_);
  for (std::size_t at = 1; at != std::string::npos;) {
    at = directory.find('/', at);
    const auto part = directory.substr(0, at);
    if (const auto* name = names_.find(part); name == nullptr) {
      auto gate = enter("making", part);
      if (!gate) return std::unexpected(gate.error());
      auto done =
          change("making", store::parent_dir(part), {.set = {{part, {.directory = true}}}}, *gate);
      if (!done) return done;
    } else if (!name->directory) {
      return broken(ErrorCode::kInvalidArgument, "making", part, "Not a directory");
    }
    if (at != std::string::npos) ++at;
  }
  return crashed_ ? broken(ErrorCode::kUnavailable, "making", directory, "power lost") : Status{};
}

Status FaultFs::remove_dir(const std::string& raw) {
  const auto directory = clean(raw);
  call_hook("remove_dir", directory);
  const std::lock_guard lock(mutex_);
  auto gate = enter("removing", directory);
  if (!gate) return std::unexpected(gate.error());
  if (names_.find(directory) == nullptr) return missing("removing", directory);
  const auto next = names_.now().upper_bound(directory + "/");
  if (next != names_.now().end() && next->first.starts_with(directory + "/")) {
    return broken(ErrorCode::kAlreadyExists, "removing", directory, "Directory not empty");
  }
  return change("removing", store::parent_dir(directory), {.gone = {directory}}, *gate);
}

Status FaultFs::sync_dir(const std::string& raw) {
  const auto directory = clean(raw);
  call_hook("sync_dir", directory);
  const std::lock_guard lock(mutex_);
  auto gate = enter("syncing", directory);
  if (!gate) return std::unexpected(gate.error());
  if (names_.find(directory) == nullptr) return missing("syncing", directory);
  if (*gate == Gate::kCrashing) {
    return broken(ErrorCode::kUnavailable, "syncing", directory, "power lost");
  }
  names_.sync(directory);
  return {};
}

Result<store::SpaceInfo> FaultFs::space(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  if (auto may = readable("reading the free space of", directory); !may) {
    return std::unexpected(may.error());
  }
  return store::SpaceInfo{room(), used() + room()};
}

}  // namespace sluice::test
