#include "dataplane/worker/dispatch.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/golden/packet.hpp"

namespace sluice::dataplane {
namespace {

using golden::Bytes;
using golden::Packet;

Bytes frame(std::uint16_t from_port, bool six = false, std::uint16_t vlan = 0) {
  Packet packet;
  packet.vlan = vlan;
  packet.from = six ? *parse_ip("fd00::9") : *parse_ip("10.0.0.9");
  packet.to = six ? *parse_ip("fd00::1") : *parse_ip("10.0.0.1");
  packet.from_port = from_port;
  packet.payload = {static_cast<std::uint8_t>(from_port)};
  return golden::build(packet);
}
std::uint32_t hash(const Bytes& bytes) {
  return flow_hash(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}

TEST(FlowHash, SameSenderSameWorker) {
  for (const bool six : {false, true}) {
    for (const std::uint16_t vlan : std::initializer_list<std::uint16_t>{0, 100}) {
      Bytes one = frame(4000, six, vlan);
      Bytes two = one;
      two.back() ^= 1;  // payload
      EXPECT_EQ(hash(one), hash(two));
    }
  }
}

TEST(FlowHash, SendersSpreadEvenly) {
  for (const bool six : {false, true}) {
    std::map<std::uint64_t, int> workers;
    for (std::uint16_t port = 1000; port < 5000; ++port)
      ++workers[std::uint64_t{hash(frame(port, six))} * 4 >> 32];
    ASSERT_EQ(workers.size(), 4u);
    for (const auto& [worker, count] : workers)
      EXPECT_NEAR(count, 1000, 150) << "worker " << worker;
  }
}

TEST(FlowHash, FragmentsOfOneDatagramStayTogether) {
  Bytes first = frame(4000);
  Bytes later = frame(4001);  // what lies where the ports were is payload
  first[20] = 0x20;
  later[21] = 0x10;
  EXPECT_EQ(hash(first), hash(later));
}

TEST(FlowHash, AnyTruncationIsFine) {
  for (const bool six : {false, true}) {
    const Bytes whole = frame(4000, six, 100);
    for (std::size_t n = 0; n <= whole.size(); ++n)
      hash(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)));
  }
  EXPECT_EQ(hash({}), 0u);
}

}  // namespace
}  // namespace sluice::dataplane
