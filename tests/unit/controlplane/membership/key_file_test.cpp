// Files of keys and of saved state, in a folder of the test's own.
#include "controlplane/membership/key_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <filesystem>
#include <fstream>

#include "controlplane/membership/key_tags.hpp"
#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

class Files : public testing::Test {
 protected:
  Files() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-keys-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
  }
  ~Files() override { std::filesystem::remove_all(folder_); }

  std::string path(const char* name = "file") const { return folder_ + "/" + name; }
  std::string write(const std::string& text) const {
    std::ofstream(path()) << text;
    return path();
  }

  std::string folder_;
};

Key key_of(std::uint8_t fill, std::size_t size = 32) {
  return Key::from_bytes(Bytes(size, fill)).value();
}

TEST_F(Files, KeysComeBackInTheirOrder) {
  const std::vector<Key> keys{key_of(3), key_of(1, 16), key_of(2, 24)};
  ASSERT_TRUE(create_keys(path(), keys));
  EXPECT_EQ(load_keys(path()).value(), keys);
  EXPECT_EQ(std::filesystem::status(path()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(create_keys(path(), keys).error().code(), ErrorCode::kAlreadyExists);
  const std::vector<Key> fewer{key_of(2, 24)};
  ASSERT_TRUE(save_keys(path(), fewer));
  EXPECT_EQ(load_keys(path()).value(), fewer);
  EXPECT_EQ(keyring_of(keys).value().keys(), keys);
}

TEST_F(Files, WrongKeyFilesAreNamed) {
  EXPECT_EQ(load_keys(path("none")).error().code(), ErrorCode::kNotFound);
  EXPECT_NE(load_keys(write("# nothing\n\n")).error().message().find("holds no key"),
            std::string::npos);
  const auto broken = load_keys(write("# comment\n" + key_of(1).to_base64() + "\nrubbish\n"));
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message().find(path() + ":3: "), std::string::npos)
      << broken.error().message();
  EXPECT_FALSE(load_keys(folder_));
  EXPECT_FALSE(load_keys(write(std::string(10000, '#'))));
  // With the line ends of another system, and without the last one.
  EXPECT_EQ(load_keys(write(key_of(1).to_base64() + "\r\n" + key_of(2).to_base64())).value().size(),
            2U);
}

TEST_F(Files, StateComesBack) {
  EXPECT_EQ(load_state(path("none")).value().incarnation, 0U);
  SavedState state{.incarnation = 7,
                   .peers = {{"röuter with blanks", at("10.0.0.1:7946"), 3},
                             {"b", at("[fd00::1]:8000"), 4294967295}}};
  ASSERT_TRUE(save_state(path(), state));
  const auto back = load_state(path());
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->incarnation, 7U);
  ASSERT_EQ(back->peers.size(), 2U);
  EXPECT_EQ(back->peers[0].name, "röuter with blanks");
  EXPECT_EQ(back->peers[1].address, at("[fd00::1]:8000"));
  EXPECT_EQ(back->peers[1].incarnation, 4294967295U);
}

TEST_F(Files, BrokenStatesAreRefused) {
  for (const std::string bad :
       {"", "something else\n1\n", "sluice-cluster 1\nx\n", "sluice-cluster 1\n1\n1 10.0.0.1:1\n",
        "sluice-cluster 1\n1\n1 10.0.0.1 name\n", "sluice-cluster 1\n1\n-1 10.0.0.1:1 name\n",
        "sluice-cluster 1\n1\n1 10.0.0.1:1 na\x01me\n"}) {
    const auto state = load_state(write(bad));
    ASSERT_FALSE(state) << bad;
    EXPECT_EQ(state.error().code(), ErrorCode::kCorrupt);
  }
}

TEST_F(Files, ABrokenStateIsSetAside) {
  std::vector<std::string> lines;
  const auto load = [&] {
    return load_state_or_set_aside(path(), [&](const std::string& line) { lines.push_back(line); });
  };
  EXPECT_EQ(load().incarnation, 0U);
  EXPECT_TRUE(lines.empty()) << "nothing saved is no trouble";
  write("rubbish");
  EXPECT_EQ(load().incarnation, 0U);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find(path() + ".unreadable"), std::string::npos) << lines[0];
  std::string kept;
  std::ifstream(path() + ".unreadable") >> kept;
  EXPECT_EQ(kept, "rubbish");
  EXPECT_FALSE(std::filesystem::exists(path()));
  // Also what is no file at all.
  std::filesystem::create_directory(path());
  std::filesystem::remove(path() + ".unreadable");
  EXPECT_TRUE(load().peers.empty());
  EXPECT_EQ(lines.size(), 2U);
  ASSERT_TRUE(save_state(path(), {.incarnation = 7, .peers = {}}));
  EXPECT_EQ(load().incarnation, 7U);
}

// As many peers as the core keeps, each with the longest name and address there is.
TEST_F(Files, TheLargestStateThatIsSavedCanBeRead) {
  SavedState state{.incarnation = 4294967295, .peers = {}};
  const std::size_t most = Limits{}.members + Limits{}.lost_peers;
  for (std::size_t i = 0; i < most; ++i) {
    auto name = std::to_string(i);
    name.resize(kMaxNameBytes, 'x');
    state.peers.push_back(
        {name, at("[fd00:1111:2222:3333:4444:5555:6666:7777]:65535"), 4294967295});
  }
  ASSERT_TRUE(save_state(path(), state));
  const auto back = load_state(path());
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->peers.size(), most);
}

TEST(KeyTags, TellWhichKeysAreThere) {
  const std::vector<Key> keys{key_of(1), key_of(2)};
  const auto tag = keys_tag(keys);
  EXPECT_EQ(tag, key_of(1).fingerprint() + "," + key_of(2).fingerprint());
  EXPECT_EQ(parse_keys_tag(tag),
            (std::vector<std::string>{key_of(1).fingerprint(), key_of(2).fingerprint()}));
  EXPECT_TRUE(parse_keys_tag("").empty());
  // All keys a ring may have leave room for the other tags.
  std::vector<Key> most;
  for (std::uint8_t i = 0; i < Keyring::kMaxKeys; ++i)
    most.push_back(key_of(i));
  EXPECT_LT(keys_tag(most).size(), 250U);
}

TEST_F(Files, DatesOfOrdersStayWithTheKeys) {
  const std::vector<Key> keys = {key_of(1), key_of(2)};
  const std::vector<KeyDate> dates = {{KeyStep::kAdd, key_of(2).fingerprint(), 77},
                                      {KeyStep::kRemove, key_of(3).fingerprint(), 99}};
  ASSERT_TRUE(save_keys(path(), keys, dates));
  EXPECT_EQ(load_keys(path()).value(), keys);
  EXPECT_EQ(load_key_dates(path()), dates);
  ASSERT_TRUE(save_keys(path(), keys));
  EXPECT_TRUE(load_key_dates(path()).empty());
  EXPECT_TRUE(load_key_dates(path() + ".none").empty());
  std::ofstream(path()) << key_of(1).to_base64()
                        << "\n# order 9 abc 1\n# order 1 abc\n# order 2 abc x\n# order 2 abc 5\n";
  EXPECT_EQ(load_key_dates(path()), (std::vector<KeyDate>{{KeyStep::kUse, "abc", 5}}));
}

}  // namespace
}  // namespace sluice::membership
