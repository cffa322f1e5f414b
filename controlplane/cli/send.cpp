// send: messages at an exact rate, in batches
#include <fmt/format.h>
#include <sys/prctl.h>

#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/pacer.hpp"
#include "controlplane/cli/traffic.hpp"
#include "controlplane/cli/values.hpp"

namespace sluice::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kGiveUp = 30s;  // without a router

class Sender {
 public:
  Sender(Context& c, agent::Agent& agent, const Destination& to, std::uint8_t lifetime)
      : c_(c), agent_(agent), count_(c.args.number("count")) {
    const std::string text = c.args.text("text");
    payload_.resize(c.args.has("size") || !c.args.has("text") ? c.args.number("size")
                                                              : text.size());
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()),
                std::min(text.size(), payload_.size()), payload_.begin());
    model_ = agent.message_to(to.id);
    model_.flags = to.flags;
    if (c.args.has("notify") || c.args.has("wait-notices")) model_.flags |= message_flag::kNotify;
    model_.set_class_and_lifetime(static_cast<std::uint8_t>(c.args.number("class")), lifetime);
    if (c.args.has("key")) model_.routing_key.set(c.args.number("key"));
    model_.message_type.set(static_cast<std::uint16_t>(c.args.number("tag")));
  }

  Status run(StopSignal& stop) {
    constexpr std::uint64_t kServeEveryNs = 2 * kNsPerMs;
    // Precise sleeps; the default lets the kernel add 50 us.
    ::prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    start_ns_ = monotonic_ns();
    Pacer pacer(c_.args.number("rate"), start_ns_);
    Progress progress(c_, start_ns_);
    std::uint64_t serve_ns = start_ns_;
    while (sent_ < count_ && !gave_up_) {
      std::uint64_t now = monotonic_ns();
      if (now >= serve_ns) {
        if (stop.requested()) break;
        if (auto ok = serve(0ns); !ok) return ok;
        if (progress.due(now)) progress.print(line(now));
        serve_ns = now + kServeEveryNs;
      }
      const auto due = pacer.due(now, std::min<std::uint64_t>(agent::kMaxBatch, count_ - sent_));
      if (due == 0) {
        // Long gaps are spent receiving, which keeps the lease; short ones asleep.
        const auto gap = std::chrono::nanoseconds(pacer.next_ns() - now);
        if (gap > 1ms) {
          if (auto ok = serve(gap); !ok) return ok;
        } else {
          c_.environment.sleep(gap);
        }
        continue;
      }
      const auto taken = send(due);
      if (!taken) return std::unexpected(taken.error());
      pacer.take(*taken);
    }
    end_ns_ = monotonic_ns();
    return wait_for_notices(stop);
  }

  int report() const {
    const std::uint64_t ns = end_ns_ - start_ns_;
    if (c_.json) {
      JsonWriter json;
      json.begin_object().member("destination", to_string(model_.destination));
      json.member("source", to_string(model_.source)).member("asked", count_);
      json.member("sent", sent_).member("payload_bytes", std::uint64_t{payload_.size()});
      json.member("duration_ns", ns).member("rate_per_second", rate_of(sent_, ns));
      json.member("queue_full", queue_full_).member("errors", errors_);
      write_notices(json, notices_);
      json.member("echoes_or_data_received", received_);
      c_.print(json.end_object().take());
    } else {
      c_.print(fmt::format("{} of {} messages sent in {}, {}/s, payload {} bytes\n",
                           with_commas(sent_), with_commas(count_), duration_text(ns),
                           scaled_text(rate_of(sent_, ns)), payload_.size()));
      if (errors_ != 0) {
        c_.print(c_.paint.bad(fmt::format("{} errors: {}\n", errors_, last_error_)));
      }
      if ((model_.flags & message_flag::kNotify) != 0) {
        c_.print("notices of undelivered messages: " + notices_text(notices_) + "\n");
      }
    }
    return sent_ == count_ && notices_.empty() ? kDone : kFailed;
  }

 private:
  // The sequence is this run's own and has no gaps, so that the receiver can count losses; the
  // agent's own counter also numbers its requests to the router.
  Result<std::uint64_t> send(std::uint64_t count) {
    const std::uint64_t now = realtime_ns();
    batch_.clear();
    for (std::uint64_t i = 0; i < count; ++i) {
      Envelope e = model_;
      e.sequence.set(model_.sequence.get() + static_cast<std::uint32_t>(sent_ + i));
      e.timestamp_ns.set(now);
      batch_.push_back({e, payload_});
    }
    const auto taken = agent_.send(batch_);
    if (!taken) {
      if (!taken.error().retryable()) return std::unexpected(taken.error());
      wait_for_router(taken.error());
      return 0;
    }
    failing_since_ns_ = 0;
    if (*taken == 0) {
      ++queue_full_;
      c_.environment.sleep(50us);
    }
    sent_ += *taken;
    return *taken;
  }

  // The messages are tried again, but not for ever.
  void wait_for_router(const Error& error) {
    const std::uint64_t now = monotonic_ns();
    ++errors_;
    last_error_ = error.message();
    if (failing_since_ns_ == 0) {
      failing_since_ns_ = now;
      c_.environment.err(fmt::format("sluice: {}; trying for {} s\n", last_error_, kGiveUp / 1s));
    }
    gave_up_ = now - failing_since_ns_ > static_cast<std::uint64_t>(kGiveUp / 1ns);
    c_.environment.sleep(10ms);
  }

  // Takes what came: notices count, echo requests and the lease are the agent's own matter.
  Status serve(std::chrono::nanoseconds wait) {
    const auto messages = agent_.receive(wait);
    if (!messages) return std::unexpected(messages.error());
    for (const auto& m : *messages) {
      if (m.type() == MessageType::kNotice) {
        ++notices_[reason_of(m)];
      } else {
        ++received_;
      }
    }
    return {};
  }

  Status wait_for_notices(StopSignal& stop) {
    if (!c_.args.has("wait-notices")) return serve(0ns);
    const auto wait = static_cast<std::uint64_t>(c_.args.duration("wait-notices").count());
    while (!stop.requested() && monotonic_ns() < end_ns_ + wait) {
      if (auto ok = serve(10ms); !ok) return ok;
    }
    return {};
  }

  std::string line(std::uint64_t now) const {
    return fmt::format("{} of {} sent, {}/s, notices: {}", with_commas(sent_), with_commas(count_),
                       scaled_text(rate_of(sent_, now - start_ns_)), notices_text(notices_));
  }

  const Context& c_;
  agent::Agent& agent_;
  std::uint64_t count_;
  Envelope model_{};
  std::vector<std::byte> payload_;
  std::vector<agent::Outgoing> batch_;
  std::uint64_t start_ns_ = 0;
  std::uint64_t end_ns_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t queue_full_ = 0;
  std::uint64_t errors_ = 0;
  std::string last_error_;
  std::uint64_t failing_since_ns_ = 0;  // 0: the last one went well
  bool gave_up_ = false;
  Notices notices_;
};

}  // namespace

Outcome send(Context& c) {
  const auto to = destination_of(c);
  if (!to) return std::unexpected(to.error());
  const auto lifetime = lifetime_code(c.args.duration("lifetime"));
  if (!lifetime) return std::unexpected(lifetime.error());
  if (c.args.number("tag") > 65535) return wrong_usage("--tag: at most 65535");
  StopSignal stop;
  auto me = Participant::create(c);
  if (!me) return std::unexpected(me.error());
  Sender sender(c, me->agent(), *to, *lifetime);
  if (auto ok = sender.run(stop); !ok) return std::unexpected(ok.error());
  return sender.report();
}

}  // namespace sluice::cli
