#include "perf/link/null_worker.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <sys/eventfd.h>

#include <cstdlib>

#include "dataplane/pipeline/rewrite.hpp"
#include "perf/link/bench_ids.hpp"
#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"

namespace sluice::perf {

namespace {

constexpr unsigned kBuffers = 16'384;

void check(bool good, const char* what) {
  if (good) return;
  progress("cannot measure: {}", what);
  std::exit(1);
}

rte_ring* ring(const char* name) {
  rte_ring* made = rte_ring_create(name, 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  check(made != nullptr, "no memory for a ring");
  return made;
}

}  // namespace

// One frame as an agent would send it; only the destination differs from message to message, and
// the envelope has no checksum that would change (the UDP checksum is left out, as IPv4 allows).
struct NullWorker::Source {
  std::array<std::uint8_t, kMessageBytes> frame{};
  std::uint64_t routes = 1;
  std::uint64_t state = 1;

  Source(const MacAddress& mac, std::uint64_t n) : routes(n) {
    std::uint8_t* at = frame.data();
    store(at, EthernetHeader{
                  .destination = mac, .source = {2, 9, 9, 9, 9, 9}, .type = Big16(kEtherTypeIpv4)});
    constexpr std::size_t kUdpBytes = sizeof(UdpHeader) + kEnvelopeBytes;
    store(at + 14,
          dataplane::make_ipv4(0, 20 + kUdpBytes, Big32(0x0a000001u), kRouterAddress.v4_part()));
    store(at + 34, UdpHeader{.source_port = Big16(std::uint16_t{9000}),
                             .destination_port = Big16(kDefaultMessagePort),
                             .length = Big16(std::uint16_t{kUdpBytes}),
                             .checksum = Big16(std::uint16_t{0})});
    Envelope envelope{};
    envelope.version_and_length = kVersionAndLength;
    envelope.hop_limit = 64;
    envelope.source = bench_id(~std::uint64_t{1});
    store(at + 42, envelope);
  }
};

std::uint16_t NullWorker::fill(std::uint16_t, std::uint16_t, rte_mbuf** frames, std::uint16_t n,
                               std::uint16_t, void* data) {
  auto& source = *static_cast<Source*>(data);
  for (std::uint16_t i = 0; i < n; ++i) {
    source.state ^= source.state << 13;
    source.state ^= source.state >> 7;
    source.state ^= source.state << 17;
    auto* bytes = rte_pktmbuf_mtod(frames[i], std::uint8_t*);
    std::memcpy(bytes, source.frame.data(), kMessageBytes);
    store(bytes + 42 + offsetof(Envelope, destination), bench_id(source.state % source.routes));
    frames[i]->data_len = kMessageBytes;
    frames[i]->pkt_len = kMessageBytes;
  }
  return n;
}

NullWorker::NullWorker(dataplane::PortTable& ports, dataplane::Tables& tables,
                       link::WorkerCounters& counters, std::uint64_t routes)
    : source_(std::make_unique<Source>(ports.port[0].mac, routes)),
      pool_(rte_pktmbuf_pool_create("messages", kBuffers, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                    SOCKET_ID_ANY)) {
  check(pool_ != nullptr, "no memory for packet buffers");
  rte_eth_conf conf{};
  check(rte_eth_dev_configure(0, 1, 1, &conf) == 0, "the null device cannot be configured");
  check(rte_eth_rx_queue_setup(0, 0, 512, SOCKET_ID_ANY, nullptr, pool_) == 0, "no receive queue");
  check(rte_eth_tx_queue_setup(0, 0, 512, SOCKET_ID_ANY, nullptr) == 0, "no transmit queue");
  check(rte_eth_dev_start(0) == 0, "the null device does not start");
  check(rte_eth_add_rx_callback(0, 0, fill, source_.get()) != nullptr, "no receive callback");
  waker_ = std::make_unique<dataplane::Waker>(::eventfd(0, EFD_NONBLOCK));
  manager_ = std::make_unique<dataplane::Waker>(::eventfd(0, EFD_NONBLOCK));
  context_.tsc_hz = rte_get_tsc_hz();
  context_.served.push_back({.port = 0, .rx_queue = 0});
  context_.egress[0].tx_queue = 0;
  context_.ports = &ports;
  context_.tables = &tables;
  context_.mempool = pool_;
  context_.counters = &counters;
  context_.rings.to_host = ring("to_host");
  context_.rings.to_hold = ring("to_hold");
  context_.rings.to_control = ring("to_control");
  context_.rings.release = ring("release");
  context_.rings.transmit = ring("transmit");
  context_.rings.dispatch_in.resize(1);
  context_.rings.dispatch_out.resize(1);
  context_.rings.transmit_in.resize(1);
  context_.waker = waker_.get();
  context_.manager = manager_.get();
  context_.wakers = {waker_.get()};
}

NullWorker::~NullWorker() {
  stop();
}

void NullWorker::start(int cpu) {
  auto made = dataplane::Worker::create(context_);
  if (!made) progress("{}", made.error().message());
  check(made.has_value(), "the worker cannot be made");
  worker_ = std::move(*made);
  thread_ = std::thread([this, cpu] {
    check(pin_to_cpu(cpu), "the worker's CPU is not ours");
    check(rte_thread_register() == 0, "the worker's thread cannot be registered");
    worker_->run();
    rte_thread_unregister();
  });
}

void NullWorker::stop() {
  if (!thread_.joinable()) return;
  worker_->request_stop();
  thread_.join();
}

}  // namespace sluice::perf
