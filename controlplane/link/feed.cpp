// What the link sends, and in which order: things that others refer to come before those, deletes
// come when nothing that still refers to the deleted waits to be sent.
#include "controlplane/link/programmer_state.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::size_t kStage = 256;  // commands made at a time

std::array<std::uint8_t, 16> wire_address(const IpAddress& ip) {
  std::array<std::uint8_t, 16> bytes{};
  if (ip.is_v4()) {
    store(bytes.data(), ip.v4_part());
  } else {
    bytes = ip.bytes;
  }
  return bytes;
}

}  // namespace

void Programmer::State::start_replay(std::uint8_t new_epoch) {
  stop();
  connected = true;
  notified = true;  // whoever starts a replay pumps it
  epoch = new_epoch;
  replay = true;
  replay_cursor = 0;
  sweep_wanted = false;
  base_phase = base ? BasePhase::kWaiting : BasePhase::kIdle;
  stage(link::CommandKind::kBeginSync);
  for (auto& [key, item] : misc) {
    item.queued = true;
    misc_queue.push_back(key);
  }
  queue_handles();
}

void Programmer::State::queue_handles() {
  for (std::uint32_t i = 0; i < adjacencies.slots.size(); ++i) {
    if (adjacencies.slots[i].used) queue_adjacency(i, true);
  }
  for (std::uint32_t i = 0; i < groups.slots.size(); ++i) {
    if (groups.slots[i].used) queue_group(i);
  }
}

// Setting again what is there already changes nothing.
void Programmer::State::resend() {
  if (!connected || replay) return;
  queue_handles();
  for (std::uint32_t slot = 0; slot < routes.slots(); ++slot) {
    if (to_be_told(slot)) queue_route(slot);
  }
}

// Of a route that the dataplane knows nothing about.
bool Programmer::State::to_be_told(std::uint32_t slot) const {
  const RouteEntry& entry = routes.at(slot);
  if ((entry.flags & route_flag::kUsed) == 0 || covered(entry)) return false;
  // Of those that are gone only the base has to be told.
  return (entry.flags & route_flag::kDeleted) == 0 || retained(slot);
}

// Without a connection nothing is queued: the next one gets everything anyway.
void Programmer::State::stop() {
  connected = false;
  replay = end_staged = sweep_wanted = false;
  base_phase = BasePhase::kIdle;
  staged.clear();
  staged_done = 0;
  checkpoints.clear();
  misc_queue.clear();
  std::erase_if(misc, [](const auto& item) { return item.second.removal; });
  for (auto& [key, item] : misc)
    item.queued = false;
  const auto reset = [](auto& table) {
    table.queue.clear();
    table.deletes.clear();
    for (std::uint32_t i = 0; i < table.slots.size(); ++i) {
      auto& slot = table.slots[i];
      slot.queued = slot.content_dirty = slot.sent = false;
      if (slot.used && slot.doomed && slot.references == 0) table.remove(i);
    }
  };
  reset(groups);
  reset(adjacencies);
  while (!routes.queue_empty()) {
    const std::uint32_t slot = routes.pop_queue();
    auto& entry = routes.at(slot);
    entry.flags &= static_cast<std::uint8_t>(~route_flag::kDirty);
    if ((entry.flags & route_flag::kDeleted) != 0 && !retained(slot)) routes.erase(slot);
  }
}

bool Programmer::State::pump(CommandWriter& writer, std::uint32_t budget, std::uint64_t now_ns) {
  if (!connected) return false;
  std::uint32_t written = 0;
  for (;;) {
    while (staged_done < staged.size()) {
      if (written >= budget) return true;
      const auto rest = static_cast<std::uint32_t>(staged.size() - staged_done);
      const std::uint32_t n =
          writer.write(staged.data() + staged_done, std::min(rest, budget - written));
      staged_done += n;
      written += n;
      if (n == 0) return true;
    }
    staged.clear();
    staged_done = 0;
    end_staged = false;
    done_mark = staged_mark;
    fill(now_ns);
    if (staged.empty()) {
      done_mark = staged_mark;
      notified = false;
      return false;
    }
  }
}

