// Group commit: whoever comes first leads and writes what has gathered meanwhile.
#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "controlplane/store/log/log_files.hpp"
#include "controlplane/store/log/log_format.hpp"
#include "controlplane/store/thread_name.hpp"

namespace sluice::controlplane::store {

using log_format::encode_record;
using log_format::kRecordHeader;
using log_format::padded;
using log_format::RecordHeader;

namespace {

constexpr std::uint64_t kNeverSyncBytes = std::uint64_t{8} << 20;

Status too_long(std::size_t bytes) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("a batch of {} bytes; at most {} fit", bytes, kMaxLogPayload),
              ErrorOrigin::kStore);
}

}  // namespace

class LogWriter::Impl {
 public:
  Impl(Fs& fs, LogOptions options, LogEnd end);
  ~Impl();

  Status begin();
  void set_refusal(const Status& status);
  Status commit(ByteView payload, std::uint32_t operations, const Done& done);
  void submit(Buffer payload, std::uint32_t operations, Done done);
  Status sync();
  Status sync_written();
  LogEnd durable_end();
  Status remove_through(std::uint64_t sequence) { return files_.remove_through(sequence); }
  std::uint64_t next_sequence() const;
  std::uint64_t durable_sequence() const { return files_.durable_sequence(); }
  std::vector<LogEnd::KeptFile> files() const { return files_.list(); }
  Status health() const;
  LogMetrics metrics() const;

 private:
  // Somebody who waits in commit().
  struct Waiter {
    std::condition_variable wake;
    bool done = false;
    bool leads = false;
    Status status;
  };
  struct Pending {
    ByteView payload;
    Buffer owned;  // what payload points to, of submit()
    std::uint32_t operations = 0;
    Done own_done;
    const Done* done = nullptr;
    Waiter* waiter = nullptr;
  };
  using Group = std::deque<Pending>;

  void wait_for(Waiter& waiter, std::unique_lock<std::mutex>& lock);
  // With leading_ set by the caller and the lock held; commits groups until `mine` is done (or
  // nothing waits), then hands on or gives up leading_.
  void lead(std::unique_lock<std::mutex>& lock, const Waiter* mine);
  void hand_on();
  Group take_group();
  Status commit_group(const Group& group, std::uint64_t& next);
  Status write_group(const Group& group, std::uint64_t& next);
  void finish_group(Group& group, const Status& status, std::uint64_t first);
  void refuse(const Error& error);
  void log_thread();
  void sync_thread();
  void want_sync();
  void close();

  const LogOptions options_;
  const LogEnd end_;  // of what was there before
  LogFiles files_;
  bool begun_ = false;  // of whoever opens
  Buffer buffer_;       // the leader's

  mutable std::mutex mutex_;
  std::deque<Pending> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  bool leading_ = false;
  bool thread_leads_ = false;
  bool stopping_ = false;
  bool sync_wanted_ = false;          // there is something for the sync thread
  std::uint64_t unsynced_bytes_ = 0;  // the leader's: since kNever wanted the last sync
  std::uint64_t next_sequence_;
  Status refused_;
  bool given_up_ = false;  // refused for good
  LogMetrics metrics_;
  std::condition_variable space_;
  std::condition_variable wake_log_;
  std::condition_variable wake_sync_;
  std::thread log_thread_;
  std::thread sync_thread_;
};

LogWriter::Impl::Impl(Fs& fs, LogOptions options, LogEnd end)
    : options_(std::move(options)),
      end_(std::move(end)),
      files_(fs, options_),
      next_sequence_(end_.next_sequence),
      refused_(fail(ErrorCode::kUnavailable, "the log is not open yet", ErrorOrigin::kStore)) {
  log_thread_ = std::thread([this] { log_thread(); });
  if (options_.fsync != Fsync::kEach) sync_thread_ = std::thread([this] { sync_thread(); });
}

// Nobody else looks at the files before set_refusal({}): everything is refused.
Status LogWriter::Impl::begin() {
  if (begun_) return {};
  const Status opened = files_.open(end_);
  begun_ = opened.has_value();
  return opened;
}

void LogWriter::Impl::set_refusal(const Status& status) {
  const std::lock_guard lock(mutex_);
  if (!given_up_) refused_ = status;
}

LogWriter::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_log_.notify_all();
  wake_sync_.notify_all();
  if (log_thread_.joinable()) log_thread_.join();
  if (sync_thread_.joinable()) sync_thread_.join();
  close();
}

// The mark says that everything before it was synced, so that later damage cannot pass for a torn
// end. Nobody is told of an error: what was promised was done before.
void LogWriter::Impl::close() {
  if (!begun_ || !sync_written()) return;
  Buffer mark(kRecordHeader);
  encode_record(mark.data(), {.sequence = next_sequence_, .durable = files_.durable_position()}, {},
                files_.salt());
  if (files_.write(mark, next_sequence_)) (void)sync_written();
  (void)files_.trim();
}

