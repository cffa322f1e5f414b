// store restore, verify and salvage of a folder: what must not have a control plane. The only file
// of the command that works with the store itself.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/progress.hpp"
#include "controlplane/store/care/salvage.hpp"
#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/maintenance.hpp"
#include "controlplane/store/manifest.hpp"
#include "controlplane/store/route_tables.hpp"

namespace sluice::cli {
namespace {

namespace store = controlplane::store;

// --- restore ------------------------------------------------------------------------------------

// Without a slash at the end, so that names beside it can be made by appending.
std::string folder_name(const std::string& given) {
  auto path = std::filesystem::path(given).lexically_normal();
  if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  return path.string();
}

// Also where links lead there.
bool lies_in(const std::string& folder, const std::string& other) {
  std::error_code error;  // then the path is empty, and lies nowhere
  const auto whole = [&](const std::string& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  };
  const auto inside = whole(folder).lexically_relative(whole(other));
  return !inside.empty() && *inside.begin() != "..";
}

Result<std::string> folder_of_store(const Context& c) {
  if (c.args.has("directory")) return folder_name(c.args.text("directory"));
  const std::string path =
      c.args.has("config") ? c.args.text("config") : c.environment.default_config;
  const auto config = config::load(path, config::Files::kSkip);
  if (config) return folder_name(config->store.directory);
  return fail(ErrorCode::kNotFound,
              fmt::format("{}\nwhere the store is would be read from there; --directory says it",
                          config.error().message()),
              ErrorOrigin::kConfig);
}

// The old store, out of the way.
Result<std::string> set_aside(store::Fs& fs, const std::string& directory) {
  for (unsigned number = 1;; ++number) {
    const std::string aside = fmt::format("{}.old-{}", directory, number);
    const auto taken = fs.exists(aside);
    if (!taken) return std::unexpected(taken.error());
    if (*taken) continue;
    if (auto moved = fs.rename(directory, aside); !moved) return std::unexpected(moved.error());
    if (auto safe = fs.sync_dir(store::parent_dir(directory)); !safe) {
      return std::unexpected(safe.error());
    }
    return aside;
  }
}

Result<bool> has_content(store::Fs& fs, const std::string& directory) {
  const auto there = fs.exists(directory);
  if (!there) return std::unexpected(there.error());
  if (!*there) return false;
  const auto names = fs.list(directory);
  if (!names) return std::unexpected(names.error());
  return !names->empty();
}

// Whether a store may be put there: into an empty folder, or with --replace in place of a store.
Status check_target(store::Fs& fs, const Context& c, const std::string& directory, bool content) {
  if (lies_in(directory, c.args.text("BACKUP"))) {
    return wrong_usage(
        fmt::format("{} lies in the backup itself; the store needs a place of its own", directory));
  }
  if (!content) return {};
  bool store = false;
  for (const auto name : {store::kManifestName, store::kLockName}) {
    const auto there = fs.exists(fmt::format("{}/{}", directory, name));
    if (!there) return std::unexpected(there.error());
    store = store || *there;
  }
  if (!store) {
    return fail(ErrorCode::kAlreadyExists,
                fmt::format("{} is not empty, but has no store in it; name another folder with "
                            "--directory, or empty this one",
                            directory),
                ErrorOrigin::kStore);
  }
  if (c.args.has("replace")) return {};
  return fail(ErrorCode::kAlreadyExists,
              fmt::format("{} holds a store already; stop the control plane, then --replace sets "
                          "that one aside and restores",
                          directory),
              ErrorOrigin::kStore);
}

void print_restored(Context& c, const store::BackupReport& report, const std::string& directory,
                    const std::string& aside) {
  if (c.json) {
    JsonWriter json;
    json.begin_object().member("directory", directory);
    json.key("old");
    if (aside.empty()) {
      json.null();
    } else {
      json.value(aside);
    }
    c.print(json.member("files", report.files)
                .member("bytes", report.bytes)
                .member("sequence", report.sequence)
                .end_object()
                .take());
    return;
  }
  if (!aside.empty())
    c.print(fmt::format("the store that was there is now {}\n", printable(aside)));
  c.print(fmt::format("{}: {} files, {}, everything up to write {}\n", printable(directory),
                      with_commas(report.files), bytes_text(report.bytes),
                      with_commas(report.sequence)));
}

// --- salvage ------------------------------------------------------------------------------------

std::string damage_text(const std::vector<store::Damage>& damaged) {
  std::string text;
  for (const auto& damage : damaged) {
    // Some say the file themselves.
    const bool named = damage.what.starts_with(damage.file);
    text += named ? printable(damage.what) + "\n"
                  : fmt::format("{}: {}\n", printable(damage.file), printable(damage.what));
  }
  return text;
}

void add_damage(JsonWriter& json, const std::vector<store::Damage>& damaged) {
  json.key("damaged").begin_array();
  for (const auto& damage : damaged)
    json.begin_object().member("file", damage.file).member("what", damage.what).end_object();
  json.end_array();
}

void print_verified(Context& c, const store::VerifyReport& report) {
  if (c.json) {
    JsonWriter json;
    json.begin_object().member("files", report.files).member("bytes", report.bytes);
    add_damage(json, report.damaged);
    c.print(json.end_object().take());
    return;
  }
  c.print(
      damage_text(report.damaged) +
      fmt::format("{} files, {} checked: ", with_commas(report.files), bytes_text(report.bytes)) +
      (report.damaged.empty()
           ? c.paint.good("good") + "\n"
           : c.paint.bad(fmt::format("damaged in {} places", report.damaged.size())) +
                 "; restore a backup, or see 'sluice store salvage --help'\n"));
}

void print_salvaged(Context& c, const store::SalvageReport& report, const std::string& to) {
  if (c.json) {
    JsonWriter json;
    json.begin_object()
        .member("directory", to)
        .member("files", report.files)
        .member("bytes", report.bytes)
        .member("items", report.items)
        .member("entries", report.entries)
        .member("records", report.records)
        .member("lost_entries", report.lost_entries)
        .member("lost_operations", report.lost_operations)
        .member("manifest", report.manifest);
    add_damage(json, report.damaged);
    c.print(json.end_object().take());
    return;
  }
  std::string text = damage_text(report.damaged);
  if (!report.manifest)
    text += c.paint.warn("the manifest is lost") + ": what was deleted may be back\n";
  text += fmt::format(
      "{}: {} items, from {} entries of segments and {} records of the log\n"
      "lost: {} entries of segments, {} operations of the log\n",
      printable(to), with_commas(report.items), with_commas(report.entries),
      with_commas(report.records), with_commas(report.lost_entries),
      with_commas(report.lost_operations));
  text += fmt::format(
      "what was damaged is missing, or as it was before its last change\n"
      "to go on with it: move the damaged store away and {} into its place, or name it as\n"
      "store.directory; then start the control plane\n",
      printable(to));
  c.print(text);
}

}  // namespace

Outcome store_restore(Context& c) {
  const auto directory = folder_of_store(c);
  if (!directory) return std::unexpected(directory.error());
  const auto fs = store::make_posix_fs();
  const auto content = has_content(*fs, *directory);
  if (!content) return std::unexpected(content.error());
  if (auto good = check_target(*fs, c, *directory, *content); !good) {
    return std::unexpected(good.error());
  }
  // Held until the end: nobody opens the old store while it is being replaced.
  std::unique_ptr<store::FileLock> lock;
  if (*content) {
    auto locked = fs->lock(fmt::format("{}/{}", *directory, store::kLockName));
    if (!locked) return fail(std::move(locked.error()), "is the control plane stopped?");
    lock = std::move(*locked);
  }
  // Beside the old one first: a backup that is damaged must not cost the store that is there.
  const std::string target = *content ? *directory + ".restored" : *directory;
  ProgressLine progress(c, "restoring");
  const auto report = store::restore_backup(*fs, c.args.text("BACKUP"), target,
                                            [&](std::uint64_t done, std::uint64_t total) {
                                              progress.show(done, total);
                                              return true;
                                            });
  progress.end();
  if (!report) return std::unexpected(report.error());
  std::string aside;
  if (*content) {
    auto moved = set_aside(*fs, *directory);
    if (!moved) return fail(std::move(moved.error()), fmt::format("restored to {}", target));
    aside = std::move(*moved);
    if (auto done = fs->rename(target, *directory); !done) return std::unexpected(done.error());
    if (auto done = fs->sync_dir(store::parent_dir(*directory)); !done) {
      return std::unexpected(done.error());
    }
  }
  print_restored(c, *report, *directory, aside);
  return kDone;
}

// Of a folder: store_verify (store_commands.cpp) asks the control plane.
Outcome store_verify_folder(Context& c) {
  const auto fs = store::make_posix_fs();
  ProgressLine progress(c, "verifying");
  const auto report = store::verify_directory(*fs, c.args.text("directory"),
                                              [&](std::uint64_t done, std::uint64_t total) {
                                                progress.show(done, total);
                                                return true;
                                              });
  progress.end();
  if (!report) return std::unexpected(report.error());
  print_verified(c, *report);
  return report->damaged.empty() ? kDone : kFailed;
}

Outcome store_salvage(Context& c) {
  const auto directory = folder_of_store(c);
  if (!directory) return std::unexpected(directory.error());
  const auto fs = store::make_posix_fs();
  const std::string to = folder_name(c.args.text("NEW"));
  if (lies_in(to, *directory)) {
    return wrong_usage(fmt::format(
        "{} lies in the damaged store itself; the new one needs a place of its own", to));
  }
  spdlog::set_level(spdlog::level::off);  // the store's log lines would go between ours
  ProgressLine progress(c, "salvaging");
  const auto report = store::salvage(*fs, *directory, to, controlplane::route_tables(),
                                     [&](std::uint64_t done, std::uint64_t total) {
                                       progress.show(done, total);
                                       return true;
                                     });
  progress.end();
  if (!report) {
    if (report.error().code() == ErrorCode::kUnavailable)
      return fail(report.error(), "is the control plane stopped?");
    return std::unexpected(report.error());
  }
  print_salvaged(c, *report, to);
  return kDone;
}

}  // namespace sluice::cli
