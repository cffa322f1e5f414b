// store restore, verify and salvage of a folder, estimate: what needs no control plane, and most of
// it must not have one. The only file of the command that works with the store itself.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <filesystem>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/progress.hpp"
#include "controlplane/cli/values.hpp"
#include "controlplane/store/care/salvage.hpp"
#include "controlplane/store/estimator.hpp"
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

// --- estimate -----------------------------------------------------------------------------------

constexpr std::string_view kMeasuredForm =
    "positive, negative or capability, then lookups, hits and entries, like "
    "positive:1000000:820000:65536";

Result<std::uint64_t> digits(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size() && !text.empty()) return number;
  return wrong_usage(fmt::format("--measured: '{}' is not a number", text));
}

using Uses = std::array<store::CacheUse, store::kCaches>;

// "positive:LOOKUPS:HITS:ENTRIES"
Status take_measured(std::string_view text, Uses& uses) {
  std::vector<std::string_view> parts;
  for (auto rest = text;;) {
    const auto colon = rest.find(':');
    parts.push_back(rest.substr(0, colon));
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  for (std::size_t i = 0; parts.size() == 4 && i < store::kCaches; ++i) {
    if (parts[0] != to_string(static_cast<store::Cache>(i))) continue;
    std::array<std::uint64_t, 3> numbers{};
    for (std::size_t n = 0; n < 3; ++n) {
      const auto number = digits(parts[n + 1]);
      if (!number) return std::unexpected(number.error());
      numbers[n] = *number;
    }
    if (numbers[1] > numbers[0]) return wrong_usage("--measured: more hits than lookups");
    uses[i].lookups = static_cast<double>(numbers[0]);
    uses[i].hits = static_cast<double>(numbers[1]);
    uses[i].entries = numbers[2];
    return {};
  }
  return wrong_usage(fmt::format("--measured: '{}' is not {}", text, kMeasuredForm));
}

struct Plan {
  store::Estimate estimate;
  bool has_memory = false;
  std::uint64_t memory = 0;
  std::uint64_t needed = 0;  // in memory
  std::uint64_t left = 0;    // for caches
  std::array<store::CacheShare, store::kCaches> shares;
};

constexpr store::Place kPlaces[] = {store::Place::kControlPlane, store::Place::kDataplane,
                                    store::Place::kDisk};

std::string render(const Plan& plan, const Paint& paint) {
  Table table({"WHERE", "WHAT", ">BYTES", "MADE OF"});
  for (const auto place : kPlaces) {
    for (const auto& item : plan.estimate.items) {
      if (item.place != place) continue;
      table.row({std::string(to_string(place)), std::string(item.name), bytes_text(item.bytes),
                 std::string(item.why)});
    }
    table.row(
        {std::string(to_string(place)), "in all", bytes_text(plan.estimate.total(place)), ""});
  }
  std::string text = table.text(paint);
  if (!plan.has_memory) return text;
  if (plan.needed > plan.memory) {
    return text + fmt::format("\n{}: {} of memory are needed, {} are there\n",
                              paint.bad("does not fit"), bytes_text(plan.needed),
                              bytes_text(plan.memory));
  }
  text += fmt::format("\n{} of {} are left for caches, best divided so:\n\n", bytes_text(plan.left),
                      bytes_text(plan.memory));
  Table caches({"CACHE", ">SHARE", ">BYTES", ">ENTRIES", ">HITS"});
  for (std::size_t i = 0; i < store::kCaches; ++i) {
    const auto& share = plan.shares[i];
    caches.row({std::string(to_string(static_cast<store::Cache>(i))),
                fmt::format("{:.1f} %", 100 * share.share), bytes_text(share.bytes),
                with_commas(share.entries),
                share.expected_ratio ? fmt::format("{:.1f} %", 100 * *share.expected_ratio) : "-"});
  }
  return text + caches.text(paint);
}

std::string render_json(const Plan& plan) {
  JsonWriter json;
  json.begin_object().key("items").begin_array();
  for (const auto& item : plan.estimate.items) {
    json.begin_object()
        .member("place", std::string(to_string(item.place)))
        .member("name", item.name)
        .member("bytes", item.bytes)
        .member("made_of", item.why)
        .end_object();
  }
  json.end_array();
  json.member("control_plane_bytes", plan.estimate.total(store::Place::kControlPlane));
  json.member("dataplane_bytes", plan.estimate.total(store::Place::kDataplane));
  json.member("disk_bytes", plan.estimate.total(store::Place::kDisk));
  if (plan.has_memory) {
    json.member("memory_bytes", plan.memory).member("fits", plan.needed <= plan.memory);
    json.member("cache_bytes", plan.left).key("caches").begin_array();
    for (std::size_t i = 0; plan.needed <= plan.memory && i < store::kCaches; ++i) {
      const auto& share = plan.shares[i];
      json.begin_object()
          .member("cache", to_string(static_cast<store::Cache>(i)))
          .member("share", share.share)
          .member("bytes", share.bytes)
          .member("entries", share.entries)
          .key("expected_hit_ratio");
      if (share.expected_ratio) {
        json.value(*share.expected_ratio);
      } else {
        json.null();
      }
      json.end_object();
    }
    json.end_array();
  }
  return json.end_object().take();
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

Outcome store_estimate(Context& c) {
  store::FleetSize fleet{.agents = c.args.number("agents"),
                         .capabilities = c.args.number("capabilities"),
                         .lanes = static_cast<std::uint32_t>(
                             std::min<std::uint64_t>(c.args.number("lanes"), UINT32_MAX)),
                         .base = !c.args.has("no-base")};
  fleet.capabilities_per_agent = static_cast<double>(c.args.number("per-agent"));
  auto estimate = store::estimate(fleet);
  if (!estimate) return std::unexpected(estimate.error());
  Plan plan{.estimate = std::move(*estimate), .has_memory = c.args.has("memory")};
  plan.needed = plan.estimate.total(store::Place::kControlPlane) +
                plan.estimate.total(store::Place::kDataplane);
  // Of ids that nobody has, as many are asked for as the fleet has agents, at the worst.
  Uses uses{{{.keys = fleet.agents}, {.keys = fleet.agents}, {.keys = fleet.capabilities}}};
  for (const auto& text : c.args.all("measured"))
    if (auto taken = take_measured(text, uses); !taken) return std::unexpected(taken.error());
  if (plan.has_memory) {
    plan.memory = parse_bytes(c.args.text("memory")).value_or(0);
    plan.left = plan.memory > plan.needed ? plan.memory - plan.needed : 0;
    plan.shares = store::split_budget(plan.left, uses);
  }
  c.print(c.json ? render_json(plan) : render(plan, c.paint));
  return plan.has_memory && plan.needed > plan.memory ? kFailed : kDone;
}

}  // namespace sluice::cli
