#include "controlplane/base_tier/base_manager.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "controlplane/base_tier/file_image.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint32_t kPlacesAtOnce = 16'384;
constexpr std::uint64_t kAfterFailureNs = 60 * kNsPerSecond;
// Of the dataplane, to an offer: it reads the file, from a disk that may be slow and busy.
constexpr std::uint64_t kAnswerNs = 30 * kNsPerSecond;
constexpr std::uint64_t kLeastBytesPerSecond = std::uint64_t{8} << 20;
constexpr std::chrono::milliseconds kOfferAgain{5};

}  // namespace

std::string_view to_string(BaseManagerInfo::State state) noexcept {
  constexpr std::string_view kNames[] = {"off",      "idle",     "adopting",
                                         "building", "offering", "pruning"};
  return kNames[static_cast<std::size_t>(state)];
}

BaseManager::BaseManager(Programmer& programmer, BaseLink& link, store::Fs& fs, BaseLoop loop,
                         BaseManagerOptions options)
    : programmer_(programmer),
      routes_(programmer.base()),
      link_(link),
      fs_(fs),
      loop_(std::move(loop)),
      options_(std::move(options)),
      hasher_(IdHasher::create(options_.key)) {}

BaseManager::~BaseManager() {
  stop();
}

void BaseManager::stop() {
  stopping_ = true;
  ++run_;
  job_.reset();
  if (checker_.joinable()) checker_.join();
}

void BaseManager::set_policy(std::uint64_t delta_max, std::uint64_t interval_ns) {
  options_.delta_max = delta_max;
  options_.interval_ns = interval_ns;
}

// ---- building ----------------------------------------------------------------------------------

std::uint64_t BaseManager::table_routes() const {
  const std::uint64_t there = link_.table_routes();
  return there == 0 ? options_.table_routes : std::min(there, options_.table_routes);
}

void BaseManager::compare_tables() {
  const std::uint64_t there = table_routes();
  if (there == options_.table_routes || there == told_table_) return;
  told_table_ = there;
  log(fmt::format(
          "event=table_is_smaller routes={} configured={} remedy=\"restart sluice-dataplane, "
          "which has read dataplane.routes when it was started\"",
          there, options_.table_routes),
      true);
}

bool BaseManager::table_is_short() const {
  const auto counts = routes_.counts();
  return options_.enabled && counts.uncovered + counts.deleted > table_routes();
}

bool BaseManager::settled() const {
  if (step_ == Step::kNew || step_ == Step::kAdopting) return false;
  return !table_is_short() || loop_.monotonic_ns() < retry_ns_;  // it failed: do what is left
}

bool BaseManager::is_due() const {
  if (!options_.enabled || step_ != Step::kIdle) return false;
  const auto counts = routes_.counts();
  const bool wanted = wanted_ && routes_.current() != nullptr;
  if (!wanted && counts.uncovered + counts.deleted <= most_different()) return false;
  // The interval spares the disk; routes that find no place do not wait for it, nor deletions that
  // find none, whose agents would be served on.
  const auto now = loop_.monotonic_ns();
  return now >= retry_ns_ && (now >= rested_ns_ || table_is_short());
}

// Half of the dataplane's table is left for what comes while a base is built and loaded.
std::uint64_t BaseManager::most_different() const {
  const std::uint64_t entries = routes_.current() ? routes_.current()->view.entries() : 0;
  const std::uint64_t table = table_routes();
  const std::uint64_t others = std::min(routes_.counts().others, table);
  return std::min(std::max(options_.delta_max, entries / 10), (table - others) / 2);
}

void BaseManager::tick() {
  if (answer_by_ns_ != 0 && loop_.monotonic_ns() > answer_by_ns_) {
    answer_by_ns_ = 0;
    log("event=base_unanswered", true);
    if (routes_.waiting()) routes_.refused();
  }
  if (step_ == Step::kBuilt) return hand_over();
  compare_tables();
  const LinkState state = link_.state();
  // Nothing of what was deleted is in the file.
  const auto counts = routes_.counts();
  if (step_ == Step::kIdle && counts.uncovered + counts.deleted == 0) wanted_ = false;
  // While the state is replayed the routes do not stand still, and the disk may be busy.
  const bool quiet = state == LinkState::kReady || state == LinkState::kDisconnected;
  if (quiet && is_due()) begin_build();
}

