// Mutated messages through the whole pipeline of one worker: no crash, every frame accounted for,
// every buffer back. Each frame starts as a good message and is then damaged in a random way: bits,
// bytes, lengths, cuts, growth, chaining, wrong tables. Tables change meanwhile as a control plane
// would change them. Run it for long with --messages; the seed is printed and makes a run repeat.
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>

#include "dataplane/pipeline/batch.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "perf/pipeline/bench_world.hpp"
#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/wire/envelope.hpp"

namespace sluice::dataplane {
namespace {

using perf::BenchWorld;
using perf::MessageMaker;

constexpr unsigned kPorts = 3;  // edge guarded, edge open, trunk
constexpr std::uint64_t kAgents = 5000;
constexpr std::size_t kRoom = 1500;

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed | 1) {}
  std::uint64_t next() noexcept {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  std::uint32_t below(std::uint32_t n) noexcept {
    return static_cast<std::uint32_t>((next() >> 32) * n >> 32);
  }

 private:
  std::uint64_t state_;
};

struct Rings {
  rte_ring* host = make("host");
  rte_ring* hold = make("hold");
  rte_ring* control = make("control");
  rte_ring* trace = rte_ring_create_elem("trace", sizeof(link::TraceRecord), 64, 0,
                                         RING_F_SP_ENQ | RING_F_SC_DEQ);
  static rte_ring* make(const char* name) {
    rte_ring* ring = rte_ring_create(name, 256, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr) throw std::runtime_error("no ring");
    return ring;
  }
};

class Hostile {
 public:
  Hostile(BenchWorld& world, std::uint64_t seed)
      : world_(world), random_(seed), maker_(kAgents, MessageMaker::Order::kRandom) {
    PipelineConfig config{.tsc_hz = rte_get_tsc_hz(),
                          .seed = seed,
                          .ports = &world.ports(),
                          .tables = &world.tables(),
                          .mempool = world.pool(),
                          .counters = counters_.get(),
                          .exits = {.to_host = rings_.host,
                                    .to_hold = rings_.hold,
                                    .to_control = rings_.control,
                                    .trace = rings_.trace}};
    for (unsigned port = 0; port < kPorts; ++port)
      config.egress[port].tx_queue = 0;
    auto pipeline = Pipeline::create(config);
    if (!pipeline) throw std::runtime_error("no pipeline");
    pipeline_ = std::move(*pipeline);
    world.tables().readers.add(0);
    publish_state();
    add_special_routes();
  }

  // One burst of up to 64 frames into one port; returns how many.
  unsigned burst() {
    const auto n = 1 + random_.below(kMaxBurst);
    std::array<rte_mbuf*, kMaxBurst> frames;
    unsigned made = 0;
    const auto port = static_cast<std::uint16_t>(random_.below(kPorts));
    for (unsigned i = 0; i < n; ++i) {
      rte_mbuf* frame = make_frame(port);
      if (frame != nullptr) frames[made++] = frame;
    }
    if ((bursts_ & 0x3ff) == 0) pipeline_->set_clock(rte_rdtsc(), realtime_ns());
    if (random_.below(16) == 0) {
      pipeline_->receive_released(frames.data(), made, rte_rdtsc());
    } else {
      pipeline_->receive(port, frames.data(), made, rte_rdtsc());
    }
    pipeline_->drain_egress();
    if ((++bursts_ & 7) == 0) empty_rings();
    if ((bursts_ & 0xfff) == 0) change_tables();
    return made;
  }

  // Throws when a frame is not accounted for or a buffer is missing.
  void finish() {
    pipeline_->stop();
    empty_rings();
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    for (unsigned i = 0; i < kPorts; ++i) {
      const link::PortCounters& c = counters_->port[i];
      in += c.messages + c.released;
      out += c.forwarded + c.replicated + c.held + c.punted + c.answered;
      for (unsigned reason = 0; reason < kDropReasons; ++reason) {
        out += c.dropped[reason];
        dropped_[reason] += c.dropped[reason];
      }
      forwarded_ += c.forwarded;
      replicated_ += c.replicated;
      host_ += c.to_host + c.to_host_dropped;
      held_ += c.held;
      punted_ += c.punted;
      answered_ += c.answered;
      notices_ += c.notices;
    }
    if (in != out) throw std::runtime_error(fmt::format("{} in, {} accounted for", in, out));
    if (received_ != in + host_) {
      throw std::runtime_error(fmt::format("{} received, {} counted", received_, in + host_));
    }
    const unsigned missing = rte_mempool_in_use_count(world_.pool());
    if (missing != 0) throw std::runtime_error(fmt::format("{} buffers lost", missing));
    world_.tables().readers.remove(0);
  }

