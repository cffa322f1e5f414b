#include "controlplane/api/store_service.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "controlplane/api/convert.hpp"
#include "controlplane/api/store_progress.hpp"
#include "controlplane/store/file/fs.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

std::string_view form_name(store::Form form) {
  return form == store::Form::kCompact ? "compact" : "exact";
}

std::string_view kind_name(store::Kind kind) {
  switch (kind) {
    case store::Kind::kNumber:
      return "number";
    case store::Kind::kRecord:
      return "record";
    case store::Kind::kSet:
      return "set";
  }
  return "unknown";
}

void fill_tree(const store::TreeMetrics& from, api::StoreTree& to) {
  to.set_form(std::string(form_name(from.form)));
  to.set_lane(from.lane);
  to.set_overlay_entries(from.overlay_entries);
  to.set_overlay_bytes(from.overlay_bytes);
  for (const auto entries : from.segment_entries)
    to.add_segment_entries(entries);
  to.set_segment_bytes(from.segment_bytes);
  to.set_debt_bytes(from.debt_bytes);
  to.set_size_ratio(from.size_ratio);
}

void fill_contents(const store::IndexMetrics& from, api::ShowStoreReply& to) {
  to.set_sequence(from.sequence);
  to.set_generation(from.manifest_generation);
  to.set_format(from.format);
  to.set_lanes(from.lanes);
  to.set_migrating(from.migrating);
  to.set_entries(from.entries);
  to.set_segment_bytes(from.segment_bytes);
  to.set_hot_bytes(from.hot_bytes);
  to.set_log_bytes(from.log_bytes);
  to.set_debt_bytes(from.debt_bytes);
  to.set_damaged_segments(from.damaged_segments);
  to.set_verified_bytes(from.verified_bytes);
  to.set_to_verify_bytes(from.to_verify_bytes);
  for (const auto& tree : from.trees)
    fill_tree(tree, *to.add_trees());
}

void fill_counters(const store::IndexMetrics& from, api::ShowStoreReply& to) {
  to.set_lookups(from.lookups);
  to.set_hits(from.hits);
  to.set_segment_probes(from.segment_probes);
  to.set_filter_false_positives(from.filter_false_positives);
  to.set_writes(from.writes);
  to.set_batches(from.batches);
  to.set_write_failures(from.write_failures);
  to.set_slowed_writes(from.slowed_writes);
  to.set_stopped_writes(from.stopped_writes);
  to.set_stall_ns(from.stall_ns);
  to.set_fsyncs(from.fsyncs);
  to.set_fsync_ns(from.fsync_ns);
  to.set_fsync_max_ns(from.fsync_max_ns);
  to.set_flushes(from.flushes);
  to.set_compactions(from.compactions);
  to.set_compaction_read_bytes(from.compaction_read_bytes);
  to.set_compaction_written_bytes(from.compaction_written_bytes);
}

std::uint64_t segments_of(const store::IndexMetrics& metrics) {
  std::uint64_t segments = 0;
  for (const auto& tree : metrics.trees)
    segments += tree.segment_entries.size();
  return segments;
}

// A backup inside the store would be taken for a part of it, or be removed with it.
Status check_backup_folder(const std::string& folder, const std::string& store) {
  const std::filesystem::path path(folder);
  if (!path.is_absolute()) {
    return fail(ErrorCode::kInvalidArgument, "the folder of a backup must be an absolute path",
                ErrorOrigin::kPeer);
  }
  const auto inside =
      path.lexically_normal().lexically_relative(std::filesystem::path(store).lexically_normal());
  if (!inside.empty() && *inside.begin() != "..") {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} lies in the store itself; a backup needs a place of its own", folder),
        ErrorOrigin::kPeer);
  }
  return {};
}

}  // namespace

