// Packet buffers: one pool per NUMA node in use, each lcore with a cache of its own. Main thread
// makes and frees them; any lcore takes from them.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "sluice/base/result.hpp"

namespace sluice::dataplane {

struct MempoolOptions {
  std::vector<int> nodes;
  std::uint32_t mbufs = 0;  // of each node
  std::uint32_t cache = 256;
  std::uint16_t data_room = 0;  // headroom included
  bool huge_pages = false;      // without, DPDK knows only node 0
};

class Mempools {
 public:
  static Result<Mempools> create(const MempoolOptions& options);
  Mempools(Mempools&& other) noexcept : pools_(std::exchange(other.pools_, {})) {}
  Mempools& operator=(Mempools&&) = delete;
  ~Mempools();

  // The pool of a node; of the first node for one that has none (-1: no preference).
  rte_mempool* of(int node) const noexcept;

  // Where the buffers of a node really are, to ask the kernel; null: not known.
  const void* memory_of(int node) const noexcept;

  std::uint64_t total() const noexcept;
  std::uint64_t free() const noexcept;

 private:
  struct Pool {
    int node;
    rte_mempool* pool;
  };
  Mempools() = default;

  std::vector<Pool> pools_;
};

}  // namespace sluice::dataplane