void BaseManager::begin_build() {
  step_ = Step::kBuilding;
  wanted_ = false;
  const std::uint64_t run = ++run_;
  build_began_ns_ = loop_.monotonic_ns();
  const link::SegmentId segment = random_bytes<16>();
  making_ = segment;
  routes_.begin_snapshot();
  told_.clear();
  piece_.reset();
  const auto counts = routes_.counts();
  BuildPlan plan{.routes = counts.routes,
                 .segment_path = path_of(segment, kSegment),
                 .ids_path = path_of(segment, kIds),
                 .options = {.key = options_.key,
                             .id = segment,
                             .created_unix_s = realtime_ns() / kNsPerSecond,
                             .threads = options_.threads},
                 // Routes that find no place wait for it: nothing else is as urgent.
                 .bytes_per_second = table_is_short() ? 0 : options_.bytes_per_second};
  job_ = std::make_unique<BuildJob>(
      fs_, std::move(plan), [this, run] { loop_.post([this, run] { feed_build(run); }); },
      [this, run](Result<store::BaseInfo> built) {
        loop_.post([this, run, built = std::move(built)] { end_build(run, built); });
      });
  log(fmt::format("event=base_build_begun routes={} uncovered={} deleted={}", counts.routes,
                  counts.uncovered, counts.deleted));
  feed_build(run);
}

void BaseManager::fill(BuildJob::Piece& piece) {
  piece.last = !routes_.snapshot(kPlacesAtOnce, piece.routes);
  for (const auto& route : piece.routes) {
    if (route.kind != ActionKind::kAdjacency) continue;
    const AdjacencyKey& key = routes_.adjacency(route.handle);
    if (told_.size() <= route.handle) told_.resize(route.handle + std::size_t{1});
    if (told_[route.handle] == key) continue;
    told_[route.handle] = key;  // a handle may have become another's since
    piece.destinations.emplace_back(route.handle, destination_of(key));
  }
}

void BaseManager::feed_build(std::uint64_t run) {
  if (run != run_ || step_ != Step::kBuilding || !job_) return;
  if (!piece_) {
    piece_ = std::make_unique<BuildJob::Piece>();
    fill(*piece_);
  }
  if (!job_->give(*piece_)) return;  // it asks for more
  const bool last = piece_->last;
  piece_.reset();
  if (!last) loop_.post([this, run] { feed_build(run); });
}

void BaseManager::end_build(std::uint64_t run, Result<store::BaseInfo> built) {
  if (run != run_) return;
  job_.reset();
  piece_.reset();
  if (!built) return build_failed(built.error());
  auto image = FileImage::open(fs_, path_of(built->id, kSegment), ++number_);
  if (!image) return build_failed(image.error());
  info_.last_build_ns = loop_.monotonic_ns() - build_began_ns_;
  rested_ns_ = loop_.monotonic_ns() + options_.interval_ns;
  ++info_.built;
  log(fmt::format("event=base_built entries={} bytes={} destinations={} milliseconds={}",
                  built->entries, built->bytes, built->destinations,
                  info_.last_build_ns / kNsPerMs));
  built_ = std::move(*image);
  step_ = Step::kBuilt;
  answer_by_ns_ = 0;
  hand_over();
}

void BaseManager::build_failed(const Error& error) {
  ++info_.failed;
  info_.last_error = error.message();
  retry_ns_ = loop_.monotonic_ns() + kAfterFailureNs;
  log(fmt::format("event=base_build_failed error=\"{}\"", error.message()), true);
  job_.reset();
  piece_.reset();
  built_.reset();
  making_.reset();
  routes_.abort();
  step_ = Step::kIdle;
}

void BaseManager::install_built() {
  routes_.install(std::exchange(built_, nullptr));
  making_.reset();
}

// A dataplane that is there has to load it first; one that comes later gets it with its first
// replay.
void BaseManager::hand_over() {
  switch (link_.state()) {
    case LinkState::kDisconnected:
      install_built();
      step_ = Step::kIdle;
      return tidy_files();
    case LinkState::kReady:
      if (answer_by_ns_ == 0) offer(built_);
      return;
    default:
      return;
  }
}

// ---- the dataplane -----------------------------------------------------------------------------