grpc::Status StoreService::Show(grpc::ServerContext*, const api::ShowStoreRequest*,
                                api::ShowStoreReply* reply) {
  if (subsystems_.index == nullptr) return no_store();
  StoreInfo info;
  StoredTenants tenants;
  control_.run([&] {
    info = subsystems_.runtime.store_info();
    tenants = subsystems_.runtime.stored_tenants();
  });
  const auto metrics = subsystems_.index->metrics();
  reply->set_directory(info.directory);
  reply->set_error(info.error.empty() ? metrics.failure : info.error);
  reply->set_failing_ns(info.failing_ns);
  reply->set_waiting(info.waiting);
  if (const auto space = store::make_posix_fs()->space(info.directory)) {
    reply->set_disk_free_bytes(space->free_bytes);
    reply->set_disk_total_bytes(space->total_bytes);
  }
  fill_contents(metrics, *reply);
  fill_counters(metrics, *reply);
  for (const auto& table : subsystems_.index->tables()) {
    auto* to = reply->add_tables();
    to->set_id(table.id);
    to->set_name(table.name);
    to->set_kind(std::string(kind_name(table.kind)));
  }
  for (const auto& [tenant, stored] : tenants) {
    if (!stored.away) continue;
    auto* to = reply->add_away();
    to->set_tenant(tenant);
    to->set_name(stored.name);
  }
  return grpc::Status::OK;
}

grpc::Status StoreService::Verify(grpc::ServerContext* context, const api::VerifyStoreRequest*,
                                  grpc::ServerWriter<api::VerifyStoreReply>* writer) {
  if (subsystems_.index == nullptr) return no_store();
  const auto report =
      subsystems_.index->maintenance().verify(progress_to(*context, *writer, streams_, stopping_));
  if (!report) return to_grpc(report.error());
  api::VerifyStoreReply reply;
  auto& to = *reply.mutable_report();
  to.set_files(report->files);
  to.set_bytes(report->bytes);
  for (const auto& damage : report->damaged) {
    auto* out = to.add_damaged();
    out->set_file(damage.file);
    out->set_what(damage.what);
  }
  streams_.write(*context, *writer, reply);
  return grpc::Status::OK;
}

grpc::Status StoreService::Backup(grpc::ServerContext* context,
                                  const api::BackupStoreRequest* request,
                                  grpc::ServerWriter<api::BackupStoreReply>* writer) {
  if (subsystems_.index == nullptr) return no_store();
  const auto info = control_.run([&] { return subsystems_.runtime.store_info(); });
  if (auto good = check_backup_folder(request->directory(), info.directory); !good) {
    return to_grpc(good.error());
  }
  const auto report = subsystems_.index->maintenance().backup(
      request->directory(), progress_to(*context, *writer, streams_, stopping_));
  if (!report) return to_grpc(report.error());
  api::BackupStoreReply reply;
  auto& to = *reply.mutable_report();
  to.set_directory(request->directory());
  to.set_files(report->files);
  to.set_bytes(report->bytes);
  to.set_sequence(report->sequence);
  streams_.write(*context, *writer, reply);
  return grpc::Status::OK;
}

grpc::Status StoreService::Compact(grpc::ServerContext* context, const api::CompactStoreRequest*,
                                   grpc::ServerWriter<api::CompactStoreReply>* writer) {
  if (subsystems_.index == nullptr) return no_store();
  const auto before = subsystems_.index->metrics();
  const auto done =
      subsystems_.index->maintenance().compact(progress_to(*context, *writer, streams_, stopping_));
  if (!done) return to_grpc(done.error());
  const auto after = subsystems_.index->metrics();
  api::CompactStoreReply reply;
  auto& to = *reply.mutable_report();
  to.set_segments_before(segments_of(before));
  to.set_segments(segments_of(after));
  to.set_bytes_before(before.segment_bytes);
  to.set_bytes(after.segment_bytes);
  streams_.write(*context, *writer, reply);
  return grpc::Status::OK;
}

grpc::Status StoreService::Migrate(grpc::ServerContext* context,
                                   const api::MigrateStoreRequest* request,
                                   grpc::ServerWriter<api::MigrateStoreReply>* writer) {
  if (subsystems_.index == nullptr) return no_store();
  store::MigrateTarget target;
  if (request->lanes() != 0) target.lanes = request->lanes();
  if (request->format() != 0) target.format = request->format();
  const auto before = subsystems_.index->metrics();
  const auto done = subsystems_.index->maintenance().migrate(
      target, progress_to(*context, *writer, streams_, stopping_));
  if (!done) return to_grpc(done.error());
  const auto after = subsystems_.index->metrics();
  api::MigrateStoreReply reply;
  auto& to = *reply.mutable_report();
  to.set_lanes_before(before.lanes);
  to.set_lanes(after.lanes);
  to.set_format_before(before.format);
  to.set_format(after.format);
  streams_.write(*context, *writer, reply);
  return grpc::Status::OK;
}

}  // namespace sluice::controlplane
