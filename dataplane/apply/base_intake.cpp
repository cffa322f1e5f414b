#include "dataplane/apply/base_intake.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {

namespace {

using link::BaseRefusal;
using link::RefusedReason;

std::string text_of(const link::SegmentId& segment) {
  std::string text;
  for (const std::uint8_t byte : segment)
    text += fmt::format("{:02x}", byte);
  return text;
}

void put(std::uint64_t& field, std::uint64_t value) {
  std::atomic_ref(field).store(value, std::memory_order_relaxed);
}

}  // namespace

BaseIntake::BaseIntake(Tables& tables, link::StatusSegment& status, EventSender& events)
    : tables_(tables), status_(status), events_(events), loader_(tables.limits().numa_node) {}

BaseIntake::~BaseIntake() = default;

// Only what fits the key: a new key drops the base in force, but not what waits.
std::shared_ptr<LoadedBase> BaseIntake::find(const link::SegmentId& segment) const {
  if (const BaseTable* base = tables_.base(); base != nullptr && base->loaded()->id() == segment)
    return base->loaded();
  if (ready_ && ready_->id() == segment && ready_->matches_key(tables_.route_table()->hasher()))
    return ready_;
  return nullptr;
}

void BaseIntake::offer(const link::SegmentId& segment, UniqueFd file) {
  if (const auto present = find(segment)) return answer_loaded(*present, 0);
  // The answer is on its way.
  if (loader_.busy() == segment || unconfirmed_segment() == segment) return;
  for (const auto& other : {loader_.busy(), unconfirmed_segment()}) {
    if (other) refuse(*other, {BaseRefusal::kSuperseded, 0, "another segment was offered"});
  }
  release_waiting();
  loader_.start(segment, std::move(file));
  put(status_.tables.base_loading, 1);
}

bool BaseIntake::turn(unsigned prune_step) {
  if (auto outcome = loader_.poll()) {
    put(status_.tables.base_loading, 0);
    unconfirmed_ = std::move(outcome);
  }
  // Whether it fits can be told when there is a key; the socket may be ahead of the ring.
  if (unconfirmed_ && (!unconfirmed_->loaded || tables_.route_table() != nullptr)) {
    BaseLoader::Outcome outcome = std::move(*unconfirmed_);
    unconfirmed_.reset();
    take(std::move(outcome));
  }
  if (!tables_.prune(prune_step, pruned_)) return true;
  if (!announce_) return false;
  announce_ = false;
  const BaseTable* base = tables_.base();
  if (base == nullptr) return false;
  link::Event event{};
  event.kind = link::EventKind::kBaseDone;
  event.body.base_done = {
      .segment = base->loaded()->id(), .pruned = pruned_, .delta = tables_.route_table()->size()};
  events_.send_surely(event);
  spdlog::info("event=base_done segment={} pruned={} delta={}", text_of(base->loaded()->id()),
               pruned_, tables_.route_table()->size());
  return false;
}

void BaseIntake::take(BaseLoader::Outcome outcome) {
  if (!outcome.loaded) return refuse(outcome.segment, outcome.loaded.error());
  auto loaded = std::make_shared<LoadedBase>(std::move(*outcome.loaded));
  if (!loaded->matches_key(tables_.route_table()->hasher())) {
    tables_.discard(std::move(loaded));
    return refuse(outcome.segment, {BaseRefusal::kOtherKey, offsetof(index::BaseHeader, key_check),
                                    "built under another hash key"});
  }
  ready_ = std::move(loaded);
  spdlog::info("event=base_loaded segment={} entries={} mib={} huge={} milliseconds={}",
               text_of(outcome.segment), ready_->view.entries(),
               ready_->memory.mapped_bytes() >> 20, ready_->memory.huge() ? 1 : 0,
               outcome.took_ns / kNsPerMs);
  answer_loaded(*ready_, outcome.took_ns);
}

void BaseIntake::answer_loaded(const LoadedBase& base, std::uint64_t took_ns) {
  link::Event event{};
  event.kind = link::EventKind::kBaseLoaded;
  event.body.base_loaded = {.segment = base.id(),
                            .bytes = base.memory.mapped_bytes(),
                            .load_ns = took_ns,
                            .huge = static_cast<std::uint8_t>(base.memory.huge() ? 1 : 0)};
  events_.send_surely(event);
}