link::Command& Programmer::State::stage(link::CommandKind kind) {
  auto& command = staged.emplace_back(blank(kind));
  command.header.epoch = epoch;
  return command;
}

void Programmer::State::fill(std::uint64_t now_ns) {
  while (staged.size() < kStage) {
    if (fill_small()) continue;
    ++small_flushes;
    if (base_phase == BasePhase::kWaiting) break;  // deletions are judged against the base
    if (stage_base()) continue;
    if (fill_routes()) continue;
    if (fill_deletes()) continue;
    if (sweep_wanted && now_ns >= sweep_not_before_ns) {
      stage(link::CommandKind::kSweep);
      sweep_wanted = false;
      continue;
    }
    break;
  }
  stage_checkpoints();
}

bool Programmer::State::fill_small() {
  if (!misc_queue.empty()) {
    stage_misc();
  } else if (!adjacencies.queue.empty()) {
    stage_next_adjacency();
  } else if (!groups.queue.empty()) {
    const std::uint32_t handle = groups.queue.front();
    groups.queue.pop_front();
    groups.slots[handle].queued = false;
    stage_group(handle);
  } else {
    return false;
  }
  return true;
}

bool Programmer::State::fill_routes() {
  if (replay && replay_cursor >= routes.slots()) {
    stage(link::CommandKind::kEndSync);
    replay = false;
    end_staged = true;
    sweep_wanted = true;
    return true;
  }
  if (replay) {
    while (replay_cursor < routes.slots() && staged.size() < kStage) {
      const std::uint32_t slot = replay_cursor++;
      if (!to_be_told(slot)) continue;
      RouteEntry& entry = routes.at(slot);
      stage_route(entry);
      entry.flags &= static_cast<std::uint8_t>(~route_flag::kDirty);
    }
    return true;
  }
  if (routes.queue_empty()) return false;
  while (!routes.queue_empty() && staged.size() < kStage) {
    const std::uint32_t slot = routes.pop_queue();
    RouteEntry& entry = routes.at(slot);
    if ((entry.flags & route_flag::kDirty) == 0) continue;
    entry.flags &= static_cast<std::uint8_t>(~route_flag::kDirty);
    stage_route(entry);
    if ((entry.flags & route_flag::kDeleted) != 0 && !retained(slot)) routes.erase(slot);
  }
  return true;
}

// Only when no route and no group waits: then what the dataplane has refers to nothing of these.
bool Programmer::State::fill_deletes() {
  const auto next = [](auto& table) {
    while (!table.deletes.empty()) {
      const std::uint32_t handle = table.deletes.front();
      table.deletes.pop_front();
      const auto& slot = table.slots[handle];
      if (slot.used && slot.doomed && slot.references == 0) return handle;
    }
    return kNoIndex;
  };
  if (const std::uint32_t group = next(groups); group != kNoIndex) {
    stage(link::CommandKind::kGroupDelete).body.group.handle = group;
    groups.remove(group);
    return true;
  }
  if (const std::uint32_t adjacency = next(adjacencies); adjacency != kNoIndex) {
    stage(link::CommandKind::kAdjacencyDelete).body.adjacency_delete.handle = adjacency;
    adjacencies.remove(adjacency);
    return true;
  }
  return false;
}

void Programmer::State::stage_misc() {
  const MiscKey key = misc_queue.front();
  misc_queue.pop_front();
  const auto it = misc.find(key);
  if (it == misc.end() || !it->second.queued) return;
  stage(key.kind) = it->second.command;
  staged.back().header.epoch = epoch;
  it->second.queued = false;
  if (it->second.removal) misc.erase(it);
}

