// The files that are delivered: configurations that must be right, and units that must fit them.
#include <fstream>
#include <map>
#include <sstream>

#include "support.hpp"

namespace sluice::config {
namespace {

std::string source(const std::string& path) {
  return std::string(SLUICE_SOURCE_ROOT "/") + path;
}

TEST(Delivered, Quickstart) {
  const auto config = load(source("config/quickstart.yaml"));
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->dataplane.workers, std::vector<std::uint32_t>{1});
  EXPECT_EQ(config->dataplane.idle, IdlePolicy::kAdaptive);
  EXPECT_EQ(config->dataplane.huge_pages, HugePages::kOff);
  ASSERT_EQ(config->ports.size(), 2U);
  EXPECT_EQ(config->ports[0].device, "net_tap0,iface=sl-wire0");
  EXPECT_EQ(config->ports[1].device, "net_tap1,iface=sl-wire1");
  EXPECT_EQ(to_string(config->ports[0].addresses[0]), "10.77.1.1/24");
  EXPECT_EQ(to_string(config->ports[0].addresses[1]), "fd77:1::1/64");
  EXPECT_EQ(to_string(config->ports[1].addresses[0]), "10.77.2.1/24");
  EXPECT_EQ(to_string(config->ports[1].addresses[1]), "fd77:2::1/64");
  for (const Port& port : config->ports) {
    EXPECT_EQ(port.role, PortRole::kEdge);
    EXPECT_TRUE(port.source_guard);
  }
  ASSERT_EQ(config->tenants.size(), 1U);
  EXPECT_EQ(config->tenants[0].name, "demo");
  EXPECT_EQ(config->tenants[0].token_key.size(), 32U);
  EXPECT_TRUE(config->registration.require_token);
}

TEST(Delivered, Default) {
  const auto config = load(source("config/default.yaml"));
  ASSERT_TRUE(config) << config.error().message();
  ASSERT_EQ(config->ports.size(), 2U);
  EXPECT_EQ(config->ports[1].role, PortRole::kTrunk);
}

// What the comments of default.yaml offer must be right as well.
TEST(Delivered, DefaultWithItsCommentsTakenAsText) {
  std::ifstream file(source("config/default.yaml"));
  std::string text;
  for (std::string line; std::getline(file, line);) {
    const auto hash = line.find('#');
    const auto after = hash == std::string::npos ? std::string() : line.substr(hash + 1);
    const bool example = after.find(':') != std::string::npos && after.size() > 2 &&
                         (after.starts_with("  ") || after.starts_with(" eal-args") ||
                          after.starts_with(" manager-core") || after.starts_with(" vlan") ||
                          after.starts_with(" directory") || after.starts_with(" agents: 5") ||
                          after.starts_with(" cluster:") || after.starts_with(" api:"));
    if (example && !after.starts_with("   ") && line.find_first_not_of(' ') == hash) {
      text += line.substr(0, hash) + (after.starts_with("  ") ? after : after.substr(1)) + "\n";
    } else if (example && line.starts_with("#    ")) {
      text += after + "\n";
    } else if (example && line.starts_with("#   ")) {
      text += "  " + after.substr(3) + "\n";
    } else {
      text += line + "\n";
    }
  }
  for (const char* list : {"tenants: []", "agents: []", "peers: []"}) {
    const auto at = text.find(list);
    ASSERT_NE(at, std::string::npos);
    text.erase(at + std::string_view(list).size() - 2, 2);
  }
  const auto config = parse(text, "default.yaml");
  ASSERT_TRUE(config) << config.error().message() << "\n" << text;
  EXPECT_EQ(config->dataplane.manager_core, 1U);
  EXPECT_EQ(config->ports[0].vlan, 100U);
  EXPECT_EQ(config->tenants.size(), 2U);
  EXPECT_EQ(config->agents.size(), 1U);
  EXPECT_EQ(config->peers.size(), 1U);
  EXPECT_EQ(config->api.group, "sluice");
  EXPECT_EQ(config->store.agents, 50'000'000U);
  EXPECT_EQ(config->cluster.join.size(), 2U);
}

using Unit = std::map<std::string, std::vector<std::string>>;  // "Section.Key" to its values

// systemd.syntax(7): sections in brackets, key=value, whole-line comments.
Unit read_unit(const std::string& path) {
  std::ifstream file(source(path));
  EXPECT_TRUE(file.is_open()) << path;
  Unit unit;
  std::string section;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = line.substr(1, line.size() - 2);
      continue;
    }
    const auto equals = line.find('=');
    EXPECT_TRUE(equals != std::string::npos && equals > 0 && !section.empty())
        << path << ": " << line;
    unit[section + "." + line.substr(0, equals)].push_back(line.substr(equals + 1));
  }
  return unit;
}

void expect_common(const Unit& unit, const std::string& program) {
  const auto only = [&](const std::string& key) {
    const auto found = unit.find(key);
    return found != unit.end() && found->second.size() == 1 ? found->second[0] : std::string("?");
  };
  EXPECT_EQ(only("Service.Type"), "notify");
  EXPECT_EQ(only("Service.Restart"), "always");
  EXPECT_EQ(only("Service.ExecStart"), program + " --config " + std::string(kDefaultPath));
  EXPECT_EQ("/run/" + only("Service.RuntimeDirectory"), Router{}.run_dir);
  // Else the process that stops takes away the other one's sockets.
  EXPECT_EQ(only("Service.RuntimeDirectoryPreserve"), "yes");
  EXPECT_EQ(only("Service.NoNewPrivileges"), "yes");
  EXPECT_EQ(only("Service.ProtectSystem"), "strict");
  EXPECT_EQ(only("Install.WantedBy"), "multi-user.target");
  EXPECT_EQ(only("Unit.StartLimitIntervalSec"), "0");
  std::size_t count = 0;
  for (const auto& line : unit.at("Service.CapabilityBoundingSet")) {
    std::istringstream words(line);
    for (std::string one; words >> one; ++count)
      EXPECT_TRUE(one.starts_with("CAP_")) << one;
  }
  EXPECT_GT(count, 1U);
  EXPECT_FALSE(unit.contains("Unit.Requires"));
  EXPECT_FALSE(unit.contains("Unit.BindsTo"));
}

TEST(Delivered, SystemdUnits) {
  expect_common(read_unit("config/systemd/sluice-dataplane.service"), "sluice-dataplane");
  const Unit control = read_unit("config/systemd/sluice-controlplane.service");
  expect_common(control, "sluice-controlplane");
  EXPECT_EQ("/var/lib/" + control.at("Service.StateDirectory").at(0), Router{}.state_dir);
}

}  // namespace
}  // namespace sluice::config