Status LogWriter::Impl::health() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

std::uint64_t LogWriter::Impl::next_sequence() const {
  const std::lock_guard lock(mutex_);
  return next_sequence_;
}

LogMetrics LogWriter::Impl::metrics() const {
  LogMetrics metrics;
  {
    const std::lock_guard lock(mutex_);
    metrics = metrics_;
  }
  files_.add_to(metrics);
  return metrics;
}

void LogWriter::Impl::refuse(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(given_up_, true)) return;
  Error kept(error.code(),
             "the log takes no more writes until the store is opened anew: " + error.message(),
             ErrorOrigin::kStore);
  refused_ = std::unexpected(std::move(kept));
}

void LogWriter::Impl::wait_for(Waiter& waiter, std::unique_lock<std::mutex>& lock) {
  if (leading_) {
    waiter.wake.wait(lock, [&] { return waiter.done || waiter.leads; });
  } else {
    leading_ = waiter.leads = true;
  }
  if (!waiter.done) lead(lock, &waiter);
}

Status LogWriter::Impl::commit(ByteView payload, std::uint32_t operations, const Done& done) {
  if (payload.size() > kMaxLogPayload) return too_long(payload.size());
  Waiter waiter;
  std::unique_lock lock(mutex_);
  waiting_.push_back({.payload = payload,
                      .operations = operations,
                      .done = done ? &done : nullptr,
                      .waiter = &waiter});
  waiting_bytes_ += payload.size();
  wait_for(waiter, lock);
  return waiter.status;
}

void LogWriter::Impl::submit(Buffer payload, std::uint32_t operations, Done done) {
  if (payload.size() > kMaxLogPayload) {
    if (done) done(too_long(payload.size()), 0);
    return;
  }
  std::unique_lock lock(mutex_);
  space_.wait(lock, [&] { return waiting_bytes_ < options_.waiting_bytes; });
  Pending& pending = waiting_.emplace_back();
  pending.owned = std::move(payload);
  pending.payload = pending.owned;
  pending.operations = operations;
  pending.own_done = std::move(done);
  if (pending.own_done) pending.done = &pending.own_done;
  waiting_bytes_ += pending.payload.size();
  if (leading_) return;
  leading_ = thread_leads_ = true;
  wake_log_.notify_one();
}

LogEnd LogWriter::Impl::durable_end() {
  (void)sync();  // what it could not make durable is not in the end
  LogEnd end = files_.durable_end();
  return end.files.empty() ? end_ : end;
}

Status LogWriter::Impl::sync() {
  if (auto good = health(); !good) return good;
  return sync_written();
}

// Also while writes are refused for the time being: what was written before shall not wait until
// they are not. Nor is a group taken back by that: the next one would get its place in the order,
// but not its place in the file.
Status LogWriter::Impl::sync_written() {
  {
    const std::lock_guard lock(mutex_);
    if (given_up_) return refused_;
  }
  auto done = files_.sync();
  if (!done) refuse(done.error());
  return done;
}

LogWriter::Impl::Group LogWriter::Impl::take_group() {
  Group group;
  std::uint64_t bytes = 0;
  while (!waiting_.empty()) {
    Pending& next = waiting_.front();
    const std::uint64_t size = kRecordHeader + padded(next.payload.size());
    if (!group.empty() && bytes + size > options_.group_bytes) break;
    bytes += size;
    waiting_bytes_ -= next.payload.size();
    group.push_back(std::move(next));
    waiting_.pop_front();
    // Moving kept the bytes where they were, but not the function.
    Pending& moved = group.back();
    if (moved.own_done) moved.done = &moved.own_done;
  }
  return group;
}

void LogWriter::Impl::lead(std::unique_lock<std::mutex>& lock, const Waiter* mine) {
  while (!waiting_.empty() && (mine == nullptr || !mine->done)) {
    Group group = take_group();
    space_.notify_all();
    const std::uint64_t first = next_sequence_;
    std::uint64_t next = first;
    Status status = refused_;
    lock.unlock();
    if (status) status = commit_group(group, next);
    if (!status) next = first;
    finish_group(group, status, first);
    lock.lock();
    next_sequence_ = next;
    ++metrics_.groups;
    if (!status) ++metrics_.failures;
    for (const Pending& pending : group) {
      if (status) ++metrics_.records;
      if (pending.waiter == nullptr) continue;
      pending.waiter->status = status;
      pending.waiter->done = true;
      pending.waiter->wake.notify_one();
    }
    if (status && options_.fsync == Fsync::kInterval) want_sync();
  }
  hand_on();
}

