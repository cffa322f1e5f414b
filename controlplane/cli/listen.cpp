// listen: receives as an agent and says how well messages arrive
#include <fmt/format.h>

#include <unordered_map>

#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/sequence.hpp"
#include "controlplane/cli/traffic.hpp"

namespace sluice::cli {
namespace {

class Listener {
 public:
  Listener(Context& c, agent::Agent& agent)
      : c_(c), agent_(agent), count_(c.args.has("count") ? c.args.number("count") : UINT64_MAX) {}

  Status run(StopSignal& stop) {
    using namespace std::chrono_literals;
    const bool limited = c_.args.has("timeout");
    const auto limit = static_cast<std::uint64_t>(c_.args.duration("timeout").count());
    const std::uint64_t start = monotonic_ns();
    Progress progress(c_, start);
    std::uint64_t now = start;
    while (received_ < count_ && !(limited && now - start >= limit) && !stop.requested() &&
           c_.can_print()) {
      const auto messages = agent_.receive(20ms);
      now = monotonic_ns();
      const std::uint64_t wall = realtime_ns();
      if (!messages) return std::unexpected(messages.error());
      for (const auto& m : *messages) {
        if (received_ < count_) take(m, now, wall);
      }
      tell_lease(progress);
      if (progress.due(now)) progress.print(line());
    }
    return {};
  }

  int report() const {
    if (c_.json) {
      report_json();
    } else {
      report_text();
    }
    const bool enough = c_.args.has("count") ? received_ >= count_ : !lease_lost_;
    return enough ? kDone : kFailed;
  }

 private:
  struct Sender {
    SequenceTracker sequence;
    bool shared = false;  // others get messages of the same sequence: gaps are no losses
  };

  // Without its registration nothing arrives any more, which looks like silence.
  void tell_lease(Progress& progress) {
    const auto& error = agent_.lease_error();
    if (error.has_value() == lease_lost_) return;
    lease_lost_ = error.has_value();
    progress.clear();
    c_.environment.err(lease_lost_ ? fmt::format("not registered any more: {}; trying on\n",
                                                 printable(error->message()))
                                   : std::string("registered again\n"));
  }

  void take(const agent::Message& m, std::uint64_t now, std::uint64_t wall) {
    if (m.type() != MessageType::kData) {
      ++others_;
      return;
    }
    if (received_++ == 0) first_ns_ = now;
    last_ns_ = now;
    bytes_ += m.payload.size();
    const Envelope& e = m.envelope;
    auto& sender = senders_[e.source];
    sender.sequence.add(e.sequence.get());
    sender.shared |=
        (e.flags & message_flag::kCapability) != 0 && (e.flags & message_flag::kAllMembers) == 0;
    const std::uint64_t sent = e.timestamp_ns.get();
    if (sent <= wall) {
      latency_.add(wall - sent);
    } else {
      ++from_the_future_;
    }
    if (c_.args.has("show") && !c_.json) print(m);
  }

  void print(const agent::Message& m) const {
    const std::string_view text(reinterpret_cast<const char*>(m.payload.data()), m.payload.size());
    c_.print(fmt::format("{} #{} class {} tag {}, {} bytes: {}\n", to_string(m.envelope.source),
                         m.envelope.sequence.get(), m.envelope.traffic_class(),
                         m.envelope.message_type.get(), m.payload.size(),
                         printable(text.substr(0, 80))));
  }

  std::uint64_t total(std::uint64_t (SequenceTracker::*what)() const noexcept) const {
    std::uint64_t sum = 0;
    for (const auto& [id, sender] : senders_)
      sum += (sender.sequence.*what)();
    return sum;
  }
  std::uint64_t lost() const {
    std::uint64_t sum = 0;
    for (const auto& [id, sender] : senders_)
      sum += sender.shared ? 0 : sender.sequence.lost();
    return sum;
  }

  void report_json() const {
    const std::uint64_t ns = last_ns_ - first_ns_;
    JsonWriter json;
    json.begin_object().member("id", to_string(agent_.id())).member("received", received_);
    json.member("payload_bytes", bytes_).member("duration_ns", ns);
    json.member("rate_per_second", rate_of(received_ - std::min<std::uint64_t>(received_, 1), ns));
    json.member("lost", lost()).member("duplicates", total(&SequenceTracker::duplicates));
    json.member("reordered", total(&SequenceTracker::reordered));
    json.member("senders", std::uint64_t{senders_.size()});
    json.member("malformed", agent_.malformed()).member("other_types", others_);
    json.member("clock_ahead", from_the_future_).member("lease_lost", lease_lost_);
    write_latency(json, "one_way", latency_);
    json.key("by_sender").begin_array();
    for (const auto& [id, s] : senders_) {
      json.begin_object().member("id", to_string(id)).member("received", s.sequence.received());
      json.member("lost", s.sequence.lost()).member("shared", s.shared);
      json.member("duplicates", s.sequence.duplicates());
      json.member("reordered", s.sequence.reordered()).member("runs", s.sequence.runs());
      json.end_object();
    }
    c_.print(json.end_array().end_object().take());
  }

  void report_text() const {
    const std::uint64_t ns = last_ns_ - first_ns_;
    const std::uint64_t gaps = received_ - std::min<std::uint64_t>(received_, 1);
    Fields fields;
    fields.add("received",
               fmt::format("{} messages of {} senders in {}, {}/s, {}", with_commas(received_),
                           with_commas(senders_.size()), duration_text(ns),
                           scaled_text(rate_of(gaps, ns)), bytes_text(bytes_)));
    const auto missing = lost();
    fields.add("lost", fmt::format("{} ({})", with_commas(missing),
                                   percent_text(missing, received_ + missing)));
    fields.add("reordered", with_commas(total(&SequenceTracker::reordered)));
    fields.add("duplicates", with_commas(total(&SequenceTracker::duplicates)));
    if (latency_.count() != 0) fields.add("one way", latency_text(latency_));
    if (from_the_future_ != 0) {
      fields.add("clocks", c_.paint.warn(fmt::format(
                               "{} messages came from senders whose clock is ahead of this one",
                               with_commas(from_the_future_))));
    }
    if (lease_lost_) {
      fields.add("lease", c_.paint.bad(agent_.lease_error()->message()));
    }
    c_.print(fields.text(c_.paint));
  }

  std::string line() const {
    return fmt::format("{} received, {}/s, {} lost, {}", with_commas(received_),
                       scaled_text(rate_of(received_, last_ns_ - first_ns_)), with_commas(lost()),
                       latency_text(latency_));
  }

  const Context& c_;
  agent::Agent& agent_;
  std::uint64_t count_;
  std::uint64_t received_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t others_ = 0;
  std::uint64_t from_the_future_ = 0;
  std::uint64_t first_ns_ = 0;
  std::uint64_t last_ns_ = 0;
  bool lease_lost_ = false;
  Histogram latency_;
  std::unordered_map<Id, Sender, IdHash> senders_;
};

}  // namespace

Outcome listen(Context& c) {
  StopSignal stop;
  auto me = Participant::create(c);
  if (!me) return std::unexpected(me.error());
  // For scripts that start senders when somebody listens.
  if (c.json) {
    c.environment.err("listening\n");
  } else {
    c.print(fmt::format("listening as {}\n", to_string(me->agent().id())));
  }
  Listener listener(c, me->agent());
  if (auto ok = listener.run(stop); !ok) return std::unexpected(ok.error());
  return listener.report();
}

}  // namespace sluice::cli
