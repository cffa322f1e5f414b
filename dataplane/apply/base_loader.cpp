#include "dataplane/apply/base_loader.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <utility>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {

namespace {

constexpr int kNice = 10;

}  // namespace

BaseLoader::BaseLoader(int numa_node)
    : numa_node_(numa_node), done_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

BaseLoader::~BaseLoader() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    give_up_.store(true, std::memory_order_relaxed);
  }
  wake_.notify_one();
  thread_.join();
}

void BaseLoader::start(const link::SegmentId& segment, UniqueFd file) {
  busy_ = segment;
  {
    const std::lock_guard lock(mutex_);
    give_up_.store(true, std::memory_order_relaxed);
    next_ = Request{.segment = segment, .file = std::move(file), .number = ++requests_};
    wanted_ = requests_;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  wake_.notify_one();
}

std::optional<BaseLoader::Outcome> BaseLoader::cancel() {
  busy_.reset();
  const std::lock_guard lock(mutex_);
  wanted_ = 0;
  next_.reset();
  give_up_.store(true, std::memory_order_relaxed);
  return take_outcome();
}

// With the lock: who writes the descriptor has it too.
std::optional<BaseLoader::Outcome> BaseLoader::take_outcome() {
  if (!outcome_) return std::nullopt;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(done_.get(), &count, sizeof count);
  return std::exchange(outcome_, std::nullopt);
}

std::optional<BaseLoader::Outcome> BaseLoader::poll() {
  if (!busy_) return std::nullopt;
  const std::lock_guard lock(mutex_);
  auto found = take_outcome();
  if (found) busy_.reset();
  return found;
}

void BaseLoader::work() {
  ::pthread_setname_np(::pthread_self(), "base-loader");
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (!next_) {
      wake_.wait(lock);
      continue;
    }
    Request request = std::move(*std::exchange(next_, std::nullopt));
    give_up_.store(false, std::memory_order_relaxed);
    lock.unlock();
    const std::uint64_t begin = monotonic_ns();
    auto loaded = load_base(request.file.get(), request.segment, numa_node_, give_up_);
    request.file = UniqueFd();
    const std::uint64_t took = monotonic_ns() - begin;
    lock.lock();
    if (request.number != wanted_) {
      lock.unlock();
      loaded =
          std::unexpected(BaseLoadFailure{});  // gives the memory back here, not in the manager
      lock.lock();
      continue;
    }
    outcome_ = Outcome{.segment = request.segment, .loaded = std::move(loaded), .took_ns = took};
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(done_.get(), &one, sizeof one);
  }
}

}  // namespace sluice::dataplane
