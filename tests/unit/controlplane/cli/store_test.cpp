// The store's commands beyond their golden answers: progress, damage, mistakes, and what works
// without a control plane: estimates, and restoring a backup of a real store.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "config/config.hpp"
#include "controlplane/cli/values.hpp"
#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/index.hpp"
#include "fixture.hpp"

namespace sluice::cli {
namespace {

namespace store = controlplane::store;

class StoreCommands : public testing::Test {
 protected:
  StoreCommands() { fill(router_.state()); }
  FakeControlPlane router_;
};

TEST_F(StoreCommands, ProgressIsOneLineOnATerminalOnly) {
  const auto plain = router_.run({"store", "verify"});
  EXPECT_EQ(plain.err, "");
  const auto terminal = router_.run({"store", "verify"}, true);
  EXPECT_EQ(terminal.err, "\rverifying: 1.00 GiB of 4.00 GiB, 25 %\x1b[K\r\x1b[K");
  EXPECT_EQ(router_.run({"store", "verify", "--json"}, true).err, "");
}

TEST_F(StoreCommands, VerifyNamesDamageAndFails) {
  auto& damage = *router_.state().verified.back().mutable_report()->add_damaged();
  damage.set_file("/var/lib/sluice/store/seg-0000000000000007");
  damage.set_what("records, offset 65536: checksum");
  const auto ran = router_.run({"store", "verify"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(ran.out,
            "/var/lib/sluice/store/seg-0000000000000007: records, offset 65536: checksum\n"
            "9 files, 118 MiB checked: 1 damaged; what is in them is not served; restore a "
            "backup, or see 'sluice store salvage --help'\n");
  const auto json = router_.run({"store", "verify", "--json"});
  EXPECT_EQ(json.status, kFailed);
  EXPECT_EQ(nlohmann::json::parse(json.out)["damaged"].size(), 1u);
}

TEST_F(StoreCommands, StatusSaysWhatIsWrong) {
  router_.state().store.set_damaged_segments(2);
  EXPECT_NE(router_.run({"store", "status"}).out.find("damaged: 2 segments; 'sluice store verify'"),
            std::string::npos);
  router_.state().store.set_error("writing /x: No space left on device");
  router_.state().store.set_failing_ns(3'000'000'000);
  EXPECT_NE(router_.run({"store", "status"})
                .out.find("failing for 3.00 s: writing /x: No space left on device"),
            std::string::npos);
}

TEST_F(StoreCommands, AStreamWithoutReportFails) {
  router_.state().backup.pop_back();
  const auto ran = router_.run({"store", "backup", "/b"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(ran.err, "sluice: the control plane ended without a report\n");
  router_.state().error = {grpc::ALREADY_EXISTS, "backup to /b: it is not empty"};
  EXPECT_EQ(router_.run({"store", "backup", "/b"}).err, "sluice: backup to /b: it is not empty\n");
}

TEST_F(StoreCommands, WhatIsCountedIsNotCalledBytes) {
  EXPECT_EQ(router_.run({"store", "usage"}, true).err.substr(0, 51),
            "\rcounting: 1,073,741,824 entries of 4,294,967,296 e");
  const auto usage = router_.run({"store", "usage"});
  EXPECT_EQ(router_.state().requests.back(), "Usage");
  EXPECT_EQ(usage.status, kDone);
}

TEST_F(StoreCommands, AnExportIsAnObjectALine) {
  const auto ran = router_.run({"store", "export", "--tenant", "1"});
  EXPECT_EQ(ran.status, kDone) << ran.err;
  EXPECT_EQ(router_.state().requests.back(), "Export tenant: 1");
  std::vector<nlohmann::json> lines;
  std::istringstream text(ran.out);
  for (std::string line; std::getline(text, line);)
    lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 5u) << ran.out;
  EXPECT_EQ(lines[0],
            nlohmann::json::parse(R"({"format":"sluice-tenant-export","version":1,"tenant":1})"));
  EXPECT_EQ(lines[1]["kind"], "agent");
  EXPECT_EQ(lines[1]["name"], "acme/prod/translate/7");
  EXPECT_EQ(lines[1]["capabilities"], nlohmann::json::parse(R"(["translate"])"));
  EXPECT_EQ(lines[2]["kind"], "departed");
  EXPECT_EQ(lines[2]["id"], "11111111-1111-1111-1111-111111111111");
  EXPECT_EQ(lines[3], nlohmann::json::parse(
                          R"({"table":"more","kind":"bytes","key_hex":"0102","value_hex":"",
                              "error":""})"));
  EXPECT_EQ(lines[4], nlohmann::json::parse(R"({"end":true,"items":3,"sequence":1234567})"));
}

class StoreExport : public StoreCommands {
 protected:
  void SetUp() override {
    std::string folder = (std::filesystem::temp_directory_path() / "sluice-export-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    file_ = folder_ + "/one.jsonl";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Ran run(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"store", "export", "--tenant", "1", "--output", file_};
    words.insert(words.end(), more.begin(), more.end());
    return router_.run(words);
  }
  std::string content() const {
    std::ifstream file(file_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::string folder_;
  std::string file_;
};

TEST_F(StoreExport, ToAFile) {
  const auto ran = run();
  EXPECT_EQ(ran.status, kDone) << ran.err;
  EXPECT_EQ(ran.out, file_ + ": 3 items of tenant 1, everything up to write 1,234,567\n");
  EXPECT_EQ(content(), router_.run({"store", "export", "--tenant", "1"}).out);
  EXPECT_EQ(std::filesystem::status(file_).permissions(), std::filesystem::perms(0600));
  const auto json = nlohmann::json::parse(run({"--json"}).out);
  EXPECT_EQ(json["file"], file_);
  EXPECT_EQ(json["items"], 3);
  EXPECT_EQ(files(), 1u);
}

TEST_F(StoreExport, IsWholeOrIsNotThere) {
  router_.state().exported.pop_back();  // ends without a report
  const auto ran = run();
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(router_.run({"store", "export", "--tenant", "1"}).out, "");
  std::ofstream(file_) << "of before";
  router_.state().error = {grpc::DATA_LOSS, "seg-1 is damaged; restore it from a backup"};
  EXPECT_EQ(run().err, "sluice: seg-1 is damaged; restore it from a backup\n");
  EXPECT_EQ(content(), "of before");
  EXPECT_EQ(files(), 1u);
}

TEST_F(StoreExport, ToAPlaceThatIsNotThere) {
  file_ = folder_ + "/none/one.jsonl";
  const auto ran = run();
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.err.find("none/one.jsonl: No such file or directory"), std::string::npos)
      << ran.err;
}

TEST_F(StoreCommands, WithoutYesNothingIsDeleted) {
  router_.state().error = {grpc::FAILED_PRECONDITION, "this ends 7 agents; --yes confirms it"};
  const auto ran = router_.run({"store", "delete", "--tenant", "1"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(ran.err, "sluice: this ends 7 agents; --yes confirms it\n");
  EXPECT_EQ(router_.state().requests.back(), "DeleteTenant tenant: 1");
}

TEST_F(StoreCommands, WrongUsage) {
  for (const char* verb : {"export", "delete"}) {
    EXPECT_EQ(router_.run({"store", verb}).status, kWrongUsage);
    EXPECT_EQ(router_.run({"store", verb, "--tenant", "65536"}).status, kWrongUsage);
  }
  EXPECT_EQ(router_.run({"store", "migrate"}).status, kWrongUsage);
  EXPECT_EQ(router_.run({"store", "migrate", "--lanes", "65"}).status, kWrongUsage);
  EXPECT_EQ(router_.run({"store", "backup"}).status, kWrongUsage);
  EXPECT_EQ(run_words({"store", "estimate"}).status, kWrongUsage);
  EXPECT_EQ(run_words({"store", "estimate", "--agents", "1", "--memory", "4X"}).status,
            kWrongUsage);
  EXPECT_EQ(run_words({"store", "estimate", "--agents", "1", "--lanes", "65"}).status, kWrongUsage);
  for (const auto* measured : {"positive:1:2:3", "x:1:1:1", "positive:1:1", "negative:a:1:1"}) {
    const auto ran = run_words({"store", "estimate", "--agents", "1", "--measured", measured});
    EXPECT_EQ(ran.status, kWrongUsage) << measured;
    EXPECT_NE(ran.err.find("--measured"), std::string::npos);
  }
}

std::string golden(const std::string& name, const std::string& got) {
  const std::string path = std::string(SLUICE_GOLDEN) + "/" + name;
  if (std::getenv("SLUICE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << got;
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> estimate_words(std::vector<std::string> more) {
  std::vector<std::string> words = {"store", "estimate"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}
Ran estimate(std::vector<std::string> more) {
  return run_words(estimate_words(std::move(more)));
}

TEST(StoreEstimate, TextAndJson) {
  const std::vector<std::string> words = {"--agents", "1M", "--capabilities", "1000",
                                          "--memory", "1G", "--caches"};
  const auto text = estimate(words);
  EXPECT_EQ(text.status, kDone) << text.err;
  EXPECT_EQ(text.out, golden("store-estimate.out", text.out));
  auto with_json = words;
  with_json.emplace_back("--json");
  const auto json = estimate(with_json);
  EXPECT_TRUE(nlohmann::json::accept(json.out));
  EXPECT_EQ(json.out, golden("store-estimate.json", json.out));
}

// The block that was printed, in a configuration file: with the cores and ports that are there.
config::Checked check_printed(const std::string& out) {
  const auto begin = out.find("# vm.nr_hugepages");
  const auto end = out.find("\n\n", begin);
  EXPECT_NE(begin, std::string::npos) << out;
  if (begin == std::string::npos) return {};
  auto block = out.substr(begin, end - begin) + "\n";
  const std::string section = "\ndataplane:\n";
  EXPECT_NE(block.find(section), std::string::npos) << block;
  block.insert(block.find(section) + section.size(), "  workers: [1]\n");
  return config::check_text(block + "ports:\n  - {name: one, device: net_null0}\n", "printed");
}

TEST(StoreEstimate, WhatIsPrintedIsAConfigurationThatHoldsTheFleet) {
  for (const char* agents : {"1", "1000", "131071", "1M", "10M", "200M", "1073741824"}) {
    for (const char* capabilities : {"0", "1000", "1048576"}) {
      const auto ran = estimate({"--agents", agents, "--capabilities", capabilities});
      ASSERT_EQ(ran.status, kDone) << ran.err;
      const auto checked = check_printed(ran.out);
      ASSERT_TRUE(checked.ok()) << to_string(checked.diagnostics.at(0)) << ran.out;
      const auto& config = checked.config;
      const auto wanted = parse_count(agents).value();
      EXPECT_GE(config.store.agents, wanted);
      EXPECT_GE(config.dataplane.groups, parse_count(capabilities).value());
      EXPECT_GE(config.dataplane.adjacencies, std::min<std::uint64_t>(wanted, 1 << 20));
      EXPECT_EQ(config.store.base, true);
      // Whoever asks for no lease in particular, and whoever asks for the shortest, gets one that
      // can be renewed.
      EXPECT_GE(std::uint64_t{config.limits.punts_per_second} * config.leases.min_s, 6 * wanted);
      EXPECT_GE(config.leases.default_s, config.leases.min_s);
    }
  }
}

TEST(StoreEstimate, FollowsWhatIsConfigured) {
  const auto checked = check_printed(estimate({"--agents", "300k", "--no-base", "--lanes", "8",
                                               "--hosts", "100", "--mbufs", "65536"})
                                         .out);
  ASSERT_TRUE(checked.ok()) << to_string(checked.diagnostics.at(0));
  EXPECT_FALSE(checked.config.store.base);
  EXPECT_GT(checked.config.dataplane.routes, checked.config.store.agents);
  EXPECT_EQ(checked.config.store.lanes, 8U);
  EXPECT_LT(checked.config.dataplane.adjacencies, 1000U);
  EXPECT_EQ(checked.config.dataplane.mbufs, 65536U);
  EXPECT_EQ(estimate({"--agents", "1", "--mbufs", "10"}).status, kWrongUsage);
}

TEST(StoreEstimate, JsonHasTheSameConfiguration) {
  const auto text = estimate({"--agents", "1M"}).out;
  const auto json = nlohmann::json::parse(estimate({"--agents", "1M", "--json"}).out);
  const auto& configuration = json["configuration"];
  EXPECT_NE(text.find(configuration["yaml"].get<std::string>()), std::string::npos);
  EXPECT_NE(
      text.find(fmt::format("vm.nr_hugepages = {} ", configuration["vm_nr_hugepages"].get<int>())),
      std::string::npos);
  std::size_t found = 0;
  for (const auto& key : configuration["keys"]) {
    if (key["key"] == "store.agents") found += key["value"].get<std::uint64_t>() > 1'000'000;
    if (key["key"] == "store.base") found += key["value"] == true;
  }
  EXPECT_EQ(found, 2U);
  EXPECT_FALSE(json.contains("caches"));
  EXPECT_FALSE(json.contains("fits"));
}

TEST(StoreEstimate, SaysWhatTheKernelsNeighbourTableMustHold) {
  const auto many = estimate({"--agents", "1M", "--hosts", "20k"});
  EXPECT_EQ(many.status, kDone);
  EXPECT_NE(many.out.find("\n# net.ipv4.neigh.default.gc_thresh2 = 21314\n"
                          "# net.ipv4.neigh.default.gc_thresh3 = 42628 "),
            std::string::npos)
      << many.out;
  const auto few = estimate({"--agents", "1M", "--hosts", "400"});
  EXPECT_EQ(few.out.find("neigh"), std::string::npos) << few.out;
  const auto json = nlohmann::json::parse(
      estimate({"--agents", "1M", "--hosts", "400", "--json"}).out)["configuration"];
  EXPECT_EQ(json["neigh_gc_thresh2"], 512);
  EXPECT_EQ(json["neigh_gc_thresh3"], 1024);
}

TEST(StoreEstimate, NamesMbufsThatAreTooFewToStart) {
  const std::vector<std::string> given = {"--agents", "1k", "--mbufs", "16384"};
  EXPECT_EQ(estimate(given).status, kDone);
  auto larger = given;
  larger.insert(larger.end(), {"--ports", "2", "--workers", "4"});
  const auto ran = estimate(larger);
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.out.find("too few mbufs: 16384 packet buffers are less than the 29866 that can be "
                         "out at once with 2 ports, 4 workers and"),
            std::string::npos)
      << ran.out;
  larger[3] = "29866";
  EXPECT_EQ(estimate(larger).status, kDone);
  EXPECT_EQ(estimate({"--agents", "1k", "--workers", "65"}).status, kWrongUsage);
}

TEST(StoreEstimate, SaysWhatNoRouterHolds) {
  const auto ran = estimate({"--agents", "1M", "--capabilities", "2M"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.out.find("no router can hold this fleet: 1048576 different capabilities at most; "
                         "divide it over several routers"),
            std::string::npos)
      << ran.out;
  EXPECT_EQ(ran.out.find("nr_hugepages"), std::string::npos);
  const auto json =
      nlohmann::json::parse(estimate({"--agents", "1M", "--capabilities", "2M", "--json"}).out);
  EXPECT_TRUE(json["configuration"].is_null());
  EXPECT_EQ(json["beyond"].size(), 1U);
}

TEST(StoreEstimate, SaysWhetherItFitsAndByHowMuchNot) {
  const auto ran = estimate({"--agents", "50M", "--memory", "1G"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.out.find("does not fit: "), std::string::npos);
  EXPECT_NE(ran.out.find(" are missing\n"), std::string::npos);
  const auto json =
      nlohmann::json::parse(estimate({"--agents", "50M", "--memory", "1G", "--json"}).out);
  EXPECT_FALSE(json["fits"].get<bool>());
  const auto missing = json["missing_bytes"].get<std::uint64_t>();
  EXPECT_GT(missing, 0U);
  // To the byte: so much more, and it fits.
  const auto enough = missing + (std::uint64_t{1} << 30);
  const auto fits = estimate({"--agents", "50M", "--memory", std::to_string(enough)});
  EXPECT_EQ(fits.status, kDone);
  EXPECT_NE(fits.out.find("\nfits: "), std::string::npos) << fits.out;
  EXPECT_EQ(estimate({"--agents", "50M", "--memory", std::to_string(enough - 1)}).status, kFailed);
}

TEST(StoreEstimate, CachesAreAPlanForOthersAndOnlyWhenAsked) {
  const auto plain = estimate({"--agents", "1M", "--memory", "4G"});
  EXPECT_EQ(plain.out.find("cache"), std::string::npos) << plain.out;
  const auto asked = estimate({"--agents", "1M", "--memory", "4G", "--caches"});
  EXPECT_NE(asked.out.find("a plan for caches that agents or gateways in front of the router keep; "
                           "the router has none"),
            std::string::npos);
  EXPECT_NE(asked.out.find("negative"), std::string::npos);
  const auto nothing_to_divide = estimate({"--agents", "1M", "--caches"});
  EXPECT_EQ(nothing_to_divide.status, kWrongUsage);
  EXPECT_NE(nothing_to_divide.err.find("--memory"), std::string::npos);
}

TEST(StoreEstimate, CachesFollowWhatWasMeasured) {
  const std::vector<std::string> fleet = {"--agents", "10M", "--capabilities", "1M", "--json"};
  const auto needed =
      nlohmann::json::parse(estimate(fleet).out)["needed_bytes"].get<std::uint64_t>();
  const auto shares = [&](const std::string& positive) {
    auto words = fleet;
    // Less is left than all three could use.
    words.insert(words.end(), {"--memory", std::to_string(needed + (std::uint64_t{256} << 20)),
                               "--measured", positive, "--measured", "negative:100000:50000:10000",
                               "--measured", "capability:100000:50000:10000"});
    const auto ran = estimate(words);
    EXPECT_EQ(ran.status, kDone) << ran.err << ran.out;
    const auto json = nlohmann::json::parse(ran.out);
    EXPECT_GT(json["caches"][0]["expected_hit_ratio"].get<double>(), 0);
    return json["caches"][0]["share"].get<double>();
  };
  // The more is asked of it, the more it gets.
  EXPECT_LT(shares("positive:1000:500:10000"), shares("positive:10000000:5000000:10000"));
}

class StoreRestore : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder =
        (std::filesystem::temp_directory_path() / "sluice-restore-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    auto index = open(folder_ + "/store");
    put(*index, 1);
    ASSERT_TRUE(index->maintenance().backup(folder_ + "/backup", [](auto, auto) { return true; }));
    put(*index, 2);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<store::Index> open(const std::string& directory) {
    auto index = store::Index::open(*fs_, {.directory = directory,
                                           .tables = {{1, store::Kind::kRecord, "agents"}},
                                           .lanes = 1,
                                           .overlay_bytes = 1 << 20});
    EXPECT_TRUE(index) << index.error().message();
    return index ? std::move(*index) : nullptr;
  }
  static void put(store::Index& index, std::uint8_t key) {
    store::WriteBatch batch;
    batch.put(1, 0, std::vector{key}, std::vector<std::uint8_t>{1, 2, 3});
    ASSERT_TRUE(index.write(batch));
  }
  bool has(const std::string& directory, std::uint8_t key) {
    const auto found = open(directory)->record(1, 0, std::vector{key});
    EXPECT_TRUE(found);
    return found && found->has_value();
  }
  Ran restore(std::vector<std::string> more) {
    std::vector<std::string> words = {"store", "restore", folder_ + "/backup"};
    words.insert(words.end(), more.begin(), more.end());
    return run_words(words);
  }

  std::unique_ptr<store::Fs> fs_ = store::make_posix_fs();
  std::string folder_;
};

TEST_F(StoreRestore, ToANewPlace) {
  const auto ran = restore({"--directory", folder_ + "/new"});
  EXPECT_EQ(ran.status, kDone) << ran.err;
  EXPECT_NE(ran.out.find("everything up to write 1"), std::string::npos) << ran.out;
  EXPECT_TRUE(has(folder_ + "/new", 1));
  EXPECT_FALSE(has(folder_ + "/new", 2));
}

TEST_F(StoreRestore, OverAStoreOnlyWhenAskedAndNobodyHasItOpen) {
  const std::string directory = folder_ + "/store";
  const auto refused = restore({"--directory", directory});
  EXPECT_EQ(refused.status, kFailed);
  EXPECT_NE(refused.err.find("--replace sets that one aside"), std::string::npos);
  {
    const auto index = open(directory);
    const auto busy = restore({"--directory", directory, "--replace"});
    EXPECT_EQ(busy.status, kFailed);
    EXPECT_NE(busy.err.find("is the control plane stopped?"), std::string::npos) << busy.err;
    EXPECT_FALSE(std::filesystem::exists(directory + ".restored"));
  }
  const auto done = restore({"--directory", directory, "--replace", "--json"});
  EXPECT_EQ(done.status, kDone) << done.err;
  const auto json = nlohmann::json::parse(done.out);
  EXPECT_EQ(json["old"], directory + ".old-1");
  EXPECT_EQ(json["directory"], directory);
  EXPECT_FALSE(has(directory, 2));
  EXPECT_TRUE(has(directory + ".old-1", 2));
  EXPECT_EQ(
      nlohmann::json::parse(restore({"--directory", directory, "--replace", "--json"}).out)["old"],
      directory + ".old-2");
}

TEST_F(StoreRestore, NotOverWhatIsNoStore) {
  std::filesystem::create_directory(folder_ + "/home");
  std::ofstream(folder_ + "/home/letter") << "Dear";
  for (const auto& more : {std::vector<std::string>{}, {"--replace"}}) {
    std::vector<std::string> words = {"--directory", folder_ + "/home"};
    words.insert(words.end(), more.begin(), more.end());
    const auto ran = restore(words);
    EXPECT_EQ(ran.status, kFailed);
    EXPECT_NE(ran.err.find("/home is not empty, but has no store in it"), std::string::npos)
        << ran.err;
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/home/letter"));
}

TEST_F(StoreRestore, NotIntoTheBackupNorTheDamagedStore) {
  std::filesystem::create_directory_symlink(folder_ + "/backup", folder_ + "/alias");
  for (const auto* place : {"/backup", "/backup/new", "/backup/new/", "/alias", "/alias/new"}) {
    const auto ran = restore({"--directory", folder_ + place, "--replace"});
    EXPECT_EQ(ran.status, kWrongUsage) << place;
    EXPECT_NE(ran.err.find("lies in the backup itself"), std::string::npos) << ran.err;
  }
  for (const auto* place : {"/store", "/store/new", "/store/new/"}) {
    const auto ran =
        run_words({"store", "salvage", folder_ + place, "--directory", folder_ + "/store"});
    EXPECT_EQ(ran.status, kWrongUsage) << place;
    EXPECT_NE(ran.err.find("lies in the damaged store itself"), std::string::npos) << ran.err;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/backup.old-1"));
}

TEST_F(StoreRestore, ASlashAtTheEndChangesNothing) {
  const auto ran = restore({"--directory", folder_ + "/store/", "--replace"});
  EXPECT_EQ(ran.status, kDone) << ran.err;
  EXPECT_TRUE(has(folder_ + "/store.old-1", 2));
}

TEST_F(StoreRestore, ADamagedBackupCostsNothing) {
  const std::string manifest = folder_ + "/backup/MANIFEST";
  std::fstream(manifest, std::ios::in | std::ios::out).seekp(30).put('x');
  const auto ran = restore({"--directory", folder_ + "/store", "--replace"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.err.find("MANIFEST"), std::string::npos) << ran.err;
  EXPECT_TRUE(has(folder_ + "/store", 2));
}

void spoil(const std::string& file, long offset) {
  std::fstream(file, std::ios::in | std::ios::out).seekp(offset).write("xyz", 3);
}

std::string log_of(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().filename().string().starts_with("log-")) return entry.path();
  return {};
}

TEST_F(StoreRestore, VerifyOfAFolderNamesAllDamage) {
  const std::string directory = folder_ + "/store";
  const auto good = run_words({"store", "verify", "--directory", directory});
  EXPECT_EQ(good.status, kDone) << good.err;
  EXPECT_NE(good.out.find("checked: good"), std::string::npos) << good.out;
  spoil(log_of(directory), 90);
  spoil(directory + "/MANIFEST", 30);
  const auto ran = run_words({"store", "verify", "--directory", directory});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.out.find(directory + "/MANIFEST: "), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find(log_of(directory) + ": offset "), std::string::npos) << ran.out;
  const auto json = run_words({"store", "verify", "--directory", directory, "--json"});
  EXPECT_GE(nlohmann::json::parse(json.out)["damaged"].size(), 2u);
  const auto none = run_words({"store", "verify", "--directory", folder_});
  EXPECT_EQ(none.status, kFailed);
  EXPECT_NE(none.err.find("there is no store here"), std::string::npos) << none.err;
}

TEST_F(StoreRestore, SalvageMakesANewStoreOfTheRest) {
  const std::string directory = folder_ + "/store";
  const auto salvage = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"store", "salvage", folder_ + "/new", "--directory",
                                      directory};
    words.insert(words.end(), more.begin(), more.end());
    return run_words(words);
  };
  {
    const auto index = open(directory);
    const auto busy = salvage({});
    EXPECT_EQ(busy.status, kFailed);
    EXPECT_NE(busy.err.find("is the control plane stopped?"), std::string::npos) << busy.err;
  }
  spoil(directory + "/MANIFEST", 30);
  EXPECT_FALSE(store::Index::open(*fs_, {.directory = directory}));
  const auto ran = salvage({"--json"});
  EXPECT_EQ(ran.status, kDone) << ran.err;
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["items"], 2);
  EXPECT_EQ(json["manifest"], false);
  EXPECT_EQ(json["directory"], folder_ + "/new");
  EXPECT_TRUE(has(folder_ + "/new", 1));
  EXPECT_TRUE(has(folder_ + "/new", 2));
  const auto again = salvage({});
  EXPECT_EQ(again.status, kFailed);
  EXPECT_NE(again.err.find("/new is there already"), std::string::npos) << again.err;
}

TEST_F(StoreRestore, FolderComesFromTheConfiguration) {
  const auto without = restore({});
  EXPECT_EQ(without.status, kFailed);
  EXPECT_NE(without.err.find("--directory says it"), std::string::npos) << without.err;
}

}  // namespace
}  // namespace sluice::cli
