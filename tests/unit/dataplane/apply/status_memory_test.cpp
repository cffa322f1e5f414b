#include "dataplane/apply/status_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace sluice::dataplane {
namespace {

constexpr std::size_t kBytes = sizeof(link::StatusSegment);

struct StatusMemoryTest : ::testing::Test {
  std::unique_ptr<StatusMemory> memory = std::move(*StatusMemory::create());
  int handed = *memory->open_read_only();
  void TearDown() override { ::close(handed); }
};

TEST_F(StatusMemoryTest, WhoGetsTheDescriptorReadsWhatWeWrite) {
  void* at = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, handed, 0);
  ASSERT_NE(at, MAP_FAILED);
  const auto* seen = static_cast<const link::StatusSegment*>(at);
  EXPECT_EQ(seen->magic, link::kStatusMagic);
  link::add(memory->segment().tables.commands_refused, 3);
  EXPECT_EQ(link::read(seen->tables.commands_refused), 3u);
  EXPECT_NE(::mprotect(at, kBytes, PROT_READ | PROT_WRITE), 0);
  ::munmap(at, kBytes);
}

TEST_F(StatusMemoryTest, OpeningItAgainDoesNotMakeItWritable) {
  const std::string path = "/proc/self/fd/" + std::to_string(handed);
  const int again = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(again, 0);
  EXPECT_EQ(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  const char byte = 1;
  EXPECT_EQ(::pwrite(again, &byte, 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_NE(::ftruncate(again, 0), 0);
  EXPECT_EQ(memory->segment().magic, link::kStatusMagic);
  ::close(again);
}

}  // namespace
}  // namespace sluice::dataplane
