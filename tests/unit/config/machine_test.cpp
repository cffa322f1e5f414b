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
    return found_at(7, folder_ + "/run", folder_ + "/state", lines, files);
  }
  // Of the folders themselves, which stand in the line before.
  std::string found_in_folders(const std::string& run, const std::string& state, Files files) {
    return found_at(6, folder_ + run, folder_ + state, "", files);
  }
  std::string found_at(std::uint32_t line, const std::string& run, const std::string& state,
                       const std::string& lines, Files files) {
    const auto checked = check_text(
        with_top("router: {state-dir: " + state + ", run-dir: " + run + "}\n" + lines), "f", files);
    if (checked.ok()) return {};
    EXPECT_EQ(checked.diagnostics.size(), 1U);
    EXPECT_EQ(checked.diagnostics[0].line, line);
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
            "store.directory: '" + folder_ +
                "/file' is there and is no folder; take another path, or remove it");
  EXPECT_EQ(found("store: {directory: " + folder_ + "/file/store}"),
            "store.directory: '" + folder_ + "/file/store' cannot be made: '" + folder_ +
                "/file' is no folder; take another path");
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

TEST_F(Machine, FoldersThatCannotBeMade) {
  std::filesystem::create_symlink(folder_ + "/nowhere", folder_ + "/link");
  for (const auto files : {Files::kRead, Files::kStart}) {
    EXPECT_EQ(found_in_folders("/file", "/state", files),
              "router.run-dir: '" + folder_ +
                  "/file' is there and is no folder; take another path, or remove it");
    EXPECT_EQ(found_in_folders("/file/run", "/state", files),
              "router.run-dir: '" + folder_ + "/file/run' cannot be made: '" + folder_ +
                  "/file' is no folder; take another path");
    // And not the store in it as well.
    EXPECT_EQ(found_in_folders("/run", "/file/state", files),
              "router.state-dir: '" + folder_ + "/file/state' cannot be made: '" + folder_ +
                  "/file' is no folder; take another path");
    EXPECT_EQ(found_in_folders("/run", "/link/state", files),
              "router.state-dir: '" + folder_ + "/link/state' cannot be made: '" + folder_ +
                  "/link' is no folder; take another path");
    EXPECT_EQ(found_in_folders("/a/b/c", "/d/e", files), "");
  }
  EXPECT_EQ(found_in_folders("/file", "/file", Files::kSkip), "");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/a"));
}

// Root may write everywhere, so another user looks.
class AnotherUser {
 public:
  AnotherUser() : root_(::geteuid() == 0) {
    if (root_) {
      EXPECT_EQ(::seteuid(65534), 0);
    }
  }
  ~AnotherUser() {
    if (root_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }

 private:
  const bool root_;
};

TEST_F(Machine, FoldersThatThisUserCannotMakeOrWrite) {
  std::filesystem::create_directory(folder_ + "/mine");
  std::ofstream(folder_ + "/log") << "x";
  ASSERT_EQ(::chmod((folder_ + "/mine").c_str(), 0555), 0);
  ASSERT_EQ(::chmod((folder_ + "/log").c_str(), 0400), 0);
  ASSERT_EQ(::chmod(folder_.c_str(), 01777), 0);
  {
    const AnotherUser user;
    const std::string remedy =
        "Permission denied; start as another user, or make it theirs: install -d -o USER -m 0755 ";
    EXPECT_EQ(found_in_folders("/mine/run", "/state", Files::kStart),
              "router.run-dir: '" + folder_ + "/mine/run' cannot be made: '" + folder_ +
                  "/mine': " + remedy + folder_ + "/mine/run");
    EXPECT_EQ(found_in_folders("/run", "/mine", Files::kStart),
              "router.state-dir: '" + folder_ + "/mine' cannot be written: '" + folder_ +
                  "/mine': " + remedy + folder_ + "/mine");
    EXPECT_EQ(found("log: {file: " + folder_ + "/log}", Files::kStart),
              "log.file: '" + folder_ +
                  "/log' cannot be written: Permission denied; make it this user's, or take "
                  "another path");
    // Whoever only looks is perhaps not who starts it.
    EXPECT_EQ(found_in_folders("/mine/run", "/mine", Files::kRead), "");
    EXPECT_EQ(found_in_folders("/run", "/state", Files::kStart), "");
    EXPECT_EQ(found("log: {file: " + folder_ + "/log}", Files::kRead), "");
  }
  ASSERT_EQ(::chmod((folder_ + "/mine").c_str(), 0700), 0);
}

TEST_F(Machine, SecretsThatOthersCanReadAreWarnedOf) {
  const std::string key = folder_ + "/key";
  std::ofstream(key) << "00112233445566778899aabbccddeeff\n";
  const auto text = with_top("tenants:\n  - {id: 1, name: one, token-key-file: " + key +
                             "}\ncluster: {bind: 127.0.0.1, keys-file: " + folder_ + "/file}\n" +
                             "router: {state-dir: " + folder_ + ", run-dir: " + folder_ + "}");
  const auto warnings = [&](Files files) {
    const auto checked = check_text(text, "f", files);
    EXPECT_TRUE(checked.ok());
    std::vector<std::string> out;
    for (const auto& warning : checked.warnings)
      out.push_back(to_string(warning));
    return out;
  };
  ASSERT_EQ(::chmod(key.c_str(), 0640), 0);
  ASSERT_EQ(::chmod((folder_ + "/file").c_str(), 0604), 0);
  const auto said = [&](const std::string& place, const std::string& file, const char* mode) {
    return place + ": '" + file + "' is a secret that others can read or write (mode " + mode +
           "); chmod 600 " + file;
  };
  EXPECT_EQ(warnings(Files::kRead),
            (std::vector{said("f:8:39: cluster.keys-file", folder_ + "/file", "0604"),
                         said("f:7:40: tenants[0].token-key-file", key, "0640")}));
  EXPECT_EQ(warnings(Files::kStart).size(), 2U);
  EXPECT_EQ(warnings(Files::kSkip).size(), 0U);
  ASSERT_EQ(::chmod(key.c_str(), 0600), 0);
  ASSERT_EQ(::chmod((folder_ + "/file").c_str(), 0400), 0);
  EXPECT_EQ(warnings(Files::kRead).size(), 0U);
}

TEST_F(Machine, AKeyInAConfigurationThatOthersCanRead) {
  const std::string file = folder_ + "/r.yaml";
  std::ofstream(file) << with_top(
      "tenants:\n  - {id: 1, name: one, token-key: "
      "00112233445566778899aabbccddeeff}\nrouter: {state-dir: " +
      folder_ + ", run-dir: " + folder_ + "}");
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  const auto open = check(file);
  ASSERT_EQ(open.warnings.size(), 1U);
  EXPECT_EQ(open.warnings[0].key, "tenants[0].token-key");
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  EXPECT_TRUE(check(file).warnings.empty());
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
