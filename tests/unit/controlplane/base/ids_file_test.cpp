#include "controlplane/base/ids_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "sluice/base/names.hpp"

namespace sluice::controlplane {
namespace {

Id id_of(unsigned n) {
  return id_of_name("a/b/c/" + std::to_string(n));
}

TEST(IdsFileTest, IsCheckedAsAWhole) {
  const std::string directory =
      std::filesystem::temp_directory_path() / ("sluice-ids-" + std::to_string(::getpid()));
  const auto fs = store::make_posix_fs();
  ASSERT_TRUE(fs->make_dir(directory));
  const link::SegmentId segment{9, 9};
  const std::string path = directory + "/x.ids";
  auto writer = IdsWriter::create(*fs, path, segment);
  ASSERT_TRUE(writer);
  for (unsigned n = 0; n < 40'000; ++n)
    ASSERT_TRUE(writer->add(id_of(n)));
  ASSERT_TRUE(writer->finish());
  std::vector<Id> back;
  const auto take = [&](std::span<const Id> ids) {
    back.insert(back.end(), ids.begin(), ids.end());
  };
  ASSERT_TRUE(read_ids(*fs, path, segment, 40'000, take));
  ASSERT_EQ(back.size(), 40'000u);
  EXPECT_EQ(back[39'999], id_of(39'999));
  EXPECT_FALSE(read_ids(*fs, path, segment, 39'999, take));
  EXPECT_FALSE(read_ids(*fs, path, link::SegmentId{9, 8}, 40'000, take));
  const std::uint8_t byte = 1;
  ASSERT_TRUE((*fs->open(path, store::OpenMode::kWrite))->write_at(300'000, {&byte, 1}));
  back.clear();
  const auto damaged = read_ids(*fs, path, segment, 40'000, take);
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message().find("x.ids: its checksum"), std::string::npos);
  EXPECT_TRUE(back.empty()) << "nothing of it is believed";
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace sluice::controlplane
