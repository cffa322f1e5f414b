// What the control plane needs of the machine: found when files are looked at, and only what cannot
// work is refused.
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support.hpp"

namespace sluice::config {
namespace {

class Machine : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (std::filesystem::temp_directory_path() / "sluice-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    std::ofstream(folder_ + "/file") << "x";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // The only mistake, without what stands before the key; empty: none.
  std::string found(const std::string& lines, Files files = Files::kRead) {
    const auto checked = check_text(with_top("router: {state-dir: " + folder_ +
                                             "/state, run-dir: " + folder_ + "/run}\n" + lines),
                                    "f", files);
    if (checked.ok()) return {};
    EXPECT_EQ(checked.diagnostics.size(), 1U);
    EXPECT_EQ(checked.diagnostics[0].line, 7U);
    return checked.diagnostics[0].key + ": " + checked.diagnostics[0].message;
  }

  std::string folder_;
};

TEST_F(Machine, KeysOfTheCluster) {
  const std::string bind = "cluster: {bind: 0.0.0.0";
  EXPECT_EQ(found(bind + "}"), "cluster.keys-file: '" + folder_ +
                                   "/state/cluster.keys' is not there; make it with `sluice "
                                   "cluster init`, or copy it from another router, or, for a "
                                   "laboratory, set cluster.encryption: false");
  EXPECT_EQ(found(bind + "}", Files::kSkip), "");
  EXPECT_EQ(found(bind + ", encryption: false}"), "");
  EXPECT_EQ(found("cluster: {bind: off}"), "");
  EXPECT_EQ(found(bind + ", keys-file: " + folder_ + "/file}"), "");
}

TEST_F(Machine, ThingsOfAnotherKind) {
  EXPECT_EQ(found("api: {socket: " + folder_ + "/file}"),
            "api.socket: '" + folder_ +
                "/file' is there and is no socket; take another path, or "
                "remove it");
  EXPECT_EQ(found("api: {socket: " + folder_ + "/none}"), "");
  EXPECT_EQ(found("store: {directory: " + folder_ + "/file}"),
            "store.directory: '" + folder_ + "/file' is there and is no folder");
  EXPECT_EQ(found("store: {directory: " + folder_ + "}"), "");
  EXPECT_EQ(found("store: {directory: " + folder_ + "/none}"), "");
  EXPECT_EQ(found("log: {file: " + folder_ + "}"),
            "log.file: '" + folder_ + "' is a folder; must be a file");
  EXPECT_EQ(found("log: {file: " + folder_ + "}", Files::kSkip), "");
}

TEST_F(Machine, TheSocketOfOneThatRunsIsNoMistake) {
  const std::string path = folder_ + "/api.sock";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  EXPECT_EQ(found("api: {socket: " + path + "}"), "");
  EXPECT_EQ(found("log: {file: " + path + "}"),
            "log.file: '" + path + "' is a socket; must be a file");
}

TEST_F(Machine, FolderOfTheLog) {
  EXPECT_EQ(found("log: {file: " + folder_ + "/none/log}"),
            "log.file: the folder '" + folder_ + "/none' is not there");
  EXPECT_EQ(found("log: {file: " + folder_ + "/log}"), "");
  EXPECT_EQ(found("log: {file: /dev/null}"), "");
  // Not made yet.
  EXPECT_EQ(found("log: {file: " + folder_ + "/run/log}"), "");
  EXPECT_EQ(found("log: {file: " + folder_ + "/state/./log}"), "");
}

TEST_F(Machine, GroupOfTheSocket) {
  EXPECT_EQ(found("api: {group: no-such-group-here}"),
            "api.group: there is no group 'no-such-group-here'");
  EXPECT_EQ(found("api: {group: root}"), "");
  EXPECT_EQ(found("api: {group: no-such-group-here}", Files::kSkip), "");
}

TEST_F(Machine, WhatCannotBeSeenIsNotJudged) {
  std::filesystem::create_directory(folder_ + "/state");
  const bool root = ::geteuid() == 0;
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((folder_ + "/state").c_str(), 0), 0);
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  EXPECT_EQ(found("cluster: {bind: 0.0.0.0}"), "");
  EXPECT_EQ(found("log: {file: " + folder_ + "/state/a/log}"), "");
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  ASSERT_EQ(::chmod((folder_ + "/state").c_str(), 0700), 0);
}

}  // namespace
}  // namespace sluice::config
