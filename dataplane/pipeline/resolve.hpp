// Pass B: one keyed hash and one table lookup for all ids of a burst, then the adjacencies they
// lead to are fetched while the others are still being looked at. Worker only.
#pragma once

#include <algorithm>

#include "dataplane/pipeline/lane.hpp"

namespace sluice::dataplane {

template <bool kGuard>
inline void resolve(Lane& lane, const Burst& burst) noexcept {
  Batch& batch = lane.batch;
  const unsigned ids = kGuard ? 2 * batch.count : batch.count;
  if (burst.routes == nullptr) [[unlikely]] {
    std::fill_n(batch.action.begin(), ids, Action{});
    return;
  }
  for (unsigned done = 0; done < ids; done += RouteTable::kMaxBurst) {
    const unsigned n = std::min(ids - done, RouteTable::kMaxBurst);
    burst.routes->lookup_burst(&batch.id[done], n, &batch.action[done]);
  }
  // An action that is no adjacency has an index all the same, and any index is in the table.
  const AdjacencyTable& adjacencies = lane.config.tables->adjacencies;
  for (unsigned i = 0; i < ids; ++i)
    adjacencies.prefetch(batch.action[i].index());
}

}  // namespace sluice::dataplane
