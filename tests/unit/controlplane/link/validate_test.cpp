#include "controlplane/link/validate.hpp"

#include <gtest/gtest.h>

#include "sluice/link/drop_reason.hpp"
#include "sluice/wire/envelope.hpp"

namespace sluice::controlplane {
namespace {

TEST(Validate, Events) {
  link::Event event{};
  EXPECT_FALSE(valid_event(event));
  event.kind = static_cast<link::EventKind>(link::kMaxEventKind + 1);
  EXPECT_FALSE(valid_event(event));
  event.kind = link::EventKind::kSyncDone;
  EXPECT_TRUE(valid_event(event));
  event.kind = link::EventKind::kCommandRefused;
  EXPECT_FALSE(valid_event(event));
  event.body.refused.reason = link::RefusedReason::kBadField;
  EXPECT_TRUE(valid_event(event));
  event = {};
  event.kind = link::EventKind::kPortLink;
  EXPECT_TRUE(valid_event(event));
  event.body.port_link.port = kMaxPorts;
  EXPECT_FALSE(valid_event(event));
  event.body.port_link = {.port = 0, .up = 2};
  EXPECT_FALSE(valid_event(event));
  event = {};
  event.kind = link::EventKind::kBaseLoaded;
  EXPECT_TRUE(valid_event(event));
  event.body.base_loaded.huge = 2;
  EXPECT_FALSE(valid_event(event));
  event = {};
  event.kind = link::EventKind::kBaseRefused;
  EXPECT_FALSE(valid_event(event)) << "there is a reason always";
  event.body.base_refused.reason = link::BaseRefusal::kDamaged;
  EXPECT_TRUE(valid_event(event));
  event.body.base_refused.reason = link::BaseRefusal::kCount;
  EXPECT_FALSE(valid_event(event));
  event = {};
  event.kind = link::EventKind::kBaseDone;
  EXPECT_TRUE(valid_event(event));
}

TEST(Validate, Punts) {
  link::SlotHeader good{};
  good.kind = link::SlotKind::kMessage;
  good.bytes = kEnvelopeBytes;
  good.family = Family::kIpv4;
  good.local = good.remote = *parse_ip("10.0.0.1");
  ASSERT_TRUE(valid_punt(good));
  const auto refused = [&](auto spoil) {
    auto bad = good;
    spoil(bad);
    return !valid_punt(bad);
  };
  EXPECT_TRUE(refused([](auto& h) { h.bytes = kEnvelopeBytes - 1; }));
  EXPECT_TRUE(refused([](auto& h) { h.bytes = link::kSlotBytes; }));
  EXPECT_TRUE(refused([](auto& h) { h.kind = link::SlotKind::kTrace; }));
  EXPECT_TRUE(refused([](auto& h) { h.port = kMaxPorts; }));
  EXPECT_TRUE(refused([](auto& h) { h.vlan = 4095; }));
  EXPECT_TRUE(refused([](auto& h) { h.family = Family::kIpv6; }));
  EXPECT_TRUE(refused([](auto& h) { h.reserved = 1; }));
}

TEST(Validate, Traces) {
  link::TraceRecord good{};
  good.egress_port = 0xffff;
  good.steps = 1;
  good.step[0].stage = link::TraceStage::kClassify;
  ASSERT_TRUE(valid_trace(good));
  const auto refused = [&](auto spoil) {
    auto bad = good;
    spoil(bad);
    return !valid_trace(bad);
  };
  EXPECT_TRUE(refused([](auto& r) { r.steps = link::kMaxTraceSteps + 1; }));
  EXPECT_TRUE(refused([](auto& r) { r.steps = 2; }));  // the second has no stage
  EXPECT_TRUE(refused([](auto& r) { r.before_bytes = link::kTraceBytes + 1; }));
  EXPECT_TRUE(refused([](auto& r) { r.after_bytes = 0xffff; }));
  EXPECT_TRUE(refused([](auto& r) { r.ingress_port = kMaxPorts; }));
  EXPECT_TRUE(refused([](auto& r) { r.egress_port = kMaxPorts; }));
  EXPECT_TRUE(refused([](auto& r) { r.worker = kMaxWorkers; }));
  EXPECT_TRUE(refused([](auto& r) { r.final_reason = kDropReasons; }));
  EXPECT_TRUE(refused([](auto& r) { r.final_verdict = link::kMaxVerdict + 1; }));
  EXPECT_TRUE(refused([](auto& r) { r.step[0].drop_reason = kDropReasons; }));
}

}  // namespace
}  // namespace sluice::controlplane
