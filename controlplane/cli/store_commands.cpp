// store status, verify, backup, compact, migrate: what the control plane does with its store
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/store_stream.hpp"

namespace sluice::cli {
namespace {

std::string files_text(std::uint64_t files) {
  return files == 1 ? "1 file" : with_commas(files) + " files";
}

std::string health_text(const api::ShowStoreReply& r, const Paint& paint) {
  if (!r.error().empty()) {
    return paint.bad("failing") +
           fmt::format(" for {}: {}", duration_text(r.failing_ns()), printable(r.error()));
  }
  if (r.damaged_segments() != 0) {
    return paint.bad("damaged") + fmt::format(": {} segment{}; 'sluice store verify' names them",
                                              with_commas(r.damaged_segments()),
                                              r.damaged_segments() == 1 ? "" : "s");
  }
  return paint.good("good");
}

std::string checked_text(const api::ShowStoreReply& r) {
  return r.verified_bytes() >= r.to_verify_bytes()
             ? "all, since the start"
             : percent_text(r.verified_bytes(), r.to_verify_bytes()) + " since the start";
}

// Of tenants that the configuration has not.
std::string away_text(const api::ShowStoreReply& r) {
  constexpr int kMostNamed = 8;
  std::string text;
  for (int i = 0; i < std::min(r.away_size(), kMostNamed); ++i) {
    const auto& tenant = r.away(i);
    text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", tenant.tenant(),
                        tenant.name().empty() ? "-" : printable(tenant.name()));
  }
  if (r.away_size() > kMostNamed) text += fmt::format(", {} more", r.away_size() - kMostNamed);
  return text + "; not in the configuration";
}

void add_work(const api::ShowStoreReply& r, Fields& fields) {
  fields.add("lookups", fmt::format("{}, {} found", with_commas(r.lookups()),
                                    percent_text(r.hits(), r.lookups())));
  if (r.lookups() != 0) {
    fields.add("probes", fmt::format("{:.2f} segments a lookup, {} passed a filter in vain",
                                     static_cast<double>(r.segment_probes()) /
                                         static_cast<double>(r.lookups()),
                                     with_commas(r.filter_false_positives())));
  }
  fields.add("writes", fmt::format("{} in {} batches, {} failed", with_commas(r.writes()),
                                   with_commas(r.batches()), with_commas(r.write_failures())));
  fields.add("stalls",
             fmt::format("{} slowed, {} stopped, {} in all", with_commas(r.slowed_writes()),
                         with_commas(r.stopped_writes()), duration_text(r.stall_ns())));
  if (r.fsyncs() != 0) {
    fields.add("fsyncs", fmt::format("{}, {} on average, {} at most", with_commas(r.fsyncs()),
                                     duration_text(r.fsync_ns() / r.fsyncs()),
                                     duration_text(r.fsync_max_ns())));
  }
  fields.add(
      "compaction",
      fmt::format("{} flushes, {} merges; {} read, {} written, {} to do", with_commas(r.flushes()),
                  with_commas(r.compactions()), bytes_text(r.compaction_read_bytes()),
                  bytes_text(r.compaction_written_bytes()), bytes_text(r.debt_bytes())));
}

std::string tree_table(const api::ShowStoreReply& r, const Paint& paint) {
  Table table({"FORM", ">LANE", ">IN MEMORY", "SEGMENTS, NEWEST FIRST", ">BYTES", ">TO DO"});
  for (const auto& tree : r.trees()) {
    if (tree.overlay_entries() == 0 && tree.segment_entries().empty()) continue;
    std::string segments;
    for (const auto entries : tree.segment_entries())
      segments.append(segments.empty() ? "" : " ").append(with_commas(entries));
    table.row({printable(tree.form()), std::to_string(tree.lane()),
               with_commas(tree.overlay_entries()), segments.empty() ? "-" : segments,
               bytes_text(tree.segment_bytes()), bytes_text(tree.debt_bytes())});
  }
  return table.empty() ? "" : fmt::format("\n{}", table.text(paint));
}

std::string render_status(const api::ShowStoreReply& r, const Paint& paint) {
  Fields fields;
  fields.add("directory", printable(r.directory()));
  fields.add("state", health_text(r, paint));
  fields.add("newest write", fmt::format("{}, {} not durable yet", with_commas(r.sequence()),
                                         with_commas(r.waiting())));
  std::string tables;
  for (const auto& table : r.tables()) {
    tables += fmt::format("{}{} ({})", tables.empty() ? "" : ", ", printable(table.name()),
                          printable(table.kind()));
  }
  fields.add("tables", tables.empty() ? "none" : tables);
  if (!r.away().empty()) fields.add("tenants away", paint.warn(away_text(r)));
  fields.add("layout", fmt::format("{} lanes, format {}{}", r.lanes(), r.format(),
                                   r.migrating() ? paint.warn(", being migrated") : ""));
  fields.add("entries", with_commas(r.entries()));
  fields.add("segments", fmt::format("{}, of them {} for lookups", bytes_text(r.segment_bytes()),
                                     bytes_text(r.hot_bytes())));
  fields.add("log", bytes_text(r.log_bytes()));
  fields.add("disk", fmt::format("{} free of {}", bytes_text(r.disk_free_bytes()),
                                 bytes_text(r.disk_total_bytes())));
  fields.add("checked", checked_text(r));
  add_work(r, fields);
  return fields.text(paint) + tree_table(r, paint);
}

std::string render_verify(const api::StoreVerified& r, const Paint& paint) {
  std::string text;
  for (const auto& damage : r.damaged())
    text += fmt::format("{}: {}\n", printable(damage.file()), printable(damage.what()));
  const std::string all =
      fmt::format("{}, {} checked: ", files_text(r.files()), bytes_text(r.bytes()));
  if (r.damaged().empty()) return text + all + paint.good("good") + "\n";
  return text + all + paint.bad(fmt::format("{} damaged", r.damaged_size())) +
         "; what is in them is not served; restore a backup, or see 'sluice store salvage "
         "--help'\n";
}

std::string render_backup(const api::StoreCopied& r, const Paint&) {
  return fmt::format("{}: {}, {}, everything up to write {}\n", printable(r.directory()),
                     files_text(r.files()), bytes_text(r.bytes()), with_commas(r.sequence()));
}

std::string render_compact(const api::StoreCompacted& r, const Paint&) {
  return fmt::format("segments: {} before, {} now; {} before, {} now\n",
                     with_commas(r.segments_before()), with_commas(r.segments()),
                     bytes_text(r.bytes_before()), bytes_text(r.bytes()));
}

std::string render_migrate(const api::StoreMigrated& r, const Paint&) {
  return fmt::format("lanes: {} before, {} now; format: {} before, {} now\n", r.lanes_before(),
                     r.lanes(), r.format_before(), r.format());
}

}  // namespace

