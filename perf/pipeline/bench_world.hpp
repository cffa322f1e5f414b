// What the pipeline's benchmark and the hostile run have in common: DPDK with null ports, tables
// full of agents, and the frames of their messages. Main thread.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/pipeline/ports.hpp"
#include "dataplane/table/tables.hpp"

namespace sluice::perf {

// Agent number n: its id is scrambled out of n, its host is n % kHosts, all on the one null port.
inline constexpr std::uint32_t kHosts = 1000;
inline constexpr std::uint16_t kTenant = 1;
inline constexpr std::size_t kPayloadBytes = 22;  // frames of 128 bytes
inline constexpr std::size_t kFrameBytes = 14 + 20 + 8 + 64 + kPayloadBytes;

Id id_of(std::uint64_t number);
std::uint32_t host_address(std::uint64_t agent);  // IPv4, host order
std::uint16_t agent_port(std::uint64_t agent);

// Starts DPDK on `cpu` with `ports` null ports; true when it has huge pages, which it takes when it
// may and enough of them are free.
bool start_eal(int cpu, unsigned ports, std::size_t table_bytes, bool may_take_huge_pages);

class BenchWorld {
 public:
  // One port per null device, its rx and tx queue set up and started.
  BenchWorld(unsigned ports, std::uint64_t agents, bool source_guard);
  // The same with all agents in a base segment, and `delta` of them in the delta too, which has
  // room for `delta_capacity`.
  struct BaseTier {
    std::uint64_t delta;
    std::uint64_t delta_capacity;
  };
  BenchWorld(unsigned ports, std::uint64_t agents, const BaseTier& tier);
  BenchWorld(const BenchWorld&) = delete;
  BenchWorld& operator=(const BenchWorld&) = delete;
  ~BenchWorld();

  dataplane::Tables& tables() { return *tables_; }
  const dataplane::PortTable& ports() const { return ports_; }
  rte_mempool* pool() const { return pool_; }
  void set_guard(bool on);

 private:
  void open_ports(unsigned ports);
  void add_hosts();
  void add_agents(std::uint64_t agents, std::uint64_t step = 1);
  void put_into_base(std::uint64_t agents);
  Action action_of(std::uint64_t agent, std::uint32_t index, std::uint8_t epoch) const;
  void make_tables(unsigned ports, std::uint64_t capacity);

  rte_mempool* pool_ = nullptr;
  dataplane::PortTable ports_;
  std::unique_ptr<dataplane::Tables> tables_;
  std::vector<std::uint32_t> adjacency_;  // by host
};

// Writes the frames of messages, each from one agent to another.
class MessageMaker {
 public:
  enum class Order : std::uint8_t { kRandom, kSequential };
  MessageMaker(std::uint64_t agents, Order order);
  // Fills a buffer of at least kFrameBytes with the next message.
  void make(std::uint8_t* frame) noexcept;

 private:
  std::uint64_t next_random() noexcept;

  std::uint64_t agents_;
  Order order_;
  std::uint64_t state_ = 0x243f6a8885a308d3;
  std::uint64_t sequence_ = 0;
  std::uint16_t checksum_without_source_ = 0;
  alignas(64) std::uint8_t frame_[kFrameBytes];
};

}  // namespace sluice::perf
