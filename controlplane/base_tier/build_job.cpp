#include "controlplane/base_tier/build_job.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include "controlplane/base_tier/ids_file.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint64_t kBytesPerRoute = sizeof(Id) + 13;  // of both files
// The store has to go on writing on the same disk.
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kSpareBytes = 64 * kMiB;

}  // namespace

BuildJob::BuildJob(store::Fs& fs, BuildPlan plan, std::function<void()> room,
                   std::function<void(Result<store::BaseInfo>)> done)
    : fs_(fs),
      plan_(std::move(plan)),
      room_(std::move(room)),
      done_(std::move(done)),
      limiter_(plan_.bytes_per_second),
      thread_([this] { run(); }) {}

BuildJob::~BuildJob() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  limiter_.interrupt();
  thread_.join();
}

bool BuildJob::give(Piece& piece) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMaxWaiting) {
      refused_one_ = true;
      return false;
    }
    waiting_.push_back(std::move(piece));
  }
  changed_.notify_all();
  return true;
}

bool BuildJob::take(Piece& piece) {
  bool tell = false;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return false;
    piece = std::move(waiting_.front());
    waiting_.pop_front();
    tell = refused_one_ && waiting_.size() <= kMaxWaiting / 2;
    if (tell) refused_one_ = false;
  }
  if (tell) room_();
  return true;
}

void BuildJob::run() {
  auto built = build();
  if (!built) {
    // Whatever of it is there; what is not there is no mistake.
    for (const auto& path : {plan_.ids_path, plan_.ids_path + ".new", plan_.segment_path})
        [[maybe_unused]]
      const auto ok = fs_.remove(path);
  }
  // A gigabyte in small pieces, for fifty million routes: else the allocator keeps most of it.
  ::malloc_trim(0);
  if (!stop_) done_(std::move(built));
}

// Before a byte is written: a base that does not fit must not fill the disk again and again.
Status BuildJob::check_room() const {
  const auto folder = store::parent_dir(plan_.segment_path);
  const auto space = fs_.space(folder);
  if (!space) return std::unexpected(space.error());
  const std::uint64_t needed = plan_.routes * kBytesPerRoute + kSpareBytes;
  if (space->free_bytes >= needed) return {};
  return fail(ErrorCode::kExhausted,
              fmt::format("a base of {} routes needs {} MiB in {}, {} MiB are free", plan_.routes,
                          needed / kMiB, folder, space->free_bytes / kMiB),
              ErrorOrigin::kStore);
}

Result<store::BaseInfo> BuildJob::build() {
  if (auto room = check_room(); !room) return std::unexpected(room.error());
  auto ids = IdsWriter::create(fs_, plan_.ids_path, plan_.options.id);
  if (!ids) return std::unexpected(ids.error());
  store::BaseBuilder builder(plan_.options);
  Piece piece;
  do {
    if (!take(piece)) return fail(ErrorCode::kUnavailable, "cancelled");
    if (auto ok = add(piece, builder, *ids); !ok) return std::unexpected(ok.error());
  } while (!piece.last);
  if (auto ok = ids->finish(); !ok) return std::unexpected(ok.error());
  store::Pace pace(&limiter_, &stop_);
  return builder.finish(fs_, plan_.segment_path, pace);
}

Status BuildJob::add(const Piece& piece, store::BaseBuilder& builder, IdsWriter& ids) {
  for (const auto& [handle, destination] : piece.destinations) {
    if (position_.size() <= handle) position_.resize(handle + std::size_t{1}, kNoIndex);
    const auto position = builder.position(destination);
    if (!position) return std::unexpected(position.error());
    position_[handle] = *position;
  }
  for (const auto& route : piece.routes) {
    const std::uint32_t index = route.kind == ActionKind::kAdjacency ? position_[route.handle] : 0;
    const Action action(route.kind, index, route.udp_port, route.tenant, 0);
    if (auto ok = builder.add(route.id, action); !ok) return ok;
    if (auto ok = ids.add(route.id); !ok) return ok;
  }
  return {};
}

}  // namespace sluice::controlplane