  void report() const {
    perf::progress(
        "{} forwarded, {} replicated, {} to host, {} held, {} punted, {} answered, "
        "{} notices",
        forwarded_, replicated_, host_, held_, punted_, answered_, notices_);
    for (unsigned reason = 0; reason < kDropReasons; ++reason) {
      if (dropped_[reason] == 0) continue;
      perf::progress("  {:<22} {}", info(static_cast<DropReason>(reason)).label, dropped_[reason]);
    }
  }

 private:
  rte_mbuf* make_frame(std::uint16_t port) {
    rte_mbuf* frame = rte_pktmbuf_alloc(world_.pool());
    if (frame == nullptr) throw std::runtime_error("no buffer: some were lost");
    frame->port = world_.ports().port[port].dpdk_port;
    auto* data = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(frame, kRoom));
    maker_.make(data);
    decorate(data);
    auto bytes = static_cast<std::uint32_t>(perf::kFrameBytes);
    damage(data, bytes);
    frame->data_len = static_cast<std::uint16_t>(bytes);
    frame->pkt_len = bytes;
    if (random_.below(64) == 0) frame->ol_flags |= random_.next() & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    if (random_.below(256) == 0 && bytes > 0) split(frame, bytes);
    ++received_;
    return frame;
  }

  // Still a good message, of some kind.
  void decorate(std::uint8_t* data) {
    std::uint8_t* envelope = data + 42;
    const std::uint32_t kind = random_.below(32);
    if (kind < 10) envelope[offsetof(Envelope, type)] = static_cast<std::uint8_t>(kind);
    if (kind == 10) {  // the router: an echo, or something that it does not take
      std::memset(envelope + offsetof(Envelope, destination), 0xee, 16);
      if (random_.below(2) == 0) envelope[offsetof(Envelope, type)] = 7;
    }
    if (kind == 11) std::memset(envelope + offsetof(Envelope, destination), 0xc4, 16);  // group
    if (kind == 12) std::memset(envelope + offsetof(Envelope, destination), 0x99, 16);  // nobody
    if (kind == 13) store(data + 40, std::uint16_t{0});
    envelope[offsetof(Envelope, flags)] = static_cast<std::uint8_t>(random_.next() & 0x3f);
    envelope[offsetof(Envelope, class_and_lifetime)] =
        static_cast<std::uint8_t>(random_.next() & 0xe0);
  }

  void damage(std::uint8_t* data, std::uint32_t& bytes) {
    switch (random_.below(8)) {
      case 0:
      case 1:
        return;  // none
      case 2:
        for (unsigned i = 0; i <= random_.below(4); ++i)
          data[random_.below(bytes)] ^= static_cast<std::uint8_t>(1U << random_.below(8));
        return;
      case 3:
        for (unsigned i = 0; i <= random_.below(4); ++i)
          data[random_.below(bytes)] = static_cast<std::uint8_t>(random_.next());
        return;
      case 4:
        bytes = random_.below(bytes + 1);
        return;
      case 5:
        bytes += random_.below(static_cast<std::uint32_t>(kRoom) - bytes);
        return;
      case 6:
        damage_a_length(data);
        return;
      default:
        damage_headers(data);
        return;
    }
  }
  void damage_a_length(std::uint8_t* data) {
    constexpr std::array<std::size_t, 4> kLengths = {16, 38, 48, 42};
    const std::size_t at = kLengths[random_.below(kLengths.size())];
    store(data + at, static_cast<std::uint16_t>(random_.next()));
    fix_ip(data);
  }
  // A change that the IP checksum does not catch, so that it comes further.
  void damage_headers(std::uint8_t* data) {
    data[random_.below(106)] = static_cast<std::uint8_t>(random_.next());
    if (random_.below(4) == 0) {
      data[12] = 0x86;
      data[13] = 0xdd;
      data[14] = 0x60;
    }
    fix_ip(data);
  }
  static void fix_ip(std::uint8_t* data) {
    store(data + 24, std::uint16_t{0});
    store(data + 24, static_cast<std::uint16_t>(~checksum_fold(checksum_add(data + 14, 20))));
  }

  void split(rte_mbuf* frame, std::uint32_t bytes) {
    rte_mbuf* tail = rte_pktmbuf_alloc(world_.pool());
    if (tail == nullptr) return;
    const std::uint32_t first = random_.below(bytes) + 1;
    const std::uint32_t rest = bytes - first;
    if (rest != 0) {
      std::memcpy(rte_pktmbuf_append(tail, static_cast<std::uint16_t>(rest)),
                  rte_pktmbuf_mtod_offset(frame, void*, first), rest);
    }
    frame->data_len = static_cast<std::uint16_t>(first);
    frame->pkt_len = first;
    rte_pktmbuf_chain(frame, tail);
  }

