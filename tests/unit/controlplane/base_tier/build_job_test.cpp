#include "controlplane/base_tier/build_job.hpp"

#include <gtest/gtest.h>

#include <future>

#include "tests/support/fault_fs.hpp"

namespace sluice::controlplane {
namespace {

// The store writes to the same disk, and is refused what a base that cannot be finished has taken.
TEST(BuildJobTest, ABaseThatDoesNotFitWritesNothing) {
  test::FaultFs fs;
  ASSERT_TRUE(fs.make_dir("/base"));
  fs.set_free_bytes(std::uint64_t{80} << 20);
  const auto before = fs.operations();
  std::promise<Result<store::BaseInfo>> end;
  {
    BuildJob job(
        fs, {.routes = 1'000'000, .segment_path = "/base/a.segment", .ids_path = "/base/a.ids"},
        [] {}, [&](Result<store::BaseInfo> built) { end.set_value(std::move(built)); });
    const auto built = end.get_future().get();
    ASSERT_FALSE(built);
    EXPECT_EQ(built.error().code(), ErrorCode::kExhausted);
    EXPECT_EQ(built.error().message(),
              "a base of 1000000 routes needs 91 MiB in /base, 80 MiB are free");
  }
  EXPECT_EQ(fs.all_files().size(), 0u);
  // Only what may have been there of it is removed.
  EXPECT_LE(fs.operations() - before, 3u);
}

}  // namespace
}  // namespace sluice::controlplane
