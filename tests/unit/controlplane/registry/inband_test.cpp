#include "controlplane/registry/inband.hpp"

#include <gtest/gtest.h>

#include "agent.pb.h"
#include "sluice/agent/auth.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {
namespace {

constexpr std::string_view kKey = "0123456789abcdef0123456789abcdef";
constexpr std::uint64_t kRealtime = 1'700'000'000 * kNsPerSecond;

class InBandTest : public ::testing::Test {
 protected:
  InBandTest() {
    tenants_[1] = {.name = "one", .token_key = std::string(kKey), .allow = {2}};
    tenants_[2] = {.name = "two", .token_key = std::string(kKey), .allow = {}};
    tenants_[3] = {.name = "keyless"};
  }

  Time now() const { return {now_ns_, kRealtime + now_ns_}; }

  struct Shape {
    MessageType type = MessageType::kRegister;
    std::uint16_t tenant = 1;
    std::int64_t clock_off_ns = 0;
    std::string_view key = kKey;
    bool sign = true;
    const char* from = "10.0.0.2:7601";
  };
  std::vector<std::uint8_t> message(const std::string& name, const std::string& body,
                                    const Shape& shape) {
    Envelope envelope{};
    envelope.version_and_length = kVersionAndLength;
    envelope.type = static_cast<std::uint8_t>(shape.type);
    envelope.tenant.set(shape.tenant);
    envelope.sequence.set(77);
    envelope.source = id_of_name(name);
    envelope.destination = router_;
    envelope.timestamp_ns.set(now().realtime_ns + static_cast<std::uint64_t>(shape.clock_off_ns));
    agent::Signed proof;
    proof.set_body(body);
    if (shape.sign) {
      const auto token = agent::make_token(
          std::span(reinterpret_cast<const std::uint8_t*>(shape.key.data()), shape.key.size()),
          shape.tenant, envelope.source);
      const auto mac = agent::make_mac(token, envelope, body);
      proof.set_mac(std::string(mac.begin(), mac.end()));
    }
    const std::string payload = proof.SerializeAsString();
    envelope.payload_length.set(static_cast<std::uint16_t>(payload.size()));
    std::vector<std::uint8_t> bytes(kEnvelopeBytes + payload.size());
    store(bytes.data(), envelope);
    std::copy(payload.begin(), payload.end(), bytes.begin() + kEnvelopeBytes);
    return bytes;
  }
  template <class Reply>
  Reply parse(const InBand::Outcome& outcome, MessageType type) {
    Reply reply;
    EXPECT_GE(outcome.reply.size(), kEnvelopeBytes);
    if (outcome.reply.size() < kEnvelopeBytes) return reply;
    const auto envelope = load<Envelope>(outcome.reply.data());
    EXPECT_EQ(envelope.type, static_cast<std::uint8_t>(type));
    EXPECT_EQ(envelope.source, router_);
    EXPECT_EQ(envelope.sequence.get(), 77u);
    EXPECT_EQ(envelope.payload_length.get(), outcome.reply.size() - kEnvelopeBytes);
    EXPECT_TRUE(reply.ParseFromArray(outcome.reply.data() + kEnvelopeBytes,
                                     static_cast<int>(outcome.reply.size() - kEnvelopeBytes)));
    return reply;
  }
  agent::RegisterReply enroll(const std::string& name, const Shape& shape,
                              const std::vector<std::string>& capabilities = {}) {
    agent::Register body;
    body.set_name(name);
    for (const auto& capability : capabilities)
      body.add_capabilities(capability);
    now_ns_ += kNsPerMs;
    const auto bytes = message(name, body.SerializeAsString(), shape);
    return parse<agent::RegisterReply>(inband_.handle(*parse_endpoint(shape.from), bytes, now()),
                                       MessageType::kRegisterReply);
  }
  agent::ResolveReply resolve(const std::string& asker, const agent::Resolve& body,
                              std::uint16_t tenant = 1) {
    now_ns_ += kNsPerMs;
    const auto bytes =
        message(asker, body.SerializeAsString(), {.type = MessageType::kResolve, .tenant = tenant});
    return parse<agent::ResolveReply>(
        inband_.handle(*parse_endpoint("10.0.0.2:7601"), bytes, now()), MessageType::kResolveReply);
  }

