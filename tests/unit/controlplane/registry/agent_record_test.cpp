#include "controlplane/registry/agent_record.hpp"

#include <gtest/gtest.h>

#include <random>

#include "sluice/base/names.hpp"

namespace sluice::controlplane {
namespace {

StoredAgent registered() {
  return {.id = id_of_name("acme/prod/translate/7"),
          .name = "acme/prod/translate/7",
          .tenant = 3,
          .origin = Origin::kRegistered,
          .endpoint = *parse_endpoint("10.0.0.2:7601"),
          .capabilities = {"translate/en/fr", "summarise"},
          .added_s = 1'700'000'000,
          .granted_s = 30,
          .renewed_realtime_ns = 1'700'000'123'456'789'012,
          .request_timestamp_ns = 1'700'000'123'000'000'000,
          .moves = 4};
}

std::vector<std::uint8_t> encoded(const StoredAgent& agent) {
  std::vector<std::uint8_t> bytes;
  encode_agent(agent, bytes);
  return bytes;
}

std::string refused(const StoredAgent& agent) {
  const auto bytes = encoded(agent);
  const auto back = decode_agent(agent.id, agent.tenant, bytes);
  return back ? "accepted" : back.error().message();
}

TEST(AgentRecordTest, ComesBackAsItWas) {
  const auto agent = registered();
  const auto bytes = encoded(agent);
  const auto back = decode_agent(agent.id, agent.tenant, bytes);
  ASSERT_TRUE(back) << back.error().message();
  const auto& read = std::get<StoredAgent>(*back);
  EXPECT_EQ(read.name, agent.name);
  EXPECT_EQ(read.tenant, agent.tenant);
  EXPECT_EQ(read.origin, agent.origin);
  EXPECT_EQ(read.endpoint, agent.endpoint);
  EXPECT_EQ(read.capabilities, agent.capabilities);
  EXPECT_EQ(read.added_s, agent.added_s);
  EXPECT_EQ(read.granted_s, agent.granted_s);
  EXPECT_EQ(read.renewed_realtime_ns, agent.renewed_realtime_ns);
  EXPECT_EQ(read.request_timestamp_ns, agent.request_timestamp_ns);
  EXPECT_EQ(read.moves, agent.moves);
}

TEST(AgentRecordTest, AgentsWithoutNameAndOfPeers) {
  StoredAgent agent = registered();
  agent.id.bytes[15] ^= 1;
  agent.name = {};
  agent.origin = Origin::kPeer;
  agent.endpoint = {};
  agent.peer = "router-b";
  agent.granted_s = 0;
  agent.capabilities.clear();
  const auto bytes = encoded(agent);
  const auto back = decode_agent(agent.id, agent.tenant, bytes);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(std::get<StoredAgent>(*back).peer, "router-b");
  EXPECT_TRUE(std::get<StoredAgent>(*back).name.empty());
}

TEST(AgentRecordTest, DepartedComeBack) {
  std::vector<std::uint8_t> bytes;
  encode_departed({.request_timestamp_ns = 77, .until_realtime_ns = 99}, bytes);
  const auto back = decode_agent(id_of_name("a/b/c/d"), 1, bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(std::get<StoredDeparted>(*back).request_timestamp_ns, 77U);
  EXPECT_EQ(std::get<StoredDeparted>(*back).until_realtime_ns, 99U);
  bytes.pop_back();
  EXPECT_FALSE(decode_agent(id_of_name("a/b/c/d"), 1, bytes));
}

TEST(AgentRecordTest, RefusesWhatCannotBe) {
  StoredAgent agent = registered();
  agent.id.bytes[0] ^= 1;
  EXPECT_NE(refused(agent).find("its name belongs to another id"), std::string::npos);
  agent = registered();
  agent.endpoint.port = 0;
  EXPECT_NE(refused(agent).find("it has no endpoint"), std::string::npos);
  agent = registered();
  agent.granted_s = 0;
  EXPECT_NE(refused(agent).find("lease and origin"), std::string::npos);
  agent.granted_s = kMaxLeaseSeconds + 1;
  EXPECT_NE(refused(agent).find("longer than any"), std::string::npos);
  agent = registered();
  agent.peer = "router-b";
  EXPECT_NE(refused(agent).find("peer and origin"), std::string::npos);
  agent = registered();
  agent.capabilities = {"no//name"};
  EXPECT_NE(refused(agent).find("a capability's name"), std::string::npos);
  agent = registered();
  agent.tenant = 0;
  EXPECT_NE(refused(agent).find("no tenant"), std::string::npos);
  agent = registered();
  agent.capabilities.assign(kMaxCapabilitiesPerAgent + 1, "x");
  EXPECT_NE(refused(agent).find("too many capabilities"), std::string::npos);
}

TEST(AgentRecordTest, EveryLengthButTheRightOneIsRefused) {
  const auto agent = registered();
  auto bytes = encoded(agent);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_agent(agent.id, agent.tenant, std::span(bytes).first(size))) << size;
  bytes.push_back(0);
  EXPECT_FALSE(decode_agent(agent.id, agent.tenant, bytes));
  bytes.pop_back();
  bytes[0] = 2;
  const auto other = decode_agent(agent.id, agent.tenant, bytes);
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message().find("version 2"), std::string::npos);
}

// Whatever is in the store, decoding ends, and what it accepts can be written again the same.
TEST(AgentRecordTest, RandomChangesNeverMislead) {
  const auto agent = registered();
  const auto good = encoded(agent);
  std::mt19937_64 random(20251120);
  unsigned accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    auto bytes = good;
    for (auto n = 1 + random() % 3; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
    const auto back = decode_agent(agent.id, agent.tenant, bytes);
    if (!back || !std::holds_alternative<StoredAgent>(*back)) continue;
    ++accepted;
    EXPECT_EQ(encoded(std::get<StoredAgent>(*back)), bytes);
  }
  EXPECT_GT(accepted, 1000U);
}

}  // namespace
}  // namespace sluice::controlplane
