// ping: round trips to an agent, a member of a capability, or a router
#include <fmt/format.h>

#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/traffic.hpp"

namespace sluice::cli {
namespace {

class Pinger {
 public:
  Pinger(Context& c, agent::Agent& agent, const Destination& to)
      : c_(c),
        agent_(agent),
        to_(to),
        payload_(c.args.number("size")),
        count_(c.args.has("count") ? c.args.number("count") : UINT64_MAX) {}

  Status run(StopSignal& stop) {
    const auto interval = static_cast<std::uint64_t>(c_.args.duration("interval").count());
    const auto timeout = static_cast<std::uint64_t>(c_.args.duration("timeout").count());
    std::uint64_t next = monotonic_ns();
    while (!stop.requested() && c_.can_print()) {
      const std::uint64_t now = monotonic_ns();
      if (sent_ < count_ && now >= next) {
        if (auto ok = ask(); !ok) return ok;
        next += interval;
        continue;
      }
      forget_older_than(now - std::min(now, timeout));
      if (sent_ == count_ && waiting_.empty()) break;
      const std::uint64_t wake = sent_ < count_ ? next : now + timeout / 10 + 1;
      if (auto ok = take_answers(std::chrono::nanoseconds(wake - now)); !ok) return ok;
    }
    return {};
  }

  int report() const {
    const std::uint64_t answered = rtt_.count();
    if (c_.json) {
      JsonWriter json;
      json.begin_object().member("destination", to_string(to_.id));
      json.member("sent", sent_).member("answered", answered).member("lost", sent_ - answered);
      json.member("duplicates", duplicates_);
      write_notices(json, notices_);
      write_latency(json, "round_trip", rtt_);
      c_.print(json.end_object().take());
    } else {
      c_.print(fmt::format("{} sent, {} answered, {} lost\n", sent_, answered,
                           percent_text(sent_ - answered, sent_)));
      if (answered != 0) c_.print("round trip " + latency_text(rtt_) + "\n");
    }
    return answered == sent_ ? kDone : kFailed;
  }

 private:
  Status ask() {
    Envelope echo = agent_.message_to(to_.id);
    echo.type = static_cast<std::uint8_t>(MessageType::kEcho);
    echo.flags = to_.flags | message_flag::kNotify;
    ++sent_;
    waiting_[echo.sequence.get()] = {sent_, monotonic_ns()};
    auto sent = agent_.send(echo, payload_);
    if (sent || !sent.error().retryable()) return sent;
    waiting_.erase(echo.sequence.get());
    say(sent_, c_.paint.bad(sent.error().message()));
    return {};
  }

  Status take_answers(std::chrono::nanoseconds wait) {
    auto messages = agent_.receive(wait);
    const std::uint64_t now = monotonic_ns();
    if (!messages) return std::unexpected(messages.error());
    for (const auto& m : *messages) {
      const auto asked = waiting_.find(m.envelope.sequence.get());
      if (m.type() == MessageType::kNotice && asked != waiting_.end()) {
        ++notices_[reason_of(m)];
        say(asked->second.number, c_.paint.bad("not delivered: " + reason_of(m)));
        waiting_.erase(asked);
      } else if (m.type() == MessageType::kEchoReply && asked == waiting_.end()) {
        ++duplicates_;
      } else if (m.type() == MessageType::kEchoReply) {
        rtt_.add(now - asked->second.sent_ns);
        say(asked->second.number,
            fmt::format("answer of {}: {} bytes in {}", to_string(m.envelope.source),
                        m.payload.size(), duration_text(now - asked->second.sent_ns)));
        waiting_.erase(asked);
      }
    }
    return {};
  }

  void forget_older_than(std::uint64_t ns) {
    std::erase_if(waiting_, [&](const auto& asked) {
      if (asked.second.sent_ns >= ns) return false;
      say(asked.second.number, c_.paint.bad("no answer"));
      return true;
    });
  }

  void say(std::uint64_t number, const std::string& what) const {
    if (!c_.json) c_.print(fmt::format("{}: {}\n", number, what));
  }

  struct Asked {
    std::uint64_t number = 0;
    std::uint64_t sent_ns = 0;
  };

  const Context& c_;
  agent::Agent& agent_;
  Destination to_;
  std::vector<std::byte> payload_;
  std::uint64_t count_;
  std::uint64_t sent_ = 0;
  std::uint64_t duplicates_ = 0;
  std::map<std::uint32_t, Asked> waiting_;
  Histogram rtt_;
  Notices notices_;
};

}  // namespace

Outcome ping(Context& c) {
  const auto to = destination_of(c);
  if (!to) return std::unexpected(to.error());
  StopSignal stop;
  auto me = Participant::create(c);
  if (!me) return std::unexpected(me.error());
  Pinger pinger(c, me->agent(), *to);
  if (auto ok = pinger.run(stop); !ok) return std::unexpected(ok.error());
  return pinger.report();
}

}  // namespace sluice::cli
