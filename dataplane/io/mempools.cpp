#include "dataplane/io/mempools.hpp"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

namespace sluice::dataplane {

Result<Mempools> Mempools::create(const MempoolOptions& options) {
  Mempools pools;
  for (const int node : options.nodes) {
    auto* pool = ::rte_pktmbuf_pool_create(fmt::format("mbufs-{}", node).c_str(), options.mbufs,
                                           options.cache, 0, options.data_room,
                                           options.huge_pages ? node : SOCKET_ID_ANY);
    if (pool == nullptr) {
      return fail(ErrorCode::kExhausted,
                  fmt::format("{} buffers of {} bytes on node {}: {}; raise dataplane.memory-mb or "
                              "lower dataplane.mbufs",
                              options.mbufs, options.data_room, node, ::rte_strerror(rte_errno)));
    }
    pools.pools_.push_back({node, pool});
  }
  return pools;
}

Mempools::~Mempools() {
  for (const auto& pool : pools_)
    ::rte_mempool_free(pool.pool);
}

rte_mempool* Mempools::of(int node) const noexcept {
  for (const auto& pool : pools_) {
    if (pool.node == node) return pool.pool;
  }
  return pools_.front().pool;
}

const void* Mempools::memory_of(int node) const noexcept {
  const auto* chunk = STAILQ_FIRST(&of(node)->mem_list);
  return chunk == nullptr ? nullptr : chunk->addr;
}

std::uint64_t Mempools::total() const noexcept {
  std::uint64_t count = 0;
  for (const auto& pool : pools_)
    count += pool.pool->size;
  return count;
}

std::uint64_t Mempools::free() const noexcept {
  std::uint64_t count = 0;
  for (const auto& pool : pools_)
    count += ::rte_mempool_avail_count(pool.pool);
  return count;
}

}  // namespace sluice::dataplane
