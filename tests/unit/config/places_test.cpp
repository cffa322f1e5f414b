// Where a mistake is said to be, unknown and repeated keys, and YAML that is no configuration.
#include <algorithm>

#include "support.hpp"

namespace sluice::config {
namespace {

TEST(Places, LineAndColumnOfTheValue) {
  EXPECT_EQ(
      only_mistake("dataplane:\n  workers: [1]\nports:\n  - name: one\n    device: net_null0\n"
                   "    mtu:    50\n"),
      "f:6:13: ports[0].mtu: '50' is not allowed; must be a whole number from 576 to 9600 "
      "(bytes)");
}

TEST(Places, OfItemsOfListsInEitherStyle) {
  EXPECT_TRUE(
      only_mistake("dataplane:\n  workers:\n    - 1\n    - x\nports: [{name: a, device: b}]")
          .starts_with("f:4:7: dataplane.workers[1]: 'x'"));
  EXPECT_TRUE(only_mistake("dataplane: {workers: [1,\n  2, x]}\nports: [{name: a, device: b}]")
                  .starts_with("f:2:6: dataplane.workers[2]: 'x'"));
}

TEST(Places, SecondItemOfAListOfMaps) {
  EXPECT_TRUE(only_mistake(kSmallest + "  - name: two\n    device: net_null1\n    vlan: 5000\n")
                  .starts_with("f:8:11: ports[1].vlan: '5000'"));
}

TEST(Places, WindowsLineEndsAndMarkOfTheByteOrder) {
  EXPECT_TRUE(
      only_mistake("dataplane:\r\n  workers: [1]\r\n  burst: 3\r\nports: [{name: a, device: b}]")
          .starts_with("f:3:10: dataplane.burst"));
  EXPECT_EQ(mistakes("\xef\xbb\xbf" + kSmallest).size(), 0U);
}

TEST(Places, AllMistakesOfAFileInItsOrder) {
  const auto all = mistakes(
      "log: {level: x}\ndataplane:\n  workers: [1]\n  burst: 1\nports:\n  - name: ONE\n    device: "
      "d\n"
      "    vlan: -1\nhold: 5\n");
  ASSERT_EQ(all.size(), 5U);
  EXPECT_TRUE(all[0].starts_with("f:1:14: log.level: "));
  EXPECT_TRUE(all[1].starts_with("f:4:10: dataplane.burst: "));
  EXPECT_TRUE(all[2].starts_with("f:6:11: ports[0].name: "));
  EXPECT_TRUE(all[3].starts_with("f:8:11: ports[0].vlan: "));
  EXPECT_EQ(all[4], "f:9:7: hold: must be a map of keys; here is a single value");
}

std::string with_wrong_cores(std::size_t count) {
  std::string cores;
  for (std::size_t i = 0; i < count; ++i)
    cores += "x, ";
  return "dataplane: {workers: [" + cores + "1]}\nports: [{name: a, device: b}]";
}

// Two mistakes each.
std::string with_wrong_agents(std::size_t count) {
  std::string agents;
  for (std::size_t i = 0; i < count; ++i)
    agents += "x, ";
  return kSmallest + "agents: [" + agents + "]\n";
}

TEST(Places, ACheckFindsAll) {
  const auto checked = check_text(with_wrong_agents(1500), "f");
  EXPECT_EQ(checked.diagnostics.size(), 3000U);
  EXPECT_EQ(checked.more, 0U);
}

TEST(Places, HoweverBadTheFileIs) {
  const auto checked = check_text(with_wrong_agents(kMaxDiagnostics / 2 + 3), "f");
  EXPECT_EQ(checked.diagnostics.size(), kMaxDiagnostics);
  EXPECT_EQ(checked.more, 6U);
}

TEST(Places, AnErrorHasTwentyAndCountsTheRest) {
  const auto result = parse(with_wrong_cores(50), "f");
  ASSERT_FALSE(result);
  const std::string text = result.error().message();
  EXPECT_EQ(std::ranges::count(text, '\n'), static_cast<std::ptrdiff_t>(kMaxInError));
  EXPECT_TRUE(text.ends_with("\nand 30 more; 'sluice config check FILE' shows all")) << text;
  EXPECT_EQ(result.error().origin(), ErrorOrigin::kConfig);
}

TEST(UnknownKeys, NameTheNearest) {
  EXPECT_EQ(only_mistake(with_dataplane("manger-core: 0")),
            "f:3:3: dataplane.manger-core: unknown key; did you mean 'manager-core'?");
  EXPECT_EQ(only_mistake(with_dataplane("huge_pages: on")),
            "f:3:3: dataplane.huge_pages: unknown key; did you mean 'huge-pages'?");
  EXPECT_EQ(only_mistake(with_port("Mtu: 1500")),
            "f:6:5: ports[0].Mtu: unknown key; did you mean 'mtu'?");
  EXPECT_EQ(only_mistake(with_port("mut: 1500")),
            "f:6:5: ports[0].mut: unknown key; did you mean 'mtu'?");
  EXPECT_EQ(only_mistake(with_top("tenant: []")),
            "f:6:1: tenant: unknown key; did you mean 'tenants'?");
}

TEST(UnknownKeys, ListAllWhenNoneIsNear) {
  EXPECT_EQ(only_mistake(with_top("hold: {quux: 1}")),
            "f:6:8: hold.quux: unknown key; known here: per-id, total, time-ms");
  EXPECT_EQ(only_mistake(with_top("hold: {'': 1}")),
            "f:6:8: hold: unknown key; known here: per-id, total, time-ms");
  EXPECT_EQ(only_mistake(with_top("'<<': {}")).substr(0, 22), "f:6:1: <<: unknown key");
}

TEST(RepeatedKeys, AreRefusedWithThePlaceOfTheFirst) {
  EXPECT_EQ(only_mistake(with_dataplane("burst: 8\n  burst: 16")),
            "f:4:3: burst: is given twice in the same map; first in line 3");
  EXPECT_EQ(only_mistake(kSmallest + "dataplane: {workers: [2]}\n"),
            "f:6:1: dataplane: is given twice in the same map; first in line 1");
  EXPECT_EQ(only_mistake(with_top("foo: 1\nfoo: 2")).substr(0, 2), "2 ");
}

TEST(Shapes, WrongOnesSayWhatIsThere) {
  EXPECT_EQ(only_mistake("[]"), "f:1:1: must be a map of keys; here is a list");
  EXPECT_EQ(only_mistake(with_dataplane("burst: [8]")),
            "f:3:10: dataplane.burst: must be a whole number from 4 to 64; here is a list");
  EXPECT_EQ(only_mistake(with_dataplane("burst:")),
            "f:3:3: dataplane.burst: has no value; must be a whole number from 4 to 64");
  EXPECT_EQ(
      only_mistake("dataplane: {workers: 1}\nports: [{name: a, device: b}]"),
      "f:1:22: dataplane.workers: must be a list, each a whole number from 0 to 1023 (core); here "
      "is a single value");
  EXPECT_EQ(only_mistake("dataplane: {workers: [1]}\nports: {name: a, device: b}"),
            "f:2:8: ports: must be a list, one map each; here is a map");
  EXPECT_EQ(only_mistake("dataplane: {workers: [1]}\nports: [a]"),
            "f:2:9: ports[0]: must be a map of keys; here is a single value");
}

TEST(Shapes, SectionsWithEverythingCommentedOutAreEmpty) {
  EXPECT_EQ(good(with_top("hold:\n  # total: 5\nagents:\n  # none\ntenants: ~")).hold.total, 8192U);
}

TEST(Yaml, WhatIsNoYaml) {
  EXPECT_TRUE(only_mistake("dataplane: [1\nports: {").starts_with("f:"));
  EXPECT_NE(only_mistake("dataplane:\n  burst: 8\n burst: 9").find("not valid YAML: "),
            std::string::npos);
  EXPECT_NE(only_mistake("a: b: c").find("not valid YAML: "), std::string::npos);
  EXPECT_NE(only_mistake("dataplane:\n\tburst: 8\n").find("begins with a tab"), std::string::npos);
  EXPECT_EQ(only_mistake("a: b:\tc").find("begins with a tab"), std::string::npos);
  EXPECT_EQ(mistakes("").size(), 2U);  // no workers, no ports
  EXPECT_EQ(mistakes("# nothing\n").size(), 2U);
}

TEST(Yaml, WhatWeDoNotTake) {
  EXPECT_NE(only_mistake("a: &x 1\nb: *x").find("f:1:4: anchors and aliases"), std::string::npos);
  EXPECT_NE(only_mistake("a: !!int 1").find("f:1:4: tags"), std::string::npos);
  EXPECT_EQ(only_mistake(kSmallest + "---\n" + kSmallest),
            "f:6:1: only one YAML document is allowed");
  EXPECT_EQ(mistakes("---\n" + kSmallest + "...\n").size(), 0U);
  EXPECT_NE(only_mistake("? [a]\n: b").find("a list or map cannot be a key"), std::string::npos);
  EXPECT_NE(only_mistake(": b").find("a key is missing"), std::string::npos);
  EXPECT_NE(only_mistake(with_top("log: {file: \"/a\\nb\"}")).find("control characters"),
            std::string::npos);
  EXPECT_NE(only_mistake("log:\n  file: |\n    /a\n    b\n").find("control characters"),
            std::string::npos);
}

TEST(Yaml, BytesThatAreNoText) {
  EXPECT_EQ(only_mistake("log:\n  \xff: 1"), "f:2:3: a byte that is not UTF-8 text");
  EXPECT_EQ(only_mistake("a\xc0\x80"), "f:1:2: a byte that is not UTF-8 text");
  EXPECT_EQ(only_mistake("\xed\xa0\x80"), "f:1:1: a byte that is not UTF-8 text");
  EXPECT_EQ(only_mistake(std::string_view("a: \0b", 5)), "f:1:4: a byte that is not UTF-8 text");
  EXPECT_EQ(only_mistake(std::string_view("\xff\xfe"
                                          "a\0:\0",
                                          6)),
            "f:1:1: a byte that is not UTF-8 text");
}

TEST(Yaml, DepthAndSizeAreBounded) {
  EXPECT_EQ(only_mistake(std::string(100000, '[')).substr(0, 4), "f:1:");
  EXPECT_EQ(only_mistake("a:\n" + std::string(5000, '{')).substr(0, 2), "f:");
  std::string block;
  for (int i = 0; i < 2000; ++i)
    block += "- ";
  EXPECT_EQ(only_mistake(block), "f:1:17: nested deeper than 8 levels");
  EXPECT_EQ(only_mistake(std::string(kMaxFileBytes + 1, ' ')),
            "f: is larger than 16 MiB; put agents into an agents-file");
  std::string keys;
  for (int i = 0; i < 100; ++i)
    keys.append("k").append(std::to_string(i)).append(": 1\n");
  EXPECT_EQ(only_mistake(keys), "f:65:1: more than 64 keys in one map");
}

TEST(Yaml, TextOfTheFileIsShownShortAndClean) {
  const auto text = only_mistake(with_dataplane("idle: " + std::string(500, 'x')));
  EXPECT_LT(text.size(), 150U);
  EXPECT_NE(text.find("xxx...'"), std::string::npos);
  // The cut does not fall into the middle of a letter.
  std::string umlauts = "z";
  for (int i = 0; i < 60; ++i)
    umlauts += "\xc3\xa4";
  EXPECT_NE(only_mistake(with_dataplane("idle: " + umlauts)).find("\xc3\xa4...'"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::config