  Id router_ = id_of_name("router/test");
  std::uint64_t now_ns_ = 5'000 * kNsPerSecond;
  Tenants tenants_;
  Registry registry_{SipKey{3, 4}};
  InBand inband_{registry_, tenants_, SipKey{5, 6},
                 InBandOptions{.router_id = router_, .router_name = "test"}};
};

TEST_F(InBandTest, WhoCannotBeAnsweredIsNotRegistered) {
  agent::Register body;
  body.set_name("a/b/c/1");
  for (const char* from : {"0.0.0.0:7601", "127.0.0.1:7601", "224.0.0.1:7601",
                           "255.255.255.255:7601", "[::]:7601", "[::1]:7601", "[ff02::1]:7601"}) {
    now_ns_ += kNsPerSecond;
    const auto refused = inband_.counters().refused;
    const auto outcome = inband_.handle(*parse_endpoint(from),
                                        message("a/b/c/1", body.SerializeAsString(), {}), now());
    EXPECT_TRUE(outcome.reply.empty()) << from;
    EXPECT_TRUE(outcome.warn);
    EXPECT_NE(outcome.log.find("cannot send"), std::string::npos) << outcome.log;
    EXPECT_EQ(inband_.counters().refused, refused + 1) << from;
    EXPECT_EQ(registry_.find(id_of_name("a/b/c/1")), kNoIndex) << from;
  }
}

TEST_F(InBandTest, RegistersAndTellsLeaseAndRouter) {
  const auto reply = enroll("a/b/c/1", {}, {"echo"});
  EXPECT_EQ(reply.status(), agent::OK);
  EXPECT_EQ(reply.lease_s(), 30u);
  EXPECT_EQ(reply.heartbeat_s(), 10u);
  EXPECT_EQ(reply.router_name(), "test");
  ASSERT_EQ(reply.router_id().size(), 16u);
  const auto slot = registry_.find(id_of_name("a/b/c/1"));
  ASSERT_NE(slot, kNoIndex);
  EXPECT_EQ(to_string(registry_.at(slot).endpoint), "10.0.0.2:7601");
  EXPECT_EQ(registry_.capability_names(registry_.at(slot)), std::vector<std::string>{"echo"});
}

TEST_F(InBandTest, RefusesWithoutProof) {
  EXPECT_EQ(enroll("a/b/c/1", {.sign = false}).status(), agent::BAD_TOKEN);
  EXPECT_EQ(enroll("a/b/c/1", {.key = "another key of another tenant..."}).status(),
            agent::BAD_TOKEN);
  EXPECT_EQ(enroll("a/b/c/1", {.tenant = 9}).status(), agent::UNKNOWN_TENANT);
  EXPECT_EQ(enroll("a/b/c/1", {.tenant = 3}).status(), agent::BAD_TOKEN) << "no key, no tokens";
  EXPECT_EQ(registry_.size(), 0u);
  inband_.set_require_token(false);
  EXPECT_EQ(enroll("a/b/c/1", {.tenant = 3, .sign = false}).status(), agent::OK);
  EXPECT_EQ(enroll("a/b/c/2", {.key = "a wrong one is still wrong......"}).status(),
            agent::BAD_TOKEN);
}

TEST_F(InBandTest, RefusesOtherTimes) {
  const auto second = static_cast<std::int64_t>(kNsPerSecond);
  EXPECT_EQ(enroll("a/b/c/1", {.clock_off_ns = 31 * second}).status(), agent::BAD_TIME);
  EXPECT_EQ(enroll("a/b/c/1", {.clock_off_ns = -31 * second}).status(), agent::BAD_TIME);
  EXPECT_EQ(enroll("a/b/c/1", {.clock_off_ns = 29 * second}).status(), agent::OK);
  EXPECT_EQ(enroll("a/b/c/1", {}).status(), agent::BAD_TIME) << "earlier than the last one";
}

TEST_F(InBandTest, RefusesATamperedBodyAndAReplay) {
  agent::Register body;
  body.set_name("a/b/c/1");
  auto bytes = message("a/b/c/1", body.SerializeAsString(), {});
  const auto from = *parse_endpoint("10.0.0.2:7601");
  auto tampered = bytes;
  tampered[kEnvelopeBytes + 5] ^= 1;
  const auto refused = inband_.handle(from, tampered, now());
  if (!refused.reply.empty()) {
    EXPECT_NE(parse<agent::RegisterReply>(refused, MessageType::kRegisterReply).status(),
              agent::OK);
  }
  ASSERT_EQ(registry_.size(), 0u);
  auto first = inband_.handle(from, bytes, now());
  EXPECT_EQ(parse<agent::RegisterReply>(first, MessageType::kRegisterReply).status(), agent::OK);
  auto again = inband_.handle(*parse_endpoint("10.6.6.6:666"), bytes, now());
  EXPECT_EQ(parse<agent::RegisterReply>(again, MessageType::kRegisterReply).status(),
            agent::BAD_TIME);
  EXPECT_EQ(to_string(registry_.at(registry_.find(id_of_name("a/b/c/1"))).endpoint),
            "10.0.0.2:7601");
}

TEST_F(InBandTest, UnregistersOnlyWithProof) {
  ASSERT_EQ(enroll("a/b/c/1", {}).status(), agent::OK);
  now_ns_ += kNsPerSecond;
  const auto from = *parse_endpoint("10.0.0.2:7601");
  auto bytes = message("a/b/c/1", "", {.type = MessageType::kUnregister, .sign = false});
  inband_.handle(from, bytes, now());
  EXPECT_EQ(registry_.size(), 1u);
  bytes = message("a/b/c/1", "", {.type = MessageType::kUnregister});
  const auto reply =
      parse<agent::RegisterReply>(inband_.handle(from, bytes, now()), MessageType::kRegisterReply);
  EXPECT_EQ(reply.status(), agent::OK);
  EXPECT_EQ(registry_.size(), 0u);
}

// Whoever has the key of tenant 2 can make a token for any id, also for one of tenant 1's agents.
TEST_F(InBandTest, AProofOfAnotherTenantIsNone) {
  ASSERT_EQ(enroll("a/b/c/1", {}).status(), agent::OK);
  now_ns_ += kNsPerSecond;
  const auto from = *parse_endpoint("10.0.0.2:7601");
  const auto bytes = message("a/b/c/1", "", {.type = MessageType::kUnregister, .tenant = 2});
  const auto reply =
      parse<agent::RegisterReply>(inband_.handle(from, bytes, now()), MessageType::kRegisterReply);
  EXPECT_EQ(reply.status(), agent::CONFLICT);
  EXPECT_EQ(registry_.size(), 1u);
  now_ns_ += kNsPerSecond;
  agent::Resolve what;
  what.set_capability("echo");
  EXPECT_EQ(resolve("a/b/c/1", what, 2).status(), agent::CONFLICT);
}

TEST_F(InBandTest, ResolvesNamesIdsAndCapabilities) {
  ASSERT_EQ(enroll("a/b/c/1", {}, {"echo"}).status(), agent::OK);
  ASSERT_EQ(enroll("a/b/c/2", {.tenant = 2}, {"echo"}).status(), agent::OK);
  inband_.set_availability(
      [&](std::uint32_t slot) { return registry_.at(slot).name_view() == "a/b/c/1"; });
  agent::Resolve what;
  what.set_capability("echo");
  auto reply = resolve("a/b/c/1", what);
  EXPECT_EQ(reply.status(), agent::OK);
  ASSERT_EQ(reply.members_size(), 2) << "tenant 1 may address tenant 2";
  EXPECT_TRUE(reply.members(0).available());
  EXPECT_FALSE(reply.members(1).available());
  EXPECT_EQ(resolve("a/b/c/2", what, 2).members_size(), 1) << "but not the other way round";

  what.set_agent("a/b/c/1");
  reply = resolve("a/b/c/1", what);
  ASSERT_EQ(reply.members_size(), 1);
  EXPECT_EQ(reply.members(0).name(), "a/b/c/1");
  EXPECT_EQ(reply.members(0).capabilities(0), "echo");
  what.set_agent("a/b/c/9");
  EXPECT_EQ(resolve("a/b/c/1", what).status(), agent::NOT_FOUND);
  what.set_id("short");
  EXPECT_EQ(resolve("a/b/c/1", what).status(), agent::BAD_REQUEST);
}

TEST_F(InBandTest, RepliesFitADatagramHoweverManyMembers) {
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(enroll("organisation/namespace/service/instance-" + std::to_string(i), {}, {"echo"})
                  .status(),
              agent::OK);
  }
  agent::Resolve what;
  what.set_capability("echo");
  const auto reply = resolve("organisation/namespace/service/instance-0", what);
  EXPECT_GT(reply.members_size(), 5);
  EXPECT_LE(reply.ByteSizeLong(), 1200u);
}

