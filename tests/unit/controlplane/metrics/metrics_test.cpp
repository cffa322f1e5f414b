#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "controlplane/metrics/table.hpp"

namespace sluice::controlplane {
namespace {

// Every name of the table, as the conventions want it.
class Names {
 public:
  void check(const std::string& name, const std::string& help, bool counter) {
    static const std::regex kForm("sluice_[a-z]+(_[a-z0-9]+)+");
    EXPECT_TRUE(std::regex_match(name, kForm)) << name;
    EXPECT_TRUE(seen_.insert(name).second) << name << " is there twice";
    EXPECT_FALSE(help.empty()) << name;
    EXPECT_EQ(name.ends_with("_total"), counter) << name;
  }

 private:
  std::set<std::string> seen_;
};

TEST(MetricsTable, NamesFollowTheConventions) {
  Names names;
  for (const auto& row : kPortRows)
    names.check(row.name, row.help, true);
  for (const auto& row : kWorkerRows)
    names.check(row.name, row.help, true);
  for (const auto& row : kTableRows)
    names.check(row.name, row.help, row.kind == Kind::kCounter);
  for (const auto& row : kOwnRows)
    names.check(row.name, row.help, row.kind == Kind::kCounter);
  names.check(kDroppedName, kDroppedHelp, true);
}

TEST(MetricsTable, NoCounterIsExportedTwice) {
  for (std::size_t i = 0; i < std::size(kPortRows); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_NE(kPortRows[i].counter, kPortRows[j].counter);
  }
  for (std::size_t i = 0; i < std::size(kTableRows); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_NE(kTableRows[i].value, kTableRows[j].value);
  }
}

TEST(MetricsTable, EveryPortCounterIsThere) {
  // frames .. egress_queued; the drops are one family of their own.
  constexpr std::size_t kCounters = offsetof(link::PortCounters, dropped) / sizeof(std::uint64_t);
  EXPECT_EQ(std::size(kPortRows), kCounters);
}

}  // namespace
}  // namespace sluice::controlplane