void Programmer::State::stage_next_adjacency() {
  const std::uint32_t handle = adjacencies.queue.front();
  adjacencies.queue.pop_front();
  auto& slot = adjacencies.slots[handle];
  slot.queued = false;
  if (!slot.used) return;
  if (slot.sent && !slot.content_dirty) {
    auto& body = stage(link::CommandKind::kAdjacencyState).body.adjacency_state;
    body = {.handle = handle, .state = slot.value.state};
    return;
  }
  const std::uint32_t backup = slot.value.backup;
  // The dataplane refuses a backup it does not know; two may back each other, so it gets the other
  // one without its backup first.
  if (backup != kNoIndex && !adjacencies.slots[backup].sent) stage_adjacency(backup, false);
  stage_adjacency(handle, true);
}

void Programmer::State::stage_adjacency(std::uint32_t handle, bool with_backup) {
  auto& slot = adjacencies.slots[handle];
  auto& body = stage(link::CommandKind::kAdjacencySet).body.adjacency_set;
  body.handle = handle;
  body.port = slot.key.port;
  body.vlan = slot.key.vlan;
  body.state = slot.value.state;
  body.family = slot.key.destination.family();
  body.mac = slot.value.mac;
  body.mtu = slot.value.mtu;
  body.backup = with_backup ? slot.value.backup : kNoIndex;
  body.source = wire_address(slot.value.source);
  body.destination = wire_address(slot.key.destination);
  slot.sent = true;
  if (with_backup) slot.content_dirty = false;
}

void Programmer::State::stage_group(std::uint32_t handle) {
  auto& slot = groups.slots[handle];
  if (!slot.used) return;
  slot.sent = true;
  slot.content_dirty = false;
  stage(link::CommandKind::kGroupBegin).body.group_begin = {
      .capability = slot.key,
      .handle = handle,
      .members = static_cast<std::uint16_t>(slot.members.size()),
      .policy = slot.policy};
  std::uint16_t position = 0;
  for (const auto& member : slot.members) {
    stage(link::CommandKind::kGroupMember).body.group_member = {.id = member.id,
                                                                .group = handle,
                                                                .adjacency = member.adjacency,
                                                                .position = position++,
                                                                .udp_port = member.udp_port,
                                                                .tenant = member.tenant,
                                                                .weight = member.weight};
  }
  stage(link::CommandKind::kGroupCommit).body.group.handle = handle;
}

void Programmer::State::stage_route(const RouteEntry& entry) {
  if ((entry.flags & route_flag::kDeleted) != 0) {
    stage(link::CommandKind::kRouteDelete).body.route_delete.id = entry.id;
    return;
  }
  stage(link::CommandKind::kRouteSet).body.route_set = {.id = entry.id,
                                                        .kind = entry.kind,
                                                        .reserved = 0,
                                                        .tenant = entry.tenant,
                                                        .handle = entry.handle,
                                                        .udp_port = entry.udp_port};
}

void Programmer::State::stage_checkpoints() {
  while (!replay && !checkpoints.empty()) {
    const Checkpoint& next = checkpoints.front();
    if (small_flushes < next.small_flushes || routes.popped() < next.routes) return;
    staged_mark = next.mark;
    checkpoints.pop_front();
  }
}

std::uint64_t Programmer::State::mark() {
  const bool small =
      replay || !misc_queue.empty() || !adjacencies.queue.empty() || !groups.queue.empty();
  checkpoints.push_back({.mark = ++last_mark,
                         .small_flushes = small_flushes + (small ? 1 : 0),
                         .routes = routes.pushed()});
  notify();  // even with nothing to write, the next pump settles the mark
  return last_mark;
}

std::uint64_t Programmer::State::waiting() const {
  const std::uint64_t replayed = replay ? routes.slots() - replay_cursor : 0;
  return replayed + (routes.pushed() - routes.popped()) + misc_queue.size() +
         adjacencies.queue.size() + groups.queue.size() + groups.deletes.size() +
         adjacencies.deletes.size() + (staged.size() - staged_done);
}

std::optional<std::uint64_t> Programmer::State::sweep_due_ns() const {
  if (!connected || !sweep_wanted) return std::nullopt;
  return sweep_not_before_ns;
}

}  // namespace sluice::controlplane