TEST_F(InBandTest, SurvivesAnyBytes) {
  const auto from = *parse_endpoint("10.0.0.2:7601");
  agent::Register body;
  body.set_name("a/b/c/1");
  const auto good = message("a/b/c/1", body.SerializeAsString(), {});
  for (std::size_t size = 0; size < good.size(); ++size) {
    inband_.handle(from, std::span(good).first(size), now());
  }
  std::uint64_t state = 88172645463325252ULL;
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = good;
    for (int flips = 0; flips < 3; ++flips) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      bytes[state % bytes.size()] ^= static_cast<std::uint8_t>(state >> 32);
    }
    now_ns_ += kNsPerMs;
    const auto outcome = inband_.handle(from, bytes, now());
    ASSERT_LE(outcome.reply.size(), 1400u);
  }
  EXPECT_LE(registry_.size(), 1u) << "no changed message can be signed";
}

TEST_F(InBandTest, LimitsOneSenderOnly) {
  Registry registry(SipKey{1, 1});
  InBand inband(registry, tenants_, SipKey{5, 6},
                InBandOptions{.router_id = router_, .router_name = "t", .requests_per_second = 10});
  agent::Register body;
  body.set_name("a/b/c/1");
  const auto bytes = message("a/b/c/1", body.SerializeAsString(), {});
  for (int i = 0; i < 100; ++i)
    inband.handle(*parse_endpoint("10.0.0.2:1"), bytes, now());
  EXPECT_EQ(inband.counters().rate_limited, 90u);
  EXPECT_FALSE(inband.handle(*parse_endpoint("10.0.0.3:1"), bytes, now()).reply.empty());
  now_ns_ += kNsPerSecond / 10;
  EXPECT_FALSE(inband.handle(*parse_endpoint("10.0.0.2:1"), bytes, now()).reply.empty());
}

