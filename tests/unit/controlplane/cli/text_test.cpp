// Numbers, tables, JSON, and frames taken apart.
#include "controlplane/cli/text.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "controlplane/cli/frame.hpp"
#include "controlplane/cli/json.hpp"
#include "controlplane/cli/rates.hpp"
#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::cli {
namespace {

TEST(Text, Numbers) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1'234'567), "1,234,567");
  EXPECT_EQ(duration_text(0), "0 ns");
  EXPECT_EQ(duration_text(850), "850 ns");
  EXPECT_EQ(duration_text(12'345), "12.3 us");
  EXPECT_EQ(duration_text(4'560'000), "4.56 ms");
  EXPECT_EQ(duration_text(1'230'000'000), "1.23 s");
  EXPECT_EQ(duration_text(125'000'000'000), "2 min 5 s");
  EXPECT_EQ(duration_text(3600'000'000'000), "1 h");
  EXPECT_EQ(duration_text(90'061'000'000'000), "1 d 1 h");
  EXPECT_EQ(scaled_text(0), "0");
  EXPECT_EQ(scaled_text(12.34), "12.3");
  EXPECT_EQ(scaled_text(1'234'567), "1.23 M");
  EXPECT_EQ(scaled_text(999.9), "1.00 k");
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(45 << 20), "45.0 MiB");
  EXPECT_EQ(percent_text(0, 0), "-");
  EXPECT_EQ(percent_text(1, 4), "25 %");
  EXPECT_EQ(percent_text(1, 1'000'000), "<0.001 %");
}

TEST(Text, TablesAlignDespiteColoursAndUtf8) {
  Table table({"NAME", ">COUNT"});
  table.row({"\xc3\xa4\xc3\xb6", "1"});
  table.row({Paint(true).good("long name"), "1,000"});
  EXPECT_EQ(table.text(Paint()),
            "NAME       COUNT\n"
            "\xc3\xa4\xc3\xb6             1\n"
            "\x1b[32mlong name\x1b[0m  1,000\n");
}

TEST(Text, ForeignTextCannotDriveTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\n"), "a?[2Jb?");
  EXPECT_EQ(printable_lines("a\x1b[2Jb\nc\rd"), "a?[2Jb\nc?d");
  EXPECT_EQ(printable_lines("\n"), "\n");
}

TEST(Json, EscapesAndNests) {
  JsonWriter json(false);
  json.begin_object().member("a\"b", std::string("x\n\\")).key("empty").begin_array().end_array();
  json.member("big", std::uint64_t{UINT64_MAX}).member("rate", 0.5).member("yes", true);
  json.member("nothing", std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(json.end_object().take(),
            "{\"a\\\"b\":\"x\\u000a\\\\\",\"empty\":[],\"big\":18446744073709551615,\"rate\":0.5,"
            "\"yes\":true,\"nothing\":null}\n");
}

TEST(Json, MessagesKeepAllFieldsAndReadableValues) {
  api::TraceStarted started;
  started.set_source(std::string(16, '\x01'));
  EXPECT_EQ(JsonWriter(false).value(started).take(),
            "{\"source\":\"01010101-0101-0101-0101-010101010101\",\"destination\":\"\",\"count\":0}"
            "\n");
  EXPECT_EQ(enum_word("REACH_NO_ROUTE"), "no_route");
  EXPECT_EQ(bytes_as_text("\x0f\xa0"), "0fa0");
}

std::string frame(std::uint8_t hop_limit, const char* destination) {
  EthernetHeader eth{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, Big16(kEtherTypeIpv4)};
  Ipv4Header ip{};
  ip.version_and_length = 0x45;
  ip.total_length.set(20 + 8 + 64);
  ip.ttl = 64;
  ip.protocol = kIpProtocolUdp;
  ip.source = parse_ip("10.0.0.1")->v4_part();
  ip.destination = parse_ip(destination)->v4_part();
  UdpHeader udp{Big16(std::uint16_t{7601}), Big16(std::uint16_t{7600}), Big16(std::uint16_t{72}),
                Big16(std::uint16_t{0xbeef})};
  Envelope e{};
  e.version_and_length = kVersionAndLength;
  e.flags = message_flag::kNotify | message_flag::kTrace;
  e.set_class_and_lifetime(7, 3);
  e.hop_limit = hop_limit;
  std::string bytes;
  const auto append = [&](const auto& header) {
    bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
  };
  append(eth);
  append(ip);
  append(udp);
  append(e);
  return bytes;
}

std::string value_of(const std::vector<FrameField>& fields, std::string_view name) {
  for (const auto& field : fields)
    if (field.name == name) return field.value;
  return "missing";
}

TEST(Frame, IsTakenApart) {
  const auto fields = decode_frame(frame(16, "10.0.0.9"));
  EXPECT_EQ(value_of(fields, "eth.destination"), "02:00:00:00:00:01");
  EXPECT_EQ(value_of(fields, "ip.destination"), "10.0.0.9");
  EXPECT_EQ(value_of(fields, "udp.checksum"), "0xbeef");
  EXPECT_EQ(value_of(fields, "message.flags"), "trace notify");
  EXPECT_EQ(value_of(fields, "message.class"), "7");
  EXPECT_EQ(value_of(fields, "message.lifetime"), "4 ms");
  EXPECT_EQ(value_of(fields, "message.hop_limit"), "16");
}

TEST(Frame, CutAnywhereIsReadNoFurther) {
  const std::string whole = frame(16, "10.0.0.9");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    // Its own allocation, so that a sanitizer sees a step too far.
    const std::vector<char> part(whole.begin(), whole.begin() + static_cast<long>(length));
    const auto fields = decode_frame({part.data(), part.size()});
    ASSERT_FALSE(fields.empty());
    const bool whole_headers = length == 14 || length == 34 || length == 42;
    EXPECT_TRUE(fields.back().value == "cut off" || whole_headers) << length;
  }
}

TEST(Frame, ChangedBytesAreLinesOfBeforeAndAfter) {
  const auto lines = changed_bytes(frame(16, "10.0.0.9"), frame(15, "10.0.0.9"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].substr(0, 6), "0020 -");
  EXPECT_EQ(lines[1].substr(0, 6), "0020 +");
  EXPECT_EQ(changed_bytes("ab", "abc").size(), 2u);
  EXPECT_TRUE(changed_bytes("ab", "ab").empty());
}

api::StatsReply sample(std::uint64_t ns, std::uint64_t instance, std::uint64_t messages) {
  api::StatsReply s;
  s.set_taken_ns(ns);
  s.set_dataplane_instance(instance);
  s.set_tsc_hz(1'000'000'000);
  auto& p = *s.add_ports();
  p.set_port("a");
  p.mutable_counters()->set_messages(messages);
  auto& w = *s.add_workers();
  w.set_busy_tsc(ns / 4);
  return s;
}

TEST(Rates, AreTakenBetweenSamplesOfOneDataplane) {
  Rates rates;
  EXPECT_FALSE(rates.next(sample(1'000'000'000, 1, 100)));
  ASSERT_TRUE(rates.next(sample(3'000'000'000, 1, 2'100)));
  EXPECT_DOUBLE_EQ(rates.per_second(rates.growth("a")->messages()), 1000);
  EXPECT_DOUBLE_EQ(*rates.busy(0), 0.25);
  EXPECT_EQ(rates.growth("b"), nullptr);
  EXPECT_FALSE(rates.next(sample(4'000'000'000, 2, 5)));  // another dataplane
  EXPECT_TRUE(rates.restarted());
  EXPECT_TRUE(rates.next(sample(5'000'000'000, 2, 6)));
  EXPECT_TRUE(rates.next(sample(6'000'000'000, 2, 0)));  // cleared
  EXPECT_TRUE(rates.restarted());
  EXPECT_EQ(rates.growth("a"), nullptr);
}

}  // namespace
}  // namespace sluice::cli
