#include "dataplane/table/trace_filter.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::id_of;

TEST(TraceFilter, NilMatchesAny) {
  EXPECT_TRUE(TraceFilter(Id{}, Id{}, 1, 1).matches(id_of(1), id_of(2)));
  const TraceFilter source(id_of(1), Id{}, 1, 1);
  EXPECT_TRUE(source.matches(id_of(1), id_of(2)));
  EXPECT_FALSE(source.matches(id_of(2), id_of(1)));
  const TraceFilter destination(Id{}, id_of(2), 1, 1);
  EXPECT_TRUE(destination.matches(id_of(1), id_of(2)));
  EXPECT_FALSE(destination.matches(id_of(2), id_of(1)));
}

TEST(TraceFilter, NoMoreThanCountOverAllWorkers) {
  const TraceFilter filter(Id{}, Id{}, 1000, 5);
  std::atomic<unsigned> claimed{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      for (int message = 0; message < 1000; ++message)
        claimed += filter.claim() ? 1 : 0;
    });
  }
  for (std::thread& worker : workers)
    worker.join();
  EXPECT_EQ(claimed, 1000U);
  EXPECT_EQ(filter.left(), 0U);
  EXPECT_FALSE(filter.claim());
  EXPECT_EQ(filter.token(), 5U);
}

}  // namespace
}  // namespace sluice::dataplane