class Disk final : public RegistryJournal {
 public:
  Status ready() const override {
    if (!full) return {};
    return fail(ErrorCode::kUnavailable, "no room", ErrorOrigin::kStore);
  }
  void changed(const Id&, std::uint16_t) override {}
  void parked(const StoredAgent&) override {}
  void peer_changed(std::string_view) override {}
  bool full = false;
};

TEST_F(InBandTest, RepliesThatPromiseSomethingWaitForTheDisk) {
  Disk disk;
  registry_.set_journal(&disk);
  agent::Register body;
  body.set_name("a/b/c/1");
  const auto ask = [&](MessageType type) {
    now_ns_ += kNsPerMs;
    const auto bytes = message("a/b/c/1", body.SerializeAsString(), {.type = type});
    return inband_.handle(*parse_endpoint("10.0.0.2:7601"), bytes, now());
  };
  const auto fresh = ask(MessageType::kRegister);
  ASSERT_TRUE(fresh.pending);
  EXPECT_TRUE(fresh.pending->fresh);
  EXPECT_FALSE(ask(MessageType::kRegister).pending) << "a renewal promises nothing new";
  body.add_capabilities("echo");
  const auto changed = ask(MessageType::kRegister);
  ASSERT_TRUE(changed.pending);
  EXPECT_FALSE(changed.pending->fresh);
  EXPECT_TRUE(ask(MessageType::kUnregister).pending);
  registry_.set_journal(nullptr);
  EXPECT_FALSE(ask(MessageType::kRegister).pending);
}

TEST_F(InBandTest, WhatTheDiskDidNotTakeIsTakenBack) {
  Disk disk;
  registry_.set_journal(&disk);
  agent::Register body;
  body.set_name("a/b/c/1");
  now_ns_ += kNsPerMs;
  const auto bytes = message("a/b/c/1", body.SerializeAsString(), {});
  const auto granted = inband_.handle(*parse_endpoint("10.0.0.2:7601"), bytes, now());
  ASSERT_TRUE(granted.pending);
  ASSERT_EQ(registry_.size(), 1u);
  const Error error(ErrorCode::kExhausted, "no room", ErrorOrigin::kStore);
  const auto refused = inband_.withdraw(*granted.pending, error, now());
  const auto reply = parse<agent::RegisterReply>(refused, MessageType::kRegisterReply);
  EXPECT_EQ(reply.status(), agent::UNAVAILABLE);
  EXPECT_NE(reply.message().find("no room"), std::string::npos);
  EXPECT_TRUE(refused.warn);
  EXPECT_EQ(registry_.size(), 0u);
  EXPECT_EQ(inband_.counters().accepted, 0u);
  disk.full = true;
  EXPECT_EQ(enroll("a/b/c/1", {}).status(), agent::UNAVAILABLE);
}

}  // namespace
}  // namespace sluice::controlplane
