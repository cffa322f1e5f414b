#include "dataplane/worker/worker.hpp"

#include <numa.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <random>
#include <utility>

#include "dataplane/worker/loop.hpp"
#ifdef SLUICE_DEBUG
#include "dataplane/obs/malloc_watch.hpp"
#endif

namespace sluice::dataplane {
namespace {

// Memory that this thread touches first comes from the node, until destruction.
class PreferNode {
 public:
  explicit PreferNode(int node) : active_(node >= 0 && ::numa_available() >= 0) {
    if (active_) ::numa_set_preferred(node);
  }
  ~PreferNode() {
    if (active_) ::numa_set_localalloc();
  }
  PreferNode(const PreferNode&) = delete;
  PreferNode& operator=(const PreferNode&) = delete;

 private:
  bool active_;
};

PipelineConfig pipeline_config(const WorkerContext& context) {
  std::random_device random;
  return {.worker = context.index,
          .workers = context.workers,
          .socket = context.socket,
          .tsc_hz = context.tsc_hz,
          .seed = std::uint64_t{random()} << 32 | random(),
          .ports = context.ports,
          .tables = context.tables,
          .mempool = context.mempool,
          .counters = context.counters,
          .exits = {.to_host = context.rings.to_host,
                    .to_hold = context.rings.to_hold,
                    .to_control = context.rings.to_control,
                    .trace = context.rings.trace,
                    .denied = context.rings.denied},
          .egress = context.egress};
}

Status check(const WorkerContext& context) {
  const auto bad = [&](std::string_view what) {
    return fail(ErrorCode::kInvalidArgument,
                "worker " + std::to_string(context.index) + ": " + std::string(what));
  };
  if (context.index >= kMaxWorkers) return bad("index out of range");
  if (context.burst == 0 || context.burst > kMaxBurst) return bad("burst is not within 1 to 64");
  if (context.tables == nullptr || context.ports == nullptr || context.counters == nullptr) {
    return bad("tables, ports or counters are missing");
  }
  if (context.idle == IdlePolicy::kAdaptive && context.waker == nullptr) {
    return bad("it may sleep, but has no waker");
  }
  for (const ServedPort& served : context.served) {
    if (served.port >= context.ports->count) return bad("it serves a port that is not there");
  }
  return {};
}

}  // namespace

Worker::Worker(const WorkerContext& context) : context_(context) {}

Result<std::unique_ptr<Worker>> Worker::create(const WorkerContext& context) {
  if (auto status = check(context); !status) return std::unexpected(std::move(status.error()));
  const PreferNode prefer(context.socket);
  auto pipeline = Pipeline::create(pipeline_config(context));
  if (!pipeline) {
    return fail(std::move(pipeline.error()), "worker " + std::to_string(context.index));
  }
  std::unique_ptr<Worker> worker(new Worker(context));
  worker->loop_ = std::make_unique<Loop>(worker->context_, std::move(*pipeline));
  return worker;
}

// What others pushed here after this one had drained its rings.
Worker::~Worker() {
  if (loop_ != nullptr) loop_->finish();
}

void Worker::run() noexcept {
  // Short sleeps are to be short; the kernel's default is to be 50 us late.
  ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  if (context_.info != nullptr) {
    std::atomic_ref(context_.info->tid)
        .store(static_cast<std::uint32_t>(::gettid()), std::memory_order_relaxed);
  }
  running_.store(true, std::memory_order_release);
  {
#ifdef SLUICE_DEBUG
    const ForbidAllocation forbid;
#endif
    loop_->run(stop_);
  }
  running_.store(false, std::memory_order_release);
}

int Worker::launch(void* worker) noexcept {
  static_cast<Worker*>(worker)->run();
  return 0;
}

void Worker::request_stop() noexcept {
  stop_.store(true, std::memory_order_relaxed);
  if (context_.waker != nullptr) context_.waker->wake();
}

}  // namespace sluice::dataplane
