#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <ostream>
#include <sstream>

#include "tests/golden/row.hpp"

namespace sluice::golden {

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.name;
}

std::string dropped(std::string_view what, std::uint16_t port) {
  const std::string p = std::to_string(port) + ".";
  return p + "frames=1 " + p + "messages=1 " + p + std::string(what) + "=1";
}
std::string forwarded_counters(std::uint16_t from, std::uint16_t to) {
  return dropped("forwarded", from) + " " + std::to_string(to) + ".egress_frames=1";
}

Packet notice_for(const Packet& arrived, NoticeReason reason, std::uint64_t now_ns) {
  Packet notice = World::turned(arrived);
  notice.udp_checksum = true;
  Envelope about = arrived.envelope;
  about.version_and_length = static_cast<std::uint8_t>(
      kEnvelopeVersion << 4 | (kEnvelopeBytes + arrived.options.size()) / kHeaderUnitBytes);
  about.payload_length.set(static_cast<std::uint16_t>(arrived.payload.size()));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&about);
  notice.options.clear();
  notice.payload.assign(bytes, bytes + sizeof about);
  Envelope& envelope = notice.envelope;
  envelope.version_and_length = 0;
  envelope.payload_length = Big16(std::uint16_t{0});
  envelope.type = static_cast<std::uint8_t>(MessageType::kNotice);
  envelope.flags = 0;
  envelope.set_class_and_lifetime(arrived.envelope.traffic_class(), 0);
  envelope.hop_limit = 64;
  envelope.reason = static_cast<std::uint8_t>(reason);
  envelope.destination = arrived.envelope.source;
  envelope.source = World::router_id();
  envelope.timestamp_ns.set(now_ns);
  return notice;
}

namespace {

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> all;
  for (std::string word; in >> word;)
    all.push_back(word);
  std::ranges::sort(all);
  return all;
}

std::string describe(const std::vector<Output>& outputs) {
  std::string text;
  for (const Output& output : outputs)
    text += std::to_string(output.where) + ":" + std::to_string(output.bytes.size()) + "B ";
  return text;
}

void save(const std::string& row, const char* which, const std::vector<Output>& outputs) {
  std::vector<Bytes> frames;
  for (const Output& output : outputs)
    frames.push_back(output.bytes);
  write_pcap("golden-" + row + "-" + which + ".pcap", frames);
}

class Golden : public ::testing::TestWithParam<Row> {};

TEST_P(Golden, Row) {
  const Row& row = GetParam();
  unsigned missing = 0;
  {
    World world;
    if (row.set_up) row.set_up(world);
    if (row.input) {
      row.input(world);
    } else {
      world.receive(row.port, row.frames);
    }
    const std::vector<Output> got = world.outputs();
    EXPECT_EQ(describe(got), describe(row.expected));
    const bool same = got == row.expected;
    EXPECT_TRUE(same) << "see golden-" << row.name << "-{got,want}.pcap";
    if (!same) {
      save(row.name, "got", got);
      save(row.name, "want", row.expected);
    }
    EXPECT_EQ(words(world.counters()), words(row.counters));
    EXPECT_TRUE(world.balanced());
    missing = world.missing_buffers();
  }
  EXPECT_EQ(missing, 0u) << "buffers lost";
}

std::string row_name(const ::testing::TestParamInfo<Row>& info) {
  std::string name = info.param.name;
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Forward, Golden, ::testing::ValuesIn(forward_rows()), row_name);
INSTANTIATE_TEST_SUITE_P(Malformed, Golden, ::testing::ValuesIn(malformed_rows()), row_name);
INSTANTIATE_TEST_SUITE_P(Verdict, Golden, ::testing::ValuesIn(verdict_rows()), row_name);
INSTANTIATE_TEST_SUITE_P(Base, Golden, ::testing::ValuesIn(base_rows()), row_name);
INSTANTIATE_TEST_SUITE_P(Group, Golden, ::testing::ValuesIn(group_rows()), row_name);

}  // namespace
}  // namespace sluice::golden
