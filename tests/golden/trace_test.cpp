// `sluice trace`: which messages are recorded, what the records say, and that no more than asked
// for are made.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/golden/row.hpp"

namespace sluice::golden {
namespace {

using link::TraceStage;
using link::Verdict;

Packet good() {
  return World::message(kSender, World::agent_id(kReceiver));
}
void agents(World& world) {
  world.add_agent(kSender);
  world.add_agent(kReceiver);
}
Bytes head(const Bytes& bytes) {
  return {bytes.begin(),
          bytes.begin() + static_cast<long>(std::min(bytes.size(), link::kTraceBytes))};
}
template <std::size_t N>
Bytes recorded(const std::array<std::uint8_t, N>& bytes, std::size_t n) {
  return {bytes.begin(), bytes.begin() + static_cast<long>(n)};
}

TEST(Trace, ForwardedMessageWithBytesBeforeAndAfter) {
  World world;
  agents(world);
  world.trace({}, World::agent_id(kReceiver), 10);
  const Bytes in = build(good());
  const Bytes out = build(World::forwarded(good(), kReceiver));
  world.receive(0, {in});
  EXPECT_EQ(world.outputs(), (std::vector<Output>{{1, out}}));
  const auto records = world.records();
  ASSERT_EQ(records.size(), 1u);
  const link::TraceRecord& record = records[0];
  EXPECT_EQ(record.token, 99u);
  EXPECT_EQ(record.received_ns, kNowNs);
  EXPECT_EQ(record.ingress_port, 0);
  EXPECT_EQ(record.egress_port, 1);
  EXPECT_EQ(record.frame_bytes, in.size());
  EXPECT_EQ(recorded(record.before, record.before_bytes), head(in));
  EXPECT_EQ(recorded(record.after, record.after_bytes), head(out));
  ASSERT_EQ(record.steps, 5);
  const TraceStage stages[] = {TraceStage::kClassify, TraceStage::kResolve, TraceStage::kPolice,
                               TraceStage::kRewrite, TraceStage::kEgress};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(record.step[i].stage, stages[i]);
    EXPECT_EQ(record.step[i].verdict, Verdict::kForward);
  }
  EXPECT_EQ(record.step[0].detail, envelope_offset(good()));
  EXPECT_EQ(Action::from_bits(record.step[1].action).udp_port(), World::agent_port(kReceiver));
  EXPECT_EQ(record.final_verdict, static_cast<std::uint8_t>(Verdict::kForward));
}

TEST(Trace, DroppedMessageSaysWhy) {
  World world;
  agents(world);
  world.set_adjacency(kReceiver, AdjacencyState::kDown);
  world.trace({}, {}, 10);
  world.receive(0, {build(good())});
  const auto records = world.records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].final_verdict, static_cast<std::uint8_t>(Verdict::kDrop));
  EXPECT_EQ(records[0].final_reason, static_cast<std::uint8_t>(DropReason::kAdjacencyDown));
  EXPECT_EQ(records[0].after_bytes, 0);
  EXPECT_EQ(records[0].egress_port, 0xffff);
}

TEST(Trace, BrokenFrameIsRecordedForAFilterForAnything) {
  World world;
  agents(world);
  Bytes frame = build(good());
  frame[envelope_offset(good())] = 0x24;
  world.trace({}, {}, 10);
  world.receive(0, {frame});
  const auto records = world.records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].final_reason, static_cast<std::uint8_t>(DropReason::kBadVersion));
  world.trace(World::agent_id(kSender), {}, 10);
  world.receive(0, {frame});
  EXPECT_TRUE(world.records().empty());
}

TEST(Trace, OnlyMatchingOnesAndNoMoreThanAskedFor) {
  World world;
  agents(world);
  const Host other{1, Family::kIpv4, 2};
  world.add_agent(other);
  world.trace(World::agent_id(kSender), World::agent_id(other), 3);
  const Bytes wanted = build(World::message(kSender, World::agent_id(other)));
  const Bytes unwanted = build(good());
  for (int i = 0; i < 2; ++i)
    world.receive(0, {unwanted, wanted, wanted, unwanted});
  EXPECT_EQ(world.records().size(), 3u);
  EXPECT_EQ(world.outputs().size(), 8u);
  EXPECT_TRUE(world.balanced());
}

}  // namespace
}  // namespace sluice::golden