void BaseManager::offer(const std::shared_ptr<const BaseImage>& image) {
  const auto& file = static_cast<const FileImage&>(*image);  // all that we take into use are
  const auto ok = link_.offer(image->id(), file.descriptor.get());
  if (ok) {
    answer_by_ns_ = loop_.monotonic_ns() + kAnswerNs +
                    image->view.header().total_bytes / kLeastBytesPerSecond * kNsPerSecond;
    return;
  }
  // One that was built is offered again with a later tick.
  if (ok.error().code() == ErrorCode::kExhausted) return image == built_ ? void() : offer_soon();
  log(fmt::format("event=base_offer_failed error=\"{}\"", ok.error().message()), true);
  if (image == built_) return build_failed(ok.error());
  routes_.refused();
}

// To a replay that waits for it.
void BaseManager::offer_soon() {
  loop_.after(kOfferAgain, [this, run = run_, link = links_] {
    if (run == run_ && link == links_ && routes_.waiting()) offer(routes_.current());
  });
}

void BaseManager::on_state(LinkState state) {
  ++links_;
  answer_by_ns_ = 0;
  if (state == LinkState::kDisconnected && step_ == Step::kPruning) step_ = Step::kIdle;
  if (state == LinkState::kSyncing && routes_.waiting()) offer(routes_.current());
}

void BaseManager::on_event(const link::Event& event) {
  switch (event.kind) {
    case link::EventKind::kBaseLoaded: {
      const auto& loaded = event.body.base_loaded;
      const auto& asked = routes_.waiting() ? routes_.current() : built_;
      if (!asked || asked->id() != loaded.segment) return;
      answer_by_ns_ = 0;
      if (routes_.waiting()) return routes_.loaded(loaded.segment);
      install_built();
      step_ = Step::kPruning;
      return;
    }
    case link::EventKind::kBaseRefused:
      return on_refused(event.body.base_refused);
    case link::EventKind::kBaseDone: {
      const auto& done = event.body.base_done;
      if (!routes_.current() || routes_.current()->id() != done.segment) return;
      log(fmt::format("event=base_in_use entries={} pruned={} delta={}",
                      routes_.current()->view.entries(), done.pruned, done.delta));
      if (step_ == Step::kPruning) step_ = Step::kIdle;
      return tidy_files();
    }
    case link::EventKind::kCommandRefused: {
      const auto kind = event.body.refused.kind;
      if (kind != link::CommandKind::kBaseBegin && kind != link::CommandKind::kBaseCommit) return;
      if (step_ == Step::kPruning) step_ = Step::kIdle;
      ++info_.refused;
      return routes_.refused();
    }
    default:
      return;
  }
}

void BaseManager::on_refused(const link::BaseRefused& refused) {
  const auto& current = routes_.current();
  const bool replayed = routes_.waiting() && current && current->id() == refused.segment;
  const bool fresh = built_ && built_->id() == refused.segment;
  if (!replayed && !fresh) return;
  // The key is on its way over the other channel.
  if (refused.reason == link::BaseRefusal::kNoHashKey) return offer_soon();
  answer_by_ns_ = 0;
  ++info_.refused;
  const std::string why = fmt::format("the dataplane refused it: {} (offset {})",
                                      link::info(refused.reason).text, refused.offset);
  log(fmt::format("event=base_refused reason={} offset={}", link::info(refused.reason).label,
                  refused.offset),
      true);
  info_.last_error = why;
  if (fresh) return build_failed(Error(ErrorCode::kUnavailable, why, ErrorOrigin::kDataplane));
  routes_.refused();
}

BaseManagerInfo BaseManager::info() const {
  using State = BaseManagerInfo::State;
  BaseManagerInfo info = info_;
  constexpr State kStates[] = {State::kIdle,     State::kAdopting, State::kIdle,
                               State::kBuilding, State::kOffering, State::kPruning};
  info.state = options_.enabled ? kStates[static_cast<std::size_t>(step_)] : State::kOff;
  const auto counts = routes_.counts();
  info.uncovered = counts.uncovered;
  info.deleted = counts.deleted;
  if (const auto& base = routes_.current()) {
    info.entries = base->view.entries();
    info.bytes = base->view.header().total_bytes;
    info.created_unix_s = base->view.header().created_unix_s;
  }
  return info;
}

}  // namespace sluice::controlplane
