#include "controlplane/app/keeper.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <asio/post.hpp>
#include <chrono>

#include "config/process/log.hpp"
#include "controlplane/store/manifest.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

store::IndexOptions options_of(const config::Store& config) {
  store::IndexOptions options;
  options.directory = config.directory;
  options.tables = route_tables();
  options.lanes = config.lanes;
  options.fsync = static_cast<store::Fsync>(config.fsync);
  options.fsync_interval = std::chrono::milliseconds(config.fsync_interval_ms);
  options.overlay_bytes = config.overlay_mb * kMiB;
  options.workers = config.workers;
  options.bytes_per_second = config.rate_mb * kMiB;
  options.serves_lookups = false;  // the registry answers; the store is read at start, and exported
  return options;
}
static_assert(static_cast<int>(store::Fsync::kEach) == static_cast<int>(config::StoreSync::kEach) &&
              static_cast<int>(store::Fsync::kInterval) ==
                  static_cast<int>(config::StoreSync::kInterval) &&
              static_cast<int>(store::Fsync::kNever) ==
                  static_cast<int>(config::StoreSync::kNever));

// What an operator can do about a store that does not open.
std::unexpected<Error> with_remedy(Error error, const std::string& folder) {
  std::string remedy;
  switch (error.code()) {
    case ErrorCode::kCorrupt:
      remedy = fmt::format(
          "; restore a backup with `sluice store restore`, or make a new store of what can be read "
          "with `sluice store salvage`, or move {} away: the router then knows only its "
          "configuration, and agents register again",
          folder);
      break;
    case ErrorCode::kUnavailable:
    case ErrorCode::kAlreadyExists:
      remedy = "; stop the other one, or give this one a folder of its own (store.directory)";
      break;
    case ErrorCode::kExhausted:
      remedy = store::is_out_of_descriptors(error)
                   ? "; or find out what holds so many"
                   : fmt::format("; make room on the file system of {}", folder);
      break;
    case ErrorCode::kPermissionDenied:
      if (store::may_work_later(error))
        remedy = fmt::format("; mount the file system of {} for writing", folder);
      break;
    default:
      break;
  }
  return std::unexpected(
      Error(error.code(), "store: " + error.message() + remedy, error.origin(), error.retryable()));
}

std::string_view remedy_of(const Error& error) {
  if (store::is_out_of_descriptors(error))
    return "raise the limit of open files; it goes on by itself";
  if (error.code() == ErrorCode::kUnavailable)
    return "put the folder back; it goes on by itself. Or restart sluice-controlplane to go on "
           "with what is there";
  if (error.retryable()) return "make room or mend the disk; it goes on by itself";
  return "mend the disk; when it does not go on by itself, restart sluice-controlplane";
}

void tell(const Status& status) {
  if (status) {
    spdlog::info("event=store_works");
    return;
  }
  const Error& error = status.error();
  spdlog::error(
      "event=store_failed error={} effect=\"new agents are refused, known ones go on; what was "
      "confirmed is safe\" remedy=\"{}\"",
      quoted_value(error.message()), remedy_of(error));
}

}  // namespace

Keeper::Keeper(std::unique_ptr<store::Fs> fs, std::unique_ptr<store::Index> index,
               std::string folder, bool was_there)
    : fs_(std::move(fs)),
      index_(std::move(index)),
      folder_(std::move(folder)),
      was_there_(was_there),
      hash_key_(index_->hash_key()) {}

Keeper::~Keeper() {
  close();
}

Result<std::unique_ptr<Keeper>> Keeper::open(const config::Config& config) {
  const std::string& folder = config.store.directory;
  auto fs = store::make_posix_fs();
  auto options = options_of(config.store);
  const auto manifest = fs->exists(fmt::format("{}/{}", folder, store::kManifestName));
  const bool was_there = manifest.value_or(true);
  // A store has its own key; a new one gets that of the state folder, which the dataplane may have
  // already.
  if (!was_there) {
    auto key = load_or_make_hash_key(config.router.state_dir);
    if (!key) return fail(std::move(key.error()), "key of the route table");
    options.key = HashKey{*key};
  }
  const std::uint64_t began = monotonic_ns();
  auto index = store::Index::open(*fs, std::move(options));
  if (!index) return with_remedy(std::move(index.error()), folder);
  spdlog::info("event=store_open directory={} new={} milliseconds={}", folder, !was_there,
               (monotonic_ns() - began) / kNsPerMs);
  return std::unique_ptr<Keeper>(new Keeper(std::move(fs), std::move(*index), folder, was_there));
}

void Keeper::attach(Registry& registry, Forwarding& forwarding, const Tenants& tenants,
                    asio::io_context& io) {
  const auto post = [&io](std::function<void()> work) { asio::post(io, std::move(work)); };
  const auto clock = [] { return Time{monotonic_ns(), realtime_ns()}; };
  journal_ = std::make_unique<Journal>(
      registry, forwarding,
      [this](store::WriteBatch batch, std::function<void(Status)> done) {
        index_->write_async(std::move(batch), std::move(done));
      },
      post, clock);
  journal_->on_state(tell);
  watch_index();
  registry.set_journal(journal_.get());
  tenants_ = std::make_unique<TenantKeeper>(
      registry, forwarding, tenants, *journal_, [this] { return index_->snapshot(); }, post, clock);
}

Status Keeper::load_tenants() {
  auto loaded = tenants_->load();
  if (!loaded) return with_remedy(std::move(loaded.error()), folder_);
  return {};
}

Status Keeper::restore(Registry& registry, Forwarding& forwarding, const Tenants& tenants,
                       Time now) {
  const std::uint64_t began = monotonic_ns();
  Restorer restorer(registry, forwarding, tenants, tenants_->stored(), *journal_, now);
  auto ok = restore_all(index_->snapshot(), restorer);
  if (!ok) return with_remedy(std::move(ok.error()), folder_);
  restored_ = restorer.result();
  tenants_->begin(restored_);
  forwarding.set_journal(journal_.get());  // now: what was restored needs no writing
  if (was_there_) {
    spdlog::info(
        "event=restored agents={} leases={} peers={} departed={} outdated={} expired={} "
        "milliseconds={}",
        restored_.agents, restored_.leases, restored_.peers, restored_.departed, restored_.outdated,
        restored_.expired, (monotonic_ns() - began) / kNsPerMs);
  }
  if (restored_.damaged + restored_.no_room > 0) {
    spdlog::error(
        "event=not_restored damaged={} no_room={} remedy=\"no_room: raise store.agents; damaged: "
        "see `sluice store verify`\"",
        restored_.damaged, restored_.no_room);
  }
  return {};
}

void Keeper::tick() {
  journal_->tick();
  tenants_->tick();
  // A folder that was moved away is noticed by the index alone while there is nothing to write.
  if (journal_->info().error.empty() && !index_->health()) watch_index();
}

void Keeper::watch_index() {
  journal_->watch([this] { return index_->health(); });
}

StoreInfo Keeper::info() const {
  const JournalInfo journal = journal_->info();
  StoreInfo info;
  info.directory = folder_;
  info.error = journal.error;
  if (journal.failing_since_ns != 0) info.failing_ns = monotonic_ns() - journal.failing_since_ns;
  info.waiting = journal.waiting;
  info.written = journal.written;
  info.failures = journal.failures;
  info.restored_agents = restored_.agents;
  info.not_restored = restored_.damaged + restored_.no_room;
  return info;
}

void Keeper::close() {
  if (!index_) return;
  if (journal_) journal_->finish();
  index_.reset();
}

}  // namespace sluice::controlplane
