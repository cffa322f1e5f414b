#include "controlplane/api/trace_hub.hpp"

#include "controlplane/link/link.hpp"

namespace sluice::controlplane {

std::optional<link::TraceRecord> TraceSession::next(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, patience, [this] { return done_ || !waiting_.empty(); });
  if (waiting_.empty()) return std::nullopt;
  const link::TraceRecord record = waiting_.front();
  waiting_.pop_front();
  return record;
}

bool TraceSession::finished() const {
  const std::lock_guard lock(mutex_);
  return done_ && waiting_.empty();
}

bool TraceSession::complete() const {
  const std::lock_guard lock(mutex_);
  return done_ || expected_.has_value();
}

bool TraceSession::cut_short() const {
  const std::lock_guard lock(mutex_);
  return cut_short_;
}

void TraceSession::push(const link::TraceRecord& record) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() < kMaxWaiting) waiting_.push_back(record);
  ++received_;
  done_ = done_ || (expected_ && received_ >= *expected_);
  arrived_.notify_one();
}

// The end comes over another ring than the records, and may overtake them.
void TraceSession::expect(std::uint64_t records) {
  const std::lock_guard lock(mutex_);
  expected_ = records;
  done_ = done_ || received_ >= records;
  arrived_.notify_one();
}

void TraceSession::finish(bool cut_short) {
  const std::lock_guard lock(mutex_);
  done_ = true;
  cut_short_ = cut_short;
  arrived_.notify_one();
}

Result<std::shared_ptr<TraceSession>> TraceHub::start(const Id& source, const Id& destination,
                                                      std::uint32_t count) {
  if (session_ != nullptr) {
    return fail(ErrorCode::kAlreadyExists,
                "somebody else is tracing; try again when that has ended", ErrorOrigin::kLocal,
                true);
  }
  const auto token = link_.start_trace(source, destination, count);
  if (!token) return std::unexpected(token.error());
  session_ = std::make_shared<TraceSession>();
  session_->token_ = *token;
  return session_;
}

void TraceHub::stop(const std::shared_ptr<TraceSession>& session) {
  if (session_ != session) return;
  link_.stop_trace();
  session_->finish(false);
  session_.reset();
}

void TraceHub::on_record(const link::TraceRecord& record) {
  if (session_ != nullptr && record.token == session_->token_) session_->push(record);
}

void TraceHub::on_done(std::uint32_t token, std::uint64_t records) {
  if (session_ != nullptr && token == session_->token_) session_->expect(records);
}

void TraceHub::on_link_lost() {
  if (session_ == nullptr) return;
  session_->finish(true);
  session_.reset();
}

}  // namespace sluice::controlplane