Outcome store_status(Context& c) {
  return show(c, c.client.call(api::ShowStoreRequest{}), render_status);
}

Outcome store_verify(Context& c) {
  if (c.args.has("directory")) return store_verify_folder(c);
  const auto report =
      follow<api::VerifyStoreReply>(c, api::VerifyStoreRequest{}, {"verifying"}, render_verify);
  if (!report) return std::unexpected(report.error());
  return report->damaged().empty() ? kDone : kFailed;
}

Outcome store_backup(Context& c) {
  api::BackupStoreRequest request;
  // The control plane has another working directory.
  std::error_code error;
  const auto folder = std::filesystem::absolute(c.args.text("FOLDER"), error);
  if (error) return wrong_usage(fmt::format("{}: {}", c.args.text("FOLDER"), error.message()));
  request.set_directory(folder.lexically_normal().string());
  return outcome_of(follow<api::BackupStoreReply>(c, request, {"copying"}, render_backup));
}

Outcome store_compact(Context& c) {
  return outcome_of(follow<api::CompactStoreReply>(c, api::CompactStoreRequest{},
                                                   {"compacting", "parts"}, render_compact));
}

Outcome store_migrate(Context& c) {
  api::MigrateStoreRequest request;
  if (!c.args.has("lanes") && !c.args.has("format")) {
    return wrong_usage("nothing to change: give --lanes, --format or both");
  }
  if (c.args.has("lanes")) {
    if (c.args.number("lanes") > 64) return wrong_usage("--lanes: 1 to 64");
    request.set_lanes(static_cast<std::uint32_t>(c.args.number("lanes")));
  }
  if (c.args.has("format")) {
    if (c.args.number("format") > UINT32_MAX) return wrong_usage("--format: there is no such one");
    request.set_format(static_cast<std::uint32_t>(c.args.number("format")));
  }
  return outcome_of(
      follow<api::MigrateStoreReply>(c, request, {"migrating", "entries"}, render_migrate));
}

}  // namespace sluice::cli