  void publish_state() {
    auto state = std::make_unique<ForwardingState>(*world_.tables().forwarding.load());
    state->port[0].source_guard = random_.below(4) != 0;
    state->port[1].source_guard = false;
    state->port[2].role = link::PortRole::kTrunk;
    state->control_plane_connected = random_.below(4) != 0;
    std::vector<IpAddress> peers;
    for (std::uint32_t host = 0; host < perf::kHosts; host += 2)
      peers.push_back(IpAddress::v4(Big32(perf::host_address(host))));
    state->peers = std::make_shared<const AddressSet>(peers);
    if (random_.below(2) == 0) {
      state->tenants = std::make_shared<const Tenants>(
          Tenants().with(perf::kTenant, {.rate_per_second = 100'000, .burst = 1000}));
    } else {
      state->tenants = std::make_shared<const Tenants>();
    }
    world_.tables().publish(std::move(state));
  }

  void add_special_routes() {
    Tables& tables = world_.tables();
    Id router;
    router.bytes.fill(0xee);
    Id capability;
    capability.bytes.fill(0xc4);
    std::vector<GroupMember> members;
    for (std::uint32_t i = 0; i < 20; ++i) {
      members.push_back({.id = perf::id_of(i),
                         .adjacency = i,
                         .udp_port = perf::agent_port(i),
                         .tenant = perf::kTenant,
                         .weight = 1});
    }
    const auto slot = tables.groups.find_or_allocate(capability);
    tables.groups.publish(
        *slot, std::make_unique<const Group>(capability, GroupPolicy::kRoundRobin, members), 1);
    const std::array<Id, 2> ids = {router, capability};
    const std::array<Action, 2> actions = {Action(ActionKind::kLocal, 0, 0, perf::kTenant, 1),
                                           Action(ActionKind::kGroup, *slot, 0, 0, 1)};
    std::array<RouteChange, 2> changes;
    tables.set_routes(ids.data(), actions.data(), 2, changes.data());
  }

  void change_tables() {
    Tables& tables = world_.tables();
    constexpr std::array<AdjacencyState, 3> kStates = {AdjacencyState::kUp, AdjacencyState::kDown,
                                                       AdjacencyState::kUnresolved};
    for (unsigned i = 0; i < 20; ++i)
      tables.adjacencies.set_state(random_.below(perf::kHosts), kStates[random_.below(3)]);
    publish_state();
    if (random_.below(4) == 0) {
      tables.publish(std::make_unique<const TraceFilter>(Id{}, Id{}, 100, 1));
    }
    tables.reclaim(100);
  }

  void empty_rings() {
    void* element = nullptr;
    for (rte_ring* ring : {rings_.host, rings_.hold, rings_.control}) {
      while (rte_ring_sc_dequeue(ring, &element) == 0)
        rte_pktmbuf_free(static_cast<rte_mbuf*>(element));
    }
    link::TraceRecord record;
    while (rte_ring_sc_dequeue_elem(rings_.trace, &record, sizeof record) == 0) {
    }
  }

  BenchWorld& world_;
  Random random_;
  MessageMaker maker_;
  Rings rings_;
  std::unique_ptr<link::WorkerCounters> counters_ = std::make_unique<link::WorkerCounters>();
  std::unique_ptr<Pipeline> pipeline_;
  std::uint64_t bursts_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t forwarded_ = 0, replicated_ = 0, host_ = 0, held_ = 0, punted_ = 0, answered_ = 0,
                notices_ = 0;
  std::array<std::uint64_t, kDropReasons> dropped_{};
};

void run(std::uint64_t messages, std::uint64_t seed) {
  const int cpu = perf::pin_to_last_cpu();
  perf::start_eal(cpu, kPorts, 64 << 20, false);
  perf::progress("seed {}", seed);
  BenchWorld world(kPorts, kAgents, true);
  Hostile hostile(world, seed);
  std::uint64_t done = 0;
  std::uint64_t shown = 0;
  while (done < messages) {
    done += hostile.burst();
    if (done / 10'000'000 != shown) {
      shown = done / 10'000'000;
      perf::progress("{} of {} million messages", done / 1'000'000, messages / 1'000'000);
    }
  }
  hostile.finish();
  hostile.report();
  perf::progress("hostile run: {} messages, 0 crashes, all accounted for, no buffer lost", done);
}

}  // namespace
}  // namespace sluice::dataplane

int main(int argc, char** argv) {
  std::uint64_t messages = 1'000'000;
  std::uint64_t seed = std::random_device{}();
  CLI::App app("Mutated messages through the whole pipeline");
  app.add_option("--messages", messages);
  app.add_option("--seed", seed);
  CLI11_PARSE(app, argc, argv);
  try {
    sluice::dataplane::run(messages, seed);
  } catch (const std::exception& error) {
    sluice::perf::progress("hostile_run: {}", error.what());
    return 1;
  }
  return 0;
}
