#include "perf/link/swap_traffic.hpp"

#include <rte_ethdev.h>
#include <sched.h>

#include <cstdlib>

#include "perf/link/bench_ids.hpp"
#include "perf/support/report.hpp"
#include "perf/support/tsc.hpp"
#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::perf {

namespace {

constexpr std::size_t kIpDestination = 14 + 16;
constexpr std::size_t kEnvelope = 14 + 20 + 8;
constexpr std::uint32_t kFirstHost = 0x0a010000;
// In the message type: it had to be delivered.
constexpr std::uint16_t kMust = 1;

void become_realtime() {
  const sched_param lowest{.sched_priority = 1};
  if (::sched_setscheduler(0, SCHED_FIFO, &lowest) != 0)
    progress("base swap: the worker stays an ordinary thread");
}

}  // namespace

SwapTraffic::SwapTraffic(std::uint16_t port, std::uint64_t routes, bool realtime)
    : routes_(routes),
      realtime_(realtime),
      allowed_(std::make_unique<std::atomic<std::uint8_t>[]>(routes)) {
  for (std::size_t i = 0; i < kGapUs.size(); ++i)
    gap_tsc_[i] = static_cast<std::uint64_t>(kGapUs[i] * tsc_hz() / 1e6);
  if (rte_eth_add_rx_callback(port, 0, make, this) == nullptr ||
      rte_eth_add_tx_callback(port, 0, check, this) == nullptr) {
    progress("base swap: no callbacks on the port");
    std::exit(1);
  }
}

void SwapTraffic::note_gap(std::uint64_t now_tsc) {
  const std::uint64_t gap = last_poll_tsc_ == 0 ? 0 : now_tsc - last_poll_tsc_;
  last_poll_tsc_ = now_tsc;
  if (gap > longest_gap_.load(std::memory_order_relaxed)) longest_gap_.store(gap);
  if (gap <= gap_tsc_[0]) return;
  std::size_t at = gap_tsc_.size() - 1;
  while (gap <= gap_tsc_[at])
    --at;
  gaps_[at].fetch_add(1, std::memory_order_relaxed);
}

std::uint16_t SwapTraffic::make(std::uint16_t, std::uint16_t, rte_mbuf** frames, std::uint16_t n,
                                std::uint16_t, void* self) {
  auto& t = *static_cast<SwapTraffic*>(self);
  if (t.last_poll_tsc_ == 0 && t.realtime_) become_realtime();
  t.note_gap(tsc_begin());
  for (std::uint16_t i = 0; i < n; ++i) {
    t.random_ ^= t.random_ << 13;
    t.random_ ^= t.random_ >> 7;
    t.random_ ^= t.random_ << 17;
    const std::uint64_t route = t.random_ % t.routes_;
    const bool must = (t.allowed_[route].load(std::memory_order_acquire) & kMayVanish) == 0;
    auto* envelope = rte_pktmbuf_mtod(frames[i], std::uint8_t*) + kEnvelope;
    store(envelope + offsetof(Envelope, destination), bench_id(route));
    store(envelope + offsetof(Envelope, sequence), Big32(static_cast<std::uint32_t>(route)));
    store(envelope + offsetof(Envelope, message_type), Big16(must ? kMust : std::uint16_t{0}));
    t.totals_.must += must ? 1 : 0;
  }
  t.totals_.made += n;
  return n;
}

std::uint16_t SwapTraffic::check(std::uint16_t, std::uint16_t, rte_mbuf** frames, std::uint16_t n,
                                 void* self) {
  auto& t = *static_cast<SwapTraffic*>(self);
  for (std::uint16_t i = 0; i < n; ++i) {
    const auto* frame = rte_pktmbuf_mtod(frames[i], const std::uint8_t*);
    const auto* envelope = frame + kEnvelope;
    const std::uint32_t route = load<Big32>(envelope + offsetof(Envelope, sequence)).get();
    const std::uint32_t host = load<Big32>(frame + kIpDestination).get() - kFirstHost;
    const bool right = route < t.routes_ && host < kHosts &&
                       (t.allowed_[route].load(std::memory_order_acquire) >> host & 1) != 0 &&
                       load<Id>(envelope + offsetof(Envelope, destination)) == bench_id(route);
    t.totals_.wrong += right ? 0 : 1;
    t.totals_.must_delivered +=
        load<Big16>(envelope + offsetof(Envelope, message_type)).get() & kMust;
  }
  t.totals_.delivered += n;
  return n;
}

}  // namespace sluice::perf
