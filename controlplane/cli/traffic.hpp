// What ping, send and listen share: an agent made from the options, a clean stop on Ctrl-C, the
// progress line, and figures as text and JSON. One thread.
#pragma once

#include <array>
#include <map>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/histogram.hpp"
#include "sluice/agent/agent.hpp"

namespace sluice::cli {

// Catches SIGINT and SIGTERM while it lives, so that a run ends with its result and the lease is
// given back. A second Ctrl-C ends the process at once.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  bool requested() noexcept;  // a system call until it is true

 private:
  void restore() noexcept;

  int fd_ = -1;
  sigset_t before_{};
  bool requested_ = false;
};

// An agent with its lease, if it asked for one; unregisters at the end.
class Participant {
 public:
  static Result<Participant> create(const Context& c);
  Participant(Participant&&) = default;
  Participant& operator=(Participant&&) = delete;
  ~Participant();

  agent::Agent& agent() noexcept { return *agent_; }

 private:
  explicit Participant(agent::Agent agent)
      : agent_(std::make_unique<agent::Agent>(std::move(agent))) {}

  std::unique_ptr<agent::Agent> agent_;
  bool registered_ = false;
};

// Where messages go: id and flags of DESTINATION, by --capability and --all-members.
struct Destination {
  Id id;
  std::uint8_t flags = 0;
};
Result<Destination> destination_of(const Context& c);

// A line that is written over once a second on a terminal; nothing elsewhere.
class Progress {
 public:
  Progress(const Context& c, std::uint64_t now_ns)
      : c_(c), on_(c.environment.terminal && !c.json), next_ns_(now_ns + kNsPerSecond) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  bool due(std::uint64_t now_ns) noexcept;
  void print(std::string_view line);
  void clear();

 private:
  const Context& c_;
  bool on_;
  bool shown_ = false;
  std::uint64_t next_ns_;
};

using Notices = std::map<std::string, std::uint64_t>;  // by reason

// "p50 12.1 us, p90 ..."; empty for an empty histogram.
std::string latency_text(const Histogram& h);
// {"count": .., "min_ns": .., "mean_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"}
void write_latency(JsonWriter& json, std::string_view name, const Histogram& h);
std::string notices_text(const Notices& notices);
void write_notices(JsonWriter& json, const Notices& notices);
std::string reason_of(const agent::Message& notice);
double rate_of(std::uint64_t count, std::uint64_t ns) noexcept;  // per second; 0 for no time

}  // namespace sluice::cli
