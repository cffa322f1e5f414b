// The control plane's process of the link benchmark: a real programmer and link, told what to do
// over a pair of pipes by the process that measures. One command at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace sluice::perf {

struct Reply {
  double ring_seconds;   // first command written to last one applied
  double total_seconds;  // the same, from the first change asked of the programmer
  std::uint64_t refused;
  double bytes_per_route;  // of the programmer's memory
};

class ControlProcess {
 public:
  // Starts this program again as the control plane: `routes` routes over 64 hosts wanted, not yet
  // connected. cpu < 0: not pinned.
  ControlProcess(const std::string& run_dir, std::uint64_t routes, int cpu);
  ~ControlProcess();  // kill -9
  ControlProcess(const ControlProcess&) = delete;
  ControlProcess& operator=(const ControlProcess&) = delete;

  void connect() { send('c', 0); }    // answers when ready: the time is the sync's
  void reconnect() { send('r', 0); }  // answers when the connection was lost and is ready again
  void update(std::uint64_t n) { send('u', n); }  // changes n routes, answers when applied
  bool take(Reply& reply);                        // false: not finished yet

  // main() of the process; argv[1] is "--control".
  static int run(int argc, char** argv);

 private:
  void send(char what, std::uint64_t count);
  pid_t pid_;
  int to_ = -1;
  int from_ = -1;
};

}  // namespace sluice::perf