void LogWriter::Impl::hand_on() {
  if (waiting_.empty()) {
    leading_ = false;
    if (stopping_) wake_log_.notify_all();
    return;
  }
  if (Waiter* next = waiting_.front().waiter; next != nullptr) {
    next->leads = true;
    next->wake.notify_one();
  } else {
    thread_leads_ = true;
    wake_log_.notify_one();
  }
}

Status LogWriter::Impl::commit_group(const Group& group, std::uint64_t& next) {
  if (auto written = write_group(group, next); !written) return written;
  return options_.fsync == Fsync::kEach ? sync_written() : Status{};
}

Status LogWriter::Impl::write_group(const Group& group, std::uint64_t& next) {
  std::size_t bytes = 0;
  for (const Pending& pending : group)
    bytes += kRecordHeader + padded(pending.payload.size());
  if (files_.full(bytes)) {
    if (auto begun = files_.begin_file(next); !begun) return begun;
    unsynced_bytes_ = kNeverSyncBytes;
  }
  buffer_.resize(bytes);
  std::uint8_t* to = buffer_.data();
  RecordHeader header{.durable = files_.durable_position()};
  for (const Pending& pending : group) {
    header.payload_bytes = static_cast<std::uint32_t>(pending.payload.size());
    header.operations = pending.operations;
    header.sequence = next;
    encode_record(to, header, pending.payload, files_.salt());
    to += header.size();
    next += pending.operations;
  }
  auto written = files_.write(buffer_, next);
  if (written) {
    const std::lock_guard lock(mutex_);
    metrics_.bytes += bytes;
    unsynced_bytes_ += bytes;
    if (options_.fsync == Fsync::kNever && unsynced_bytes_ >= kNeverSyncBytes) {
      unsynced_bytes_ = 0;
      want_sync();
    }
  }
  return written;
}

void LogWriter::Impl::finish_group(Group& group, const Status& status, std::uint64_t first) {
  for (Pending& pending : group) {
    if (pending.done != nullptr) (*pending.done)(status, status ? first : 0);
    first += pending.operations;
  }
}

void LogWriter::Impl::log_thread() {
  name_thread("store-log");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_log_.wait(lock, [&] { return thread_leads_ || (stopping_ && !leading_); });
    if (std::exchange(thread_leads_, false)) lead(lock, nullptr);
    if (stopping_ && !leading_) return;
  }
}

void LogWriter::Impl::want_sync() {
  if (!std::exchange(sync_wanted_, true)) wake_sync_.notify_one();
}

// kInterval: some time after something was written. kNever: when a file is full or much was
// written, so that no long log lies in memory only, which a flush would have to wait for.
void LogWriter::Impl::sync_thread() {
  name_thread("store-sync");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_sync_.wait(lock, [&] { return stopping_ || sync_wanted_; });
    if (options_.fsync == Fsync::kInterval) {
      wake_sync_.wait_for(lock, options_.fsync_interval, [&] { return stopping_; });
    }
    if (stopping_) return;  // close() syncs
    sync_wanted_ = false;
    lock.unlock();
    (void)sync_written();  // an error is kept for the next commit
    lock.lock();
  }
}

Result<std::unique_ptr<LogWriter>> LogWriter::create(Fs& fs, LogOptions options,
                                                     const LogEnd& end) {
  auto log = create_waiting(fs, std::move(options), end);
  if (auto begun = log->begin(); !begun) return std::unexpected(std::move(begun.error()));
  log->set_refusal({});
  return log;
}

std::unique_ptr<LogWriter> LogWriter::create_waiting(Fs& fs, LogOptions options, LogEnd end) {
  auto impl = std::make_unique<Impl>(fs, std::move(options), std::move(end));
  return std::unique_ptr<LogWriter>(new LogWriter(std::move(impl)));
}

LogWriter::LogWriter(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
LogWriter::~LogWriter() = default;

Status LogWriter::begin() {
  return impl_->begin();
}
void LogWriter::set_refusal(const Status& status) {
  impl_->set_refusal(status);
}
Status LogWriter::commit(ByteView payload, std::uint32_t operations, const Done& done) {
  return impl_->commit(payload, operations, done);
}
void LogWriter::submit(Buffer payload, std::uint32_t operations, Done done) {
  impl_->submit(std::move(payload), operations, std::move(done));
}
Status LogWriter::sync() {
  return impl_->sync();
}
LogEnd LogWriter::durable_end() {
  return impl_->durable_end();
}
Status LogWriter::remove_through(std::uint64_t sequence) {
  return impl_->remove_through(sequence);
}
std::uint64_t LogWriter::next_sequence() const {
  return impl_->next_sequence();
}
std::uint64_t LogWriter::durable_sequence() const {
  return impl_->durable_sequence();
}
std::vector<LogEnd::KeptFile> LogWriter::files() const {
  return impl_->files();
}
Status LogWriter::health() const {
  return impl_->health();
}
LogMetrics LogWriter::metrics() const {
  return impl_->metrics();
}

}  // namespace sluice::controlplane::store
