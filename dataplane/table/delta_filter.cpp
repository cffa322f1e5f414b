#include "dataplane/table/delta_filter.hpp"

#include <algorithm>
#include <bit>

namespace sluice::dataplane {

Result<std::unique_ptr<DeltaFilter>> DeltaFilter::create(std::size_t ids, int numa_node) {
  constexpr std::size_t kIdsPerWord = 8;
  constexpr std::size_t kFewest = 4096;  // ids: smaller is not faster
  const std::size_t made_for = std::max(ids, kFewest);
  auto words = NodeArray<std::uint64_t>::create(std::bit_ceil(made_for / kIdsPerWord), numa_node);
  if (!words) return fail(std::move(words.error()), "filter of the delta");
  return std::unique_ptr<DeltaFilter>(new DeltaFilter(std::move(*words), made_for));
}

}  // namespace sluice::dataplane