void BaseIntake::refuse(const link::SegmentId& segment, const BaseLoadFailure& failure) {
  link::add(status_.tables.base_refused, 1);
  link::Event event{};
  event.kind = link::EventKind::kBaseRefused;
  event.body.base_refused = {
      .segment = segment, .offset = failure.offset, .reason = failure.reason};
  events_.send_surely(event);
  spdlog::error("event=base_refused segment={} reason={} offset={} error=\"{}\"", text_of(segment),
                info(failure.reason).label, failure.offset, failure.what);
}

std::optional<link::SegmentId> BaseIntake::unconfirmed_segment() const {
  if (!unconfirmed_) return std::nullopt;
  return unconfirmed_->segment;
}

void BaseIntake::release_waiting() {
  drop_draft();
  auto cancelled = loader_.cancel();
  for (auto* outcome : {&unconfirmed_, &cancelled}) {
    if (*outcome && (*outcome)->loaded)
      tables_.discard(std::make_shared<LoadedBase>(std::move(*(*outcome)->loaded)));
    outcome->reset();
  }
  if (ready_) tables_.discard(std::exchange(ready_, nullptr));
}

void BaseIntake::forget() {
  release_waiting();
  put(status_.tables.base_loading, 0);
  announce_ = false;
}

void BaseIntake::drop_draft() {
  draft_.reset();
  tables_.expect_base(nullptr);
}

BaseIntake::Refusal BaseIntake::begin(const link::BaseBegin& body) {
  drop_draft();
  if (tables_.route_table() == nullptr) return RefusedReason::kNoHashKey;
  const auto base = find(body.segment);
  if (!base || !base->matches_key(tables_.route_table()->hasher()))
    return RefusedReason::kNotLoaded;
  if (body.entries != base->view.entries() || body.dictionary != base->view.dictionary_size())
    return RefusedReason::kBadField;
  draft_ = Draft{.segment = body.segment, .number = body.number, .dictionary = body.dictionary};
  draft_->slots.reserve(body.dictionary);
  tables_.expect_base(base);
  return {};
}

BaseIntake::Refusal BaseIntake::add(const link::BaseAdjacency& body, std::uint32_t slot) {
  if (!draft_ || body.position != draft_->slots.size() || body.position >= draft_->dictionary)
    return RefusedReason::kBadField;
  draft_->slots.push_back(slot);
  // Told, but no reason to refuse all the others: its routes are unreachable.
  if (body.handle != kNoIndex && slot == kNoIndex) return RefusedReason::kBadHandle;
  return {};
}

BaseIntake::Refusal BaseIntake::commit(const link::BaseRef& body, std::uint8_t epoch) {
  auto draft = std::exchange(draft_, std::nullopt);
  drop_draft();
  if (!draft || draft->segment != body.segment || draft->slots.size() != draft->dictionary)
    return RefusedReason::kBadField;
  auto base = find(draft->segment);
  if (!base) return RefusedReason::kNotLoaded;
  for (std::uint32_t& slot : draft->slots) {
    // Deleted since it was named.
    if (slot != kNoIndex && !tables_.adjacencies.in_use(slot)) slot = kNoIndex;
  }
  if (auto done = tables_.commit_base(base, draft->slots, draft->number, epoch); !done) {
    spdlog::error("event=base_failed segment={} error=\"{}\"", text_of(draft->segment),
                  done.error().message());
    return RefusedReason::kTableFull;
  }
  if (base == ready_) ready_.reset();
  link::add(status_.tables.base_commits, 1);
  announce_ = true;
  pruned_ = 0;
  spdlog::info("event=base_committed segment={} number={} entries={} delta={}",
               text_of(draft->segment), draft->number, base->view.entries(),
               tables_.route_table()->size());
  return {};
}

BaseIntake::Refusal BaseIntake::drop() {
  drop_draft();
  tables_.drop_base();
  announce_ = false;
  return {};
}

}  // namespace sluice::dataplane
