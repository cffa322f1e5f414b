#include "controlplane/link/route_base.hpp"

#include <algorithm>

#include "controlplane/link/programmer_state.hpp"

namespace sluice::controlplane {

namespace {

constexpr unsigned kBurst = 64;
constexpr std::size_t kStageAtOnce = 256;

IpAddress address_of(const index::BaseDestination& from) {
  if (from.family == static_cast<std::uint8_t>(Family::kIpv4)) {
    return IpAddress::v4(load<Big32>(from.address.data()));
  }
  return IpAddress::v6(from.address);
}

}  // namespace

AdjacencyKey key_of(const index::BaseDestination& from) {
  return {from.port, from.vlan, address_of(from)};
}

index::BaseDestination destination_of(const AdjacencyKey& key) {
  index::BaseDestination to{};
  to.port = key.port;
  to.vlan = key.vlan;
  to.family = static_cast<std::uint8_t>(key.destination.family());
  if (key.destination.is_v4()) {
    store(to.address.data(), key.destination.v4_part());
  } else {
    to.address = key.destination.bytes;
  }
  return to;
}

// ---- marks of routes ---------------------------------------------------------------------------

bool Programmer::State::retained(std::uint32_t slot) const {
  const std::uint8_t flags = routes.at(slot).flags;
  if (base && (flags & route_flag::in_base(current_base)) != 0) return true;
  return making && slot < making_cursor && (flags & route_flag::in_base(1 - current_base)) != 0;
}

void Programmer::State::differs(std::uint32_t slot) {
  RouteEntry& entry = routes.at(slot);
  const std::uint8_t now = route_flag::same_in_base(current_base);
  const std::uint8_t next = route_flag::same_in_base(1 - current_base);
  if (base && (entry.flags & now) != 0) --base_same[current_base];
  if (making && slot < making_cursor && (entry.flags & next) != 0) --base_same[1 - current_base];
  entry.flags &= static_cast<std::uint8_t>(~(now | next));
}

void Programmer::State::bury(std::uint32_t slot) {
  ++tombstones;
  list_tombstone(slot);
}

// A place stays retained, and so its own, until tidy_tombstones() goes over the list: an agent that
// comes and goes is in it once.
void Programmer::State::list_tombstone(std::uint32_t slot) {
  RouteEntry& entry = routes.at(slot);
  if (entry.listed != 0) return;
  entry.listed = 1;
  tombstone_slots.push_back(slot);
}

// An id without a route that the base may have: known only by looking it up.
void Programmer::State::delete_unknown(const Id& id) {
  const bool now = unsure && base && base->view.find(base_hasher(id)) != 0;
  // What was not compared yet, adopt_missing will find gone.
  const bool next =
      adopting && making_cursor == kNoIndex && adopting->view.find(base_hasher(id)) != 0;
  if (!now && !next) return;
  const std::uint32_t slot = routes.insert(id);
  RouteEntry& entry = routes.at(slot);
  if (now) entry.flags |= route_flag::in_base(current_base);
  if (next) entry.flags |= route_flag::in_base(1 - current_base);
  entry.flags |= route_flag::kDeleted;
  bury(slot);
  queue_route(slot);
}

void Programmer::State::mark_if_in_base(std::uint32_t slot) {
  RouteEntry& entry = routes.at(slot);
  if (unsure && base && base->view.find(base_hasher(entry.id)) != 0)
    entry.flags |= route_flag::in_base(current_base);
  // A place that the adoption has passed already.
  if (!adopting || slot >= making_cursor || adopting->view.find(base_hasher(entry.id)) == 0) return;
  entry.flags |= route_flag::in_base(1 - current_base);
  ++adopted;
}

void Programmer::State::set_marks(std::uint32_t slot, bool same_too) {
  RouteEntry& entry = routes.at(slot);
  entry.flags |= route_flag::in_base(1 - current_base);
  if (!same_too) return;
  entry.flags |= route_flag::same_in_base(1 - current_base);
  ++base_same[1 - current_base];
}

// The marks of what was being made stay behind and are worth nothing.
void Programmer::State::forget_making() {
  if (!making) return;
  making = false;
  adopting.reset();
  tidy_tombstones();
}

void Programmer::State::take_into_use(std::shared_ptr<const BaseImage> image) {
  base = std::move(image);
  current_base = 1 - current_base;
  making = false;
  adopting.reset();
  tidy_tombstones();
}

// Those that no base has any more are forgotten; the others have to be told again, because the
// dataplane judged the deletion by the base before.
void Programmer::State::tidy_tombstones() {
  tombstones = 0;
  for (const auto slot : std::exchange(tombstone_slots, {})) {
    routes.at(slot).listed = 0;
    const std::uint8_t flags = routes.at(slot).flags;
    if ((flags & route_flag::kUsed) == 0 || (flags & route_flag::kDeleted) == 0) continue;
    if (retained(slot)) {
      bury(slot);
      queue_route(slot);
    } else if ((flags & route_flag::kQueued) == 0) {
      routes.erase(slot);
    }
  }
}

// ---- building ----------------------------------------------------------------------------------

void RouteBase::begin_snapshot() {
  state_.forget_making();
  state_.making = true;
  state_.making_cursor = 0;
  state_.base_same[1 - state_.current_base] = 0;
}

bool RouteBase::snapshot(std::uint32_t places, std::vector<BaseRoute>& out) {
  const unsigned next = 1 - state_.current_base;
  const auto stale =
      static_cast<std::uint8_t>(~(route_flag::in_base(next) | route_flag::same_in_base(next)));
  const std::uint32_t end = state_.routes.slots();
  for (; places > 0 && state_.making_cursor < end; --places) {
    const std::uint32_t slot = state_.making_cursor++;
    RouteEntry& entry = state_.routes.at(slot);
    entry.flags &= stale;
    if ((entry.flags & (route_flag::kUsed | route_flag::kDeleted)) != route_flag::kUsed) continue;
    if (!Programmer::State::fits_base(entry.kind)) continue;
    state_.set_marks(slot, true);
    out.push_back({entry.id, entry.kind, entry.handle, entry.udp_port, entry.tenant});
  }
  return state_.making_cursor < end;
}

const AdjacencyKey& RouteBase::adjacency(std::uint32_t handle) const {
  return state_.adjacencies.slots[handle].key;
}

void RouteBase::abort() {
  state_.forget_making();
}

void RouteBase::install(std::shared_ptr<const BaseImage> image) {
  if (!state_.making) return;
  state_.unsure = false;
  state_.take_into_use(std::move(image));
  if (!state_.connected) return;
  state_.base_phase = Programmer::State::BasePhase::kBegin;
  state_.notify();
}

// ---- taking over -------------------------------------------------------------------------------

void RouteBase::begin_adopt(std::shared_ptr<const BaseImage> image, const IdHasher& hasher) {
  begin_snapshot();
  state_.adopting = std::move(image);
  state_.base_hasher = hasher;
  state_.adopted = 0;
  state_.unsure = false;
}

bool RouteBase::adopt(std::uint32_t places) {
  const unsigned next = 1 - state_.current_base;
  const auto stale =
      static_cast<std::uint8_t>(~(route_flag::in_base(next) | route_flag::same_in_base(next)));
  const std::uint32_t end = state_.routes.slots();
  while (places > 0 && state_.making_cursor < end) {
    std::array<std::uint32_t, kBurst> slots;
    std::array<Id, kBurst> ids;
    unsigned n = 0;
    for (; n < kBurst && places > 0 && state_.making_cursor < end; --places) {
      const std::uint32_t slot = state_.making_cursor++;
      RouteEntry& entry = state_.routes.at(slot);
      entry.flags &= stale;
      if ((entry.flags & route_flag::kUsed) == 0) continue;
      slots[n] = slot;
      ids[n++] = entry.id;
    }
    state_.adopt_burst(slots.data(), ids.data(), n);
  }
  if (state_.making_cursor < end) return true;
  state_.making_cursor = kNoIndex;  // new places count as passed, wherever they lie
  return false;
}

void Programmer::State::adopt_burst(const std::uint32_t* slots, const Id* ids, unsigned n) {
  std::array<Hash128, kBurst> hashes;
  std::array<std::uint64_t, kBurst> actions;
  base_hasher.burst(ids, hashes.data(), n);
  adopting->view.find_burst(hashes.data(), n, actions.data());
  for (unsigned i = 0; i < n; ++i) {
    if (actions[i] == 0) continue;
    ++adopted;
    set_marks(slots[i], says_the_same(routes.at(slots[i]), Action::from_bits(actions[i])));
  }
}

// Destinations are compared by key: between two pieces a handle may become another's.
bool Programmer::State::says_the_same(const RouteEntry& entry, Action of_image) const {
  if ((entry.flags & route_flag::kDeleted) != 0 || entry.kind != of_image.kind() ||
      entry.udp_port != of_image.udp_port() || entry.tenant != of_image.tenant())
    return false;
  if (entry.kind != ActionKind::kAdjacency) return true;
  const auto& view = adopting->view;
  return of_image.index() < view.dictionary_size() &&
         adjacencies.slots[entry.handle].key == key_of(view.destination(of_image.index()));
}

const std::shared_ptr<const BaseImage>& RouteBase::adopting() const {
  return state_.adopting;
}

std::uint64_t RouteBase::adopt_unknown() const {
  const std::uint64_t entries = state_.adopting ? state_.adopting->view.entries() : 0;
  return entries > state_.adopted ? entries - state_.adopted : 0;
}

void RouteBase::adopt_missing(std::span<const Id> ids, const std::function<bool(const Id&)>& keep) {
  for (const Id& id : ids) {
    if (state_.routes.find(id) != RouteStore::kNone) continue;
    if (keep(id)) {
      state_.unsure = true;
      continue;
    }
    const std::uint32_t slot = state_.routes.insert(id);
    RouteEntry& entry = state_.routes.at(slot);
    entry.flags |= route_flag::kDeleted;
    entry.flags |= route_flag::in_base(1 - state_.current_base);
    state_.bury(slot);
  }
}

void RouteBase::finish_adopt() {
  if (!state_.adopting) return;
  state_.take_into_use(state_.adopting);
}

// ---- in use ------------------------------------------------------------------------------------

const std::shared_ptr<const BaseImage>& RouteBase::current() const {
  return state_.base;
}

bool RouteBase::waiting() const {
  return state_.base_phase == Programmer::State::BasePhase::kWaiting;
}

void RouteBase::loaded(const link::SegmentId& segment) {
  if (!waiting() || segment != state_.base->id()) return;
  state_.base_phase = Programmer::State::BasePhase::kBegin;
  state_.notify();
}

void RouteBase::refused() {
  if (!state_.base) return;
  const bool was_waiting = waiting();
  state_.base_phase = Programmer::State::BasePhase::kIdle;
  state_.unsure = false;
  const auto gone = std::exchange(state_.base, nullptr);
  const std::uint8_t mark = route_flag::same_in_base(state_.current_base);
  // A replay that still waits has not passed any of them.
  for (std::uint32_t slot = 0; !was_waiting && slot < state_.routes.slots(); ++slot) {
    const std::uint8_t flags = state_.routes.at(slot).flags;
    const bool live = (flags & (route_flag::kUsed | route_flag::kDeleted)) == route_flag::kUsed;
    if (live && (flags & mark) != 0) state_.queue_route(slot);
  }
  state_.tidy_tombstones();
  state_.notify();
}

RouteBase::Counts RouteBase::counts() const {
  const std::uint64_t same = state_.base ? state_.base_same[state_.current_base] : 0;
  return {state_.base_routes, state_.base_routes - same, state_.base ? state_.tombstones : 0,
          state_.live_routes - state_.base_routes};
}

// ---- what is sent ------------------------------------------------------------------------------

bool Programmer::State::stage_base() {
  if (base_phase == BasePhase::kIdle || base_phase == BasePhase::kWaiting) return false;
  const auto& view = base->view;
  switch (base_phase) {
    case BasePhase::kBegin:
      stage(link::CommandKind::kBaseBegin).body.base_begin = {.segment = base->id(),
                                                              .entries = view.entries(),
                                                              .dictionary = view.dictionary_size(),
                                                              .number = base->number};
      base_position = 0;
      base_phase = BasePhase::kAdjacencies;
      return true;
    case BasePhase::kAdjacencies:
      for (std::size_t n = 0; n < kStageAtOnce && base_position < view.dictionary_size(); ++n) {
        const std::uint32_t handle = adjacencies.find(key_of(view.destination(base_position)));
        const bool known = handle != kNoIndex && adjacencies.slots[handle].sent;
        stage(link::CommandKind::kBaseAdjacency).body.base_adjacency = {
            .position = base_position++, .handle = known ? handle : kNoIndex};
      }
      if (base_position == view.dictionary_size()) base_phase = BasePhase::kCommit;
      return true;
    case BasePhase::kCommit:
      stage(link::CommandKind::kBaseCommit).body.base.segment = base->id();
      base_phase = BasePhase::kIdle;
      return true;
    default:
      return false;
  }
}

}  // namespace sluice::controlplane
