// Base segments over a real socket and a real region: offered, loaded by the dataplane's thread,
// committed, refused, kept over connections. Both sides in one thread.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <vector>

#include "controlplane/link/handshake.hpp"
#include "controlplane/link/session.hpp"
#include "tests/integration/link/control_side.hpp"
#include "tests/integration/link/dataplane_side.hpp"
#include "tests/integration/link/run_dir.hpp"
#include "tests/support/base_file.hpp"

namespace sluice::testing {

namespace {

using link::BaseRefusal;
using link::Command;
using link::CommandKind;
using link::Event;
using link::EventKind;
using link::RefusedReason;

constexpr int kWaitMs = 20'000;
constexpr HashKey kKey{{1, 2, 3, 4}};
constexpr std::uint32_t kHosts = 3;
constexpr std::uint64_t kInBase = 5000;

// Host of a route in the base; those of the delta go elsewhere.
std::uint32_t base_host(std::uint64_t route) {
  return static_cast<std::uint32_t>(route % kHosts);
}

BaseFile base_file(std::uint8_t number, std::uint64_t routes = kInBase, const HashKey& key = kKey) {
  std::vector<BaseRoute> all;
  for (std::uint64_t r = 0; r < routes; ++r)
    all.push_back({route_id(r), Action(ActionKind::kAdjacency, base_host(r), kAgentPort, 0, 0)});
  return BaseFile(key, all, kHosts, number);
}

class BaseLink : public ::testing::Test {
 protected:
  RunDir dir_;
  DataplaneSide side_{dir_.path(), 20'000};
  UniqueFd socket_;
  std::unique_ptr<controlplane::Session> session_;
  std::uint8_t epoch_ = 0;
  std::vector<Event> heard_;

  void connect() {
    session_.reset();
    socket_ = std::move(*controlplane::connect_and_greet(dir_.path() + "/dataplane.sock"));
    ASSERT_TRUE(side_.run_until([&] { return side_.apply->connected(); }, kWaitMs));
    session_ = std::make_unique<controlplane::Session>(
        std::move(*controlplane::take_welcome(socket_.get())));
    epoch_ = static_cast<std::uint8_t>(session_->last_epoch() + 1);
    heard_.clear();
  }
  void disconnect() {
    session_.reset();
    socket_ = UniqueFd();
    ASSERT_TRUE(side_.run_until([&] { return !side_.apply->connected(); }, kWaitMs));
  }

  Command command(CommandKind kind) const {
    Command made{};
    made.header.kind = kind;
    made.header.epoch = epoch_;
    return made;
  }
  // Says it and waits until it has taken effect.
  void say(const std::vector<Command>& commands) {
    ASSERT_EQ(session_->write(commands.data(), static_cast<std::uint32_t>(commands.size())),
              commands.size());
    session_->wake_if_needed();
    ASSERT_TRUE(
        side_.run_until([&] { return session_->applied() == session_->written(); }, kWaitMs));
    listen();
  }
  void listen() {
    session_->drain({.on_event = [&](const Event& event) { heard_.push_back(event); }});
  }
  // The next event of the kind; what came before it is forgotten.
  Event await(EventKind kind) {
    Event found{};
    EXPECT_TRUE(side_.run_until(
        [&] {
          listen();
          while (!heard_.empty()) {
            found = heard_.front();
            heard_.erase(heard_.begin());
            if (found.kind == kind) return true;
          }
          return false;
        },
        kWaitMs))
        << "no event " << static_cast<int>(kind);
    return found;
  }
  std::vector<RefusedReason> refusals() {
    listen();
    std::vector<RefusedReason> all;
    for (const Event& event : heard_)
      if (event.kind == EventKind::kCommandRefused) all.push_back(event.body.refused.reason);
    heard_.clear();
    return all;
  }

  Command hash_key(const HashKey& key = kKey) const {
    Command made = command(CommandKind::kHashKey);
    made.body.hash_key = key.bytes;
    return made;
  }
  Command adjacency(std::uint32_t handle, std::uint32_t host) const {
    Command made = command(CommandKind::kAdjacencySet);
    auto& body = made.body.adjacency_set;
    body = {.handle = handle,
            .port = 1,
            .vlan = 0,
            .state = AdjacencyState::kUp,
            .family = Family::kIpv4,
            .mac = {2, 1, 0, 0, 0, 1},
            .mtu = 0,
            .reserved = 0,
            .backup = kNoIndex,
            .source = {10, 0, 0, 254},
            .destination = {}};
    store(body.destination.data(), host_address(host).v4_part());
    return made;
  }
  Command route(std::uint64_t number, std::uint32_t handle) const {
    Command made = command(CommandKind::kRouteSet);
    made.body.route_set = {.id = route_id(number),
                           .kind = ActionKind::kAdjacency,
                           .reserved = 0,
                           .tenant = 0,
                           .handle = handle,
                           .udp_port = kAgentPort};
    return made;
  }
  Command deletion(std::uint64_t number) const {
    Command made = command(CommandKind::kRouteDelete);
    made.body.route_delete.id = route_id(number);
    return made;
  }
  // Handle of a host, other ones in each epoch.
  std::uint32_t handle(std::uint32_t host) const { return 10U * epoch_ + host; }

  void begin() {
    say({command(CommandKind::kBeginSync), hash_key(), adjacency(handle(0), 0),
         adjacency(handle(1), 1), adjacency(handle(2), 2)});
  }
  void end() { say({command(CommandKind::kEndSync), command(CommandKind::kSweep)}); }

  void offer(const BaseFile& file) { offer(file, file.id()); }
  void offer(const BaseFile& file, const link::SegmentId& segment) {
    const UniqueFd descriptor(file.open());
    const auto sent = controlplane::send_offer(socket_.get(), segment, descriptor.get());
    ASSERT_TRUE(sent) << sent.error().message();
  }
  std::vector<Command> commit_commands(const BaseFile& file, std::uint32_t number) const {
    std::vector<Command> all;
    all.push_back(command(CommandKind::kBaseBegin));
    all.back().body.base_begin = {
        .segment = file.id(), .entries = file.entries(), .dictionary = kHosts, .number = number};
    for (std::uint32_t host = 0; host < kHosts; ++host) {
      all.push_back(command(CommandKind::kBaseAdjacency));
      all.back().body.base_adjacency = {.position = host, .handle = handle(host)};
    }
    all.push_back(command(CommandKind::kBaseCommit));
    all.back().body.base.segment = file.id();
    return all;
  }
  void load_and_commit(const BaseFile& file, std::uint32_t number) {
    offer(file);
    const Event loaded = await(EventKind::kBaseLoaded);
    ASSERT_EQ(loaded.body.base_loaded.segment, file.id());
    EXPECT_GE(loaded.body.base_loaded.bytes, file.bytes.size());
    say(commit_commands(file, number));
    EXPECT_EQ(await(EventKind::kBaseDone).body.base_done.segment, file.id());
  }

  // The host that workers send a route's messages to; kNoIndex: nowhere.
  std::uint32_t host_now(std::uint64_t route) {
    const Action action = side_.tables->routes.load()->find(route_id(route));
    if (action.kind() != ActionKind::kAdjacency) return kNoIndex;
    const Adjacency& line = side_.tables->adjacencies.at(action.index());
    return load<Big32>(line.destination.data()).get() - 0x0a000001u;
  }
  void expect_base(std::uint64_t routes = kInBase) {
    for (std::uint64_t r = 0; r < routes; ++r)
      ASSERT_EQ(host_now(r), base_host(r)) << r;
    for (std::uint64_t r = routes; r < routes + 1000; ++r)
      ASSERT_EQ(host_now(r), kNoIndex) << r;
  }
  std::size_t delta() const { return side_.tables->route_table()->size(); }
};

TEST_F(BaseLink, OfferedLoadedCommittedPruned) {
  connect();
  begin();
  // One that the base says too, one that it says otherwise, one that it does not have.
  say({route(0, handle(0)), route(1, handle(2)), route(kInBase, handle(1))});
  end();
  const BaseFile file = base_file(1);
  offer(file);
  await(EventKind::kBaseLoaded);
  EXPECT_EQ(side_.tables->base(), nullptr) << "loaded is not committed";
  say(commit_commands(file, 7));
  const auto done = await(EventKind::kBaseDone).body.base_done;
  EXPECT_EQ(done.pruned, 1u);
  EXPECT_EQ(done.delta, 2u);
  EXPECT_EQ(host_now(0), base_host(0));
  EXPECT_EQ(host_now(1), 2u);
  EXPECT_EQ(host_now(kInBase), 1u);
  for (std::uint64_t r = 2; r < kInBase; ++r)
    ASSERT_EQ(host_now(r), base_host(r)) << r;
  say({deletion(4), deletion(kInBase)});
  EXPECT_EQ(host_now(4), kNoIndex);
  EXPECT_EQ(host_now(kInBase), kNoIndex);
  EXPECT_TRUE(refusals().empty());
  side_.run_until([&] { return side_.status->segment().tables.routes_deleted == 1; }, kWaitMs);
  const auto& info = side_.status->segment().tables;
  EXPECT_EQ(info.base_entries, kInBase);
  EXPECT_EQ(info.base_number, 7u);
  EXPECT_EQ(info.base_commits, 1u);
  EXPECT_EQ(info.base_loading, 0u);
  EXPECT_EQ(info.routes_deleted, 1u);
}

TEST_F(BaseLink, TheNextOneTakesItsPlace) {
  connect();
  begin();
  end();
  load_and_commit(base_file(1, 4000), 1);
  say({deletion(3), route(9, handle(1))});
  load_and_commit(base_file(2, 5000), 2);
  EXPECT_EQ(host_now(3), kNoIndex) << "the next base was built before that";
  EXPECT_EQ(host_now(9), 1u);
  EXPECT_EQ(host_now(4999), base_host(4999));
  EXPECT_EQ(side_.tables->base()->number(), 2u);
  ASSERT_TRUE(side_.run_until([&] { return side_.tables->pending() == 0; }, kWaitMs))
      << "memory of the old one is given back";
}

struct Wrong {
  const char* what;
  std::function<void(BaseFile&)> spoil;
  BaseRefusal reason;
};

TEST_F(BaseLink, WhatIsWrongIsRefusedAndTheOldOneStays) {
  connect();
  begin();
  end();
  const BaseFile good = base_file(1);
  load_and_commit(good, 1);
  const auto foreign_key = [](BaseFile& f) { f = base_file(2, kInBase, HashKey{{9}}); };
  const std::vector<Wrong> rows = {
      {"truncated", [](BaseFile& f) { f.bytes.resize(f.bytes.size() / 2); },
       BaseRefusal::kTruncated},
      {"damaged", [](BaseFile& f) { f.bytes[f.header().records_offset + 1000] ^= 16; },
       BaseRefusal::kDamaged},
      {"foreign key", foreign_key, BaseRefusal::kOtherKey},
      {"no segment", [](BaseFile& f) { f.bytes.assign(10'000, 'x'); }, BaseRefusal::kForeign},
      {"another segment", [](BaseFile& f) { f = base_file(3); }, BaseRefusal::kOtherSegment},
  };
  for (const Wrong& row : rows) {
    BaseFile file = base_file(2);
    const link::SegmentId segment = file.id();
    row.spoil(file);
    offer(file, segment);
    const auto refused = await(EventKind::kBaseRefused).body.base_refused;
    EXPECT_EQ(refused.reason, row.reason) << row.what;
    EXPECT_EQ(refused.segment, segment) << row.what;
    say(commit_commands(base_file(2), 2));
    EXPECT_EQ(refusals().front(), RefusedReason::kNotLoaded) << row.what;
    ASSERT_EQ(side_.tables->base()->number(), 1u) << row.what;
    expect_base();
  }
  EXPECT_TRUE(side_.apply->connected());
  EXPECT_EQ(side_.status->segment().tables.base_refused, rows.size());
  load_and_commit(base_file(2), 2);
  EXPECT_EQ(side_.tables->base()->number(), 2u);
}

TEST_F(BaseLink, ANewOfferTakesTheOldOnesPlace) {
  connect();
  begin();
  end();
  const BaseFile first = base_file(1);
  const BaseFile second = base_file(2);
  offer(first);
  offer(second);
  for (;;) {
    const Event loaded = await(EventKind::kBaseLoaded);
    if (loaded.body.base_loaded.segment == second.id()) break;
    ASSERT_EQ(loaded.body.base_loaded.segment, first.id());
  }
  say(commit_commands(first, 1));
  EXPECT_EQ(refusals().front(), RefusedReason::kNotLoaded);
  say(commit_commands(second, 2));
  expect_base();
}

TEST_F(BaseLink, ItMayBeOfferedBeforeTheHashKeyIsKnown) {
  connect();
  const BaseFile file = base_file(1);
  offer(file);
  side_.run_until([] { return false; }, 50);
  listen();
  EXPECT_TRUE(heard_.empty());
  begin();
  await(EventKind::kBaseLoaded);
  say(commit_commands(file, 1));
  end();
  expect_base();
  EXPECT_TRUE(refusals().empty());
}

TEST_F(BaseLink, WrongCommandsChangeNothing) {
  connect();
  begin();
  end();
  const BaseFile good = base_file(1);
  load_and_commit(good, 1);
  const BaseFile next = base_file(2);
  offer(next);
  await(EventKind::kBaseLoaded);
  const auto with = [&](std::size_t at, auto change) {
    auto all = commit_commands(next, 2);
    change(all[at]);
    say(all);
    const auto reasons = refusals();
    EXPECT_EQ(reasons.size(), all.size() - at) << "and all that follows";
    return reasons.empty() ? RefusedReason{} : reasons.front();
  };
  EXPECT_EQ(with(0, [](Command& c) { c.body.base_begin.entries += 1; }), RefusedReason::kBadField);
  EXPECT_EQ(with(0, [](Command& c) { c.body.base_begin.dictionary += 1; }),
            RefusedReason::kBadField);
  say({command(CommandKind::kBaseCommit)});
  EXPECT_EQ(refusals(), std::vector{RefusedReason::kBadField});
  auto all = commit_commands(next, 2);
  all[2].body.base_adjacency.position = 2;
  say(all);
  EXPECT_EQ(refusals().front(), RefusedReason::kBadField);
  all = commit_commands(next, 2);
  all.back().body.base.segment = good.id();
  say(all);
  EXPECT_EQ(refusals(), std::vector{RefusedReason::kBadField});
  EXPECT_EQ(side_.tables->base()->number(), 1u);
  expect_base();
  say(commit_commands(next, 2));
  EXPECT_TRUE(refusals().empty());
  EXPECT_EQ(side_.tables->base()->number(), 2u);
}

// A position of whom nobody knows the way to is unreachable, not unknown.
TEST_F(BaseLink, PositionsMayLeadNowhere) {
  connect();
  begin();
  end();
  const BaseFile file = base_file(1);
  offer(file);
  await(EventKind::kBaseLoaded);
  auto all = commit_commands(file, 1);
  all[2].body.base_adjacency.handle = kNoIndex;
  say(all);
  EXPECT_TRUE(refusals().empty());
  EXPECT_EQ(host_now(0), 0u);
  EXPECT_EQ(side_.tables->routes.load()->find(route_id(1)).kind(), ActionKind::kUnreachable);
  // So are those of a host that the dataplane did not take; it says so.
  all = commit_commands(file, 1);
  all[3].body.base_adjacency.handle = 999;
  say(all);
  EXPECT_EQ(refusals(), std::vector{RefusedReason::kBadHandle});
  EXPECT_EQ(host_now(1), 1u);
  EXPECT_EQ(side_.tables->routes.load()->find(route_id(2)).kind(), ActionKind::kUnreachable);
}

// What the next base has and the state has not is told between begin and commit, and so never
// comes back.
TEST_F(BaseLink, DeletedBeforeTheCommitItStaysDeleted) {
  connect();
  begin();
  end();
  const BaseFile file = base_file(1);
  offer(file);
  await(EventKind::kBaseLoaded);
  auto all = commit_commands(file, 1);
  all.insert(all.begin() + 1, deletion(3));
  say(all);
  EXPECT_EQ(host_now(3), kNoIndex);
  EXPECT_EQ(host_now(6), base_host(6));
  EXPECT_TRUE(refusals().empty());
}

// One that has never been ready does not forward by a base whose deletions are on their way.
TEST_F(BaseLink, AFreshDataplaneWaitsForTheWholeState) {
  connect();
  begin();
  const BaseFile file = base_file(1);
  offer(file);
  await(EventKind::kBaseLoaded);
  say(commit_commands(file, 1));
  EXPECT_EQ(side_.tables->routes.load(), nullptr);
  say({deletion(3)});
  EXPECT_EQ(side_.tables->routes.load(), nullptr);
  end();
  EXPECT_EQ(host_now(3), kNoIndex);
  EXPECT_EQ(host_now(6), base_host(6));
}

TEST_F(BaseLink, DroppedItIsGoneAndSoAreItsMarks) {
  connect();
  begin();
  say({route(2, handle(1))});
  end();
  load_and_commit(base_file(1), 1);
  say({deletion(5), command(CommandKind::kBaseDrop)});
  EXPECT_EQ(host_now(0), kNoIndex);
  EXPECT_EQ(host_now(2), 1u);
  ASSERT_TRUE(side_.run_until([&] { return delta() == 1; }, kWaitMs));
}

// The control plane is killed and comes back: what was committed is used all the time, and once it
// is committed again it outlives the sweep, without being copied again.
TEST_F(BaseLink, ItOutlivesTheConnection) {
  connect();
  begin();
  say({route(kInBase, handle(1))});
  end();
  const BaseFile file = base_file(1);
  load_and_commit(file, 1);
  say({deletion(5), route(7, handle(2))});
  const void* memory = side_.tables->base()->loaded().get();
  disconnect();
  EXPECT_EQ(host_now(0), base_host(0));
  EXPECT_EQ(host_now(5), kNoIndex);

  connect();
  begin();
  offer(file);
  EXPECT_EQ(await(EventKind::kBaseLoaded).body.base_loaded.load_ns, 0u) << "it is there already";
  say(commit_commands(file, 1));
  say({route(kInBase, handle(1)), route(7, handle(2)), deletion(5)});
  EXPECT_EQ(host_now(6), base_host(6));
  end();
  await(EventKind::kSweepDone);
  EXPECT_EQ(side_.tables->base()->loaded().get(), memory);
  EXPECT_EQ(host_now(0), base_host(0));
  EXPECT_EQ(host_now(5), kNoIndex);
  EXPECT_EQ(host_now(7), 2u);
  EXPECT_EQ(host_now(kInBase), 1u);
  EXPECT_TRUE(refusals().empty());
}

TEST_F(BaseLink, NotCommittedAgainItIsSwept) {
  connect();
  begin();
  end();
  load_and_commit(base_file(1), 1);
  disconnect();
  connect();
  begin();
  say({route(1, handle(1))});
  EXPECT_EQ(host_now(2), base_host(2)) << "until the sweep";
  end();
  await(EventKind::kSweepDone);
  EXPECT_EQ(side_.tables->base(), nullptr);
  EXPECT_EQ(host_now(1), 1u);
  EXPECT_EQ(host_now(2), kNoIndex);
  ASSERT_TRUE(side_.run_until([&] { return side_.tables->pending() == 0; }, kWaitMs));
}

TEST_F(BaseLink, WhatWasNotCommittedEndsWithTheConnection) {
  connect();
  begin();
  end();
  const BaseFile file = base_file(1);
  offer(file);
  await(EventKind::kBaseLoaded);
  disconnect();
  connect();
  begin();
  say(commit_commands(file, 1));
  EXPECT_EQ(refusals().front(), RefusedReason::kNotLoaded);
  // Killed while it is being loaded.
  offer(file);
  disconnect();
  connect();
  begin();
  load_and_commit(file, 1);
  end();
  expect_base();
}

TEST_F(BaseLink, AnythingElseOnTheSocketEndsTheConnection) {
  const BaseFile file = base_file(1);
  const link::BaseOffer good{.magic = link::kBaseOfferMagic, .segment = file.id()};
  const auto send = [&](const void* bytes, std::size_t length, unsigned descriptors) {
    const UniqueFd descriptor(file.open());
    iovec part{const_cast<void*>(bytes), length};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 8)]{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptors > 0) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
      cmsghdr* at = CMSG_FIRSTHDR(&message);
      at->cmsg_level = SOL_SOCKET;
      at->cmsg_type = SCM_RIGHTS;
      at->cmsg_len = CMSG_LEN(sizeof(int) * descriptors);
      for (unsigned i = 0; i < descriptors; ++i) {
        const int one = descriptor.get();
        std::memcpy(CMSG_DATA(at) + i * sizeof(int), &one, sizeof one);
      }
    }
    ASSERT_EQ(::sendmsg(socket_.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(length));
  };
  link::BaseOffer wrong = good;
  wrong.magic ^= 1;
  const char longer[100] = {};
  const std::vector<std::function<void()>> breaches = {
      [&] { send(&good, sizeof good, 0); },     [&] { send(&good, sizeof good, 2); },
      [&] { send(&good, sizeof good, 8); },     [&] { send(&wrong, sizeof wrong, 1); },
      [&] { send(&good, sizeof good - 1, 1); }, [&] { send(longer, sizeof longer, 1); },
  };
  for (std::size_t i = 0; i < breaches.size(); ++i) {
    connect();
    breaches[i]();
    EXPECT_TRUE(side_.run_until([&] { return !side_.apply->connected(); }, kWaitMs)) << i;
  }
  connect();
  begin();
  end();
  load_and_commit(file, 1);
  expect_base();
}

}  // namespace
}  // namespace sluice::testing
