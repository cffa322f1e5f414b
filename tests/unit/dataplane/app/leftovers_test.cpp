#include "dataplane/app/leftovers.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/unit/dataplane/app/fake_machine.hpp"

namespace sluice::dataplane {
namespace {

class Leftovers : public testing::Test {
 protected:
  Leftovers() {
    fake.write("/proc/self/mounts", "none /dev/huge hugetlbfs rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n");
    fake.write("/dev/huge/sluice-run-sluicemap_0", "");
    fake.write("/dev/huge/sluice-run-othermap_0", "");
    fake.write("/tmp/sluice-run-sluicemap_0", "");
    fake.write("/run/sluice/dataplane.lock", "1\n");
  }
  FakeMachine fake;
};

TEST_F(Leftovers, OnlyOurOwnFilesInHugetlbfsGo) {
  EXPECT_EQ(remove_leftover_pages(small_config(), fake.machine()), 1U);
  EXPECT_FALSE(fake.machine().exists("/dev/huge/sluice-run-sluicemap_0"));
  EXPECT_TRUE(fake.machine().exists("/dev/huge/sluice-run-othermap_0"));
  EXPECT_TRUE(fake.machine().exists("/tmp/sluice-run-sluicemap_0"));
}

TEST_F(Leftovers, NothingGoesWhileTheDataplaneLives) {
  const int fd = ::open(fake.path("/run/sluice/dataplane.lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(remove_leftover_pages(small_config(), fake.machine()), 0U);
  ::close(fd);
  EXPECT_TRUE(fake.machine().exists("/dev/huge/sluice-run-sluicemap_0"));
}

}  // namespace
}  // namespace sluice::dataplane
