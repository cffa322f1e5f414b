// A process without descriptors left: a reason of its own, nothing is lost, and it is over by
// itself. Not under sanitizers, which need some themselves.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

#include "tests/unit/controlplane/store/real_directory.hpp"

namespace sluice::controlplane::store {
namespace {

// So many can be opened more while it lives.
class FewDescriptors {
 public:
  explicit FewDescriptors(unsigned free) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest = ::open("/dev/null", O_RDONLY);
    ::close(lowest);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(lowest) + free;
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

class Descriptors : public RealDirectory, public testing::WithParamInterface<unsigned> {};

TEST_F(RealDirectory, UsedUpDescriptorsAreNotAFullDisk) {
  const FewDescriptors none(0);
  const auto file = fs_->open(directory_ + "/a", OpenMode::kCreate);
  ASSERT_FALSE(file);
  EXPECT_TRUE(is_out_of_descriptors(file.error()));
  EXPECT_TRUE(may_work_later(file.error()));
  EXPECT_EQ(file.error().message(),
            fmt::format("creating {}/a: Too many open files (this process is at its limit: raise "
                        "ulimit -n, or LimitNOFILE of its unit)",
                        directory_));
}

// A file more is needed when one is full, and its name must be made sure.
TEST_P(Descriptors, ALogGoesOnWhenThereAreDescriptorsAgain) {
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<unsigned> written;
  unsigned refused = 0;
  {
    const FewDescriptors few(GetParam());
    for (unsigned batch = 0; batch < kBatches; ++batch) {
      const Status done = write(batch);
      if (done) written.push_back(batch);
      if (done) continue;
      ++refused;
      EXPECT_TRUE(is_out_of_descriptors(done.error())) << done.error().message();
    }
  }
  EXPECT_EQ(refused != 0, GetParam() == 0);
  ASSERT_TRUE(index_->health()) << index_->health().error().message();
  const Status done = write(kBatches);
  ASSERT_TRUE(done) << done.error().message();
  written.push_back(kBatches);
  ASSERT_NO_FATAL_FAILURE(open());
  for (const unsigned batch : written) {
    const auto there = index_->record(kTable, 1, bytes_of(key(batch, 31)));
    ASSERT_TRUE(there && *there) << batch;
  }
}

INSTANTIATE_TEST_SUITE_P(Free, Descriptors, testing::Values(0U, 1U, 2U));

}  // namespace
}  // namespace sluice::controlplane::store
