// The same messages with their routes in a base segment: what the base says, what the delta says
// over it, deletion marks, before and after pruning.
#include "tests/golden/row.hpp"

namespace sluice::golden {
namespace {

constexpr Host kElsewhere{2, Family::kIpv4, 8};

Packet message() {
  return World::message(kSender, World::agent_id(kReceiver));
}

Row through(std::string name, std::function<void(World&)> set_up) {
  return {.name = "base_" + std::move(name),
          .set_up = std::move(set_up),
          .port = kSender.port,
          .frames = {build(message())},
          .expected = {{kReceiver.port, build(World::forwarded(message(), kReceiver))}},
          .counters = forwarded_counters(kSender.port, kReceiver.port)};
}

Row held(std::string name, std::function<void(World&)> set_up) {
  return {.name = "base_" + std::move(name),
          .set_up = std::move(set_up),
          .port = kSender.port,
          .frames = {build(message())},
          .expected = {{kHold, build(message())}},
          .counters = dropped("held")};
}

Row refused(std::string name, std::string_view why, std::function<void(World&)> set_up) {
  return {.name = "base_" + std::move(name),
          .set_up = std::move(set_up),
          .port = kSender.port,
          .frames = {build(message())},
          .expected = {},
          .counters = dropped(why)};
}

// All ways that a message can take, by the base alone.
void add_pairs(std::vector<Row>& rows) {
  const std::vector<Host> ends = {{0, Family::kIpv4, 1}, {0, Family::kIpv6, 2},
                                  {2, Family::kIpv4, 3}, {2, Family::kIpv6, 4},
                                  {1, Family::kIpv4, 5}, {1, Family::kIpv6, 6}};
  for (const Host& from : ends) {
    for (const Host& to : ends) {
      if (from.number == to.number) continue;
      const Packet packet = World::message(from, World::agent_id(to));
      rows.push_back(
          {.name = "base_" + std::to_string(from.number) + "_to_" + std::to_string(to.number),
           .set_up = [=](World& world) { world.commit_base({from, to}); },
           .port = from.port,
           .frames = {build(packet)},
           .expected = {{to.port, build(World::forwarded(packet, to))}},
           .counters = forwarded_counters(from.port, to.port)});
    }
  }
}

}  // namespace

std::vector<Row> base_rows() {
  const auto elsewhere = [](World& world) {
    world.set_route(World::agent_id(kReceiver),
                    Action(ActionKind::kAdjacency, world.adjacency(kElsewhere),
                           World::agent_port(kElsewhere), kTenant, 1));
  };
  std::vector<Row> rows;
  add_pairs(rows);
  rows.push_back(through("receiver_in_delta", [](World& world) {
    world.add_agent(kReceiver);
    world.commit_base({kSender});
  }));
  rows.push_back(through("sender_in_delta", [](World& world) {
    world.commit_base({kReceiver});
    world.add_agent(kSender);
  }));
  rows.push_back(through("in_both_and_pruned", [](World& world) {
    world.add_agent(kSender);
    world.add_agent(kReceiver);
    world.commit_base({kSender, kReceiver});
    world.prune();
  }));
  Row moved = through("delta_wins", [=](World& world) {
    world.commit_base({kSender, kReceiver});
    elsewhere(world);
  });
  moved.expected = {{kElsewhere.port, build(World::forwarded(message(), kElsewhere))}};
  moved.counters = forwarded_counters(kSender.port, kElsewhere.port);
  rows.push_back(moved);
  moved.name += "_pruned";
  moved.set_up = [=](World& world) {
    elsewhere(world);
    world.commit_base({kSender, kReceiver});
    world.prune();
  };
  rows.push_back(moved);
  rows.push_back(held("receiver_deleted", [](World& world) {
    world.commit_base({kSender, kReceiver});
    world.delete_route(World::agent_id(kReceiver));
  }));
  rows.push_back(held("receiver_deleted_pruned", [](World& world) {
    world.commit_base({kSender, kReceiver});
    world.delete_route(World::agent_id(kReceiver));
    world.prune();
  }));
  rows.push_back(held("receiver_unknown", [](World& world) { world.commit_base({kSender}); }));
  rows.push_back(held("dropped", [](World& world) {
    world.commit_base({kReceiver});
    world.add_agent(kSender);
    world.tables().drop_base();
  }));
  rows.push_back(refused("sender_deleted", "source_denied", [](World& world) {
    world.commit_base({kSender, kReceiver});
    world.delete_route(World::agent_id(kSender));
  }));
  rows.push_back(refused("adjacency_down", "adjacency_down", [](World& world) {
    world.commit_base({kSender, kReceiver});
    world.set_adjacency(kReceiver, AdjacencyState::kDown);
  }));
  rows.push_back(refused("position_without_host", "unreachable", [](World& world) {
    world.add_agent(kSender);
    world.commit_base({kReceiver}, false);
  }));
  return rows;
}

}  // namespace sluice::golden
