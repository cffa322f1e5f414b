// From a configuration to a member of a cluster, with what is on the disk not as it should be.
#include "controlplane/app/cluster.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::controlplane {
namespace {

class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest() {
    std::string pattern = ::testing::TempDir() + "cluster-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    config_.router.name = "r1";
    config_.router.state_dir = folder_;
    config_.cluster.bind = Endpoint{parse_ip("127.0.0.1").value(), 0};
    config_.cluster.encryption = false;
  }
  ~ClusterTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  config::Config config_;
};

TEST_F(ClusterTest, NothingSavedIsNoTrouble) {
  const auto member = make_membership(config_);
  ASSERT_TRUE(member) << member.error().message();
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/cluster.state.unreadable"));
}

// A power cut, a bad disk or a hand with an editor must not keep a router from starting.
TEST_F(ClusterTest, AStateThatCannotBeReadIsSetAside) {
  std::ofstream(folder_ + "/cluster.state") << "rubbish";
  const auto member = make_membership(config_);
  ASSERT_TRUE(member) << member.error().message();
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/cluster.state"));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/cluster.state.unreadable"));
}

}  // namespace
}  // namespace sluice::controlplane
