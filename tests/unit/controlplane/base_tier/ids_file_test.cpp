#include "controlplane/base_tier/ids_file.hpp"

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
  const auto yes = [] { return true; };
  auto reader = IdsReader::open(*fs, path, segment, 40'000);
  ASSERT_TRUE(reader);
  ASSERT_TRUE((*reader)->verify(yes));
  EXPECT_FALSE((*reader)->verify([] { return false; }));
  std::vector<Id> back;
  for (auto ids = (*reader)->next(7000); !ids.empty(); ids = (*reader)->next(7000))
    back.insert(back.end(), ids.begin(), ids.end());
  ASSERT_EQ(back.size(), 40'000u);
  EXPECT_EQ(back[39'999], id_of(39'999));
  EXPECT_FALSE(IdsReader::open(*fs, path, segment, 39'999));
  EXPECT_FALSE(IdsReader::open(*fs, path, link::SegmentId{9, 8}, 40'000));
  const std::uint8_t byte = 1;
  ASSERT_TRUE((*fs->open(path, store::OpenMode::kWrite))->write_at(300'000, {&byte, 1}));
  const auto damaged = (*reader)->verify(yes);
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message().find("x.ids: its checksum"), std::string::npos);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace sluice::controlplane
