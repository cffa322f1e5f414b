// DPDK's environment abstraction layer as an object: started once per process, cleaned up when it
// dies. Its log lines go to ours. Main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "sluice/base/result.hpp"

namespace sluice::dataplane {

class Eal {
 public:
  // The error ends with what DPDK itself last complained about.
  static Result<std::unique_ptr<Eal>> start(std::vector<std::string> arguments,
                                            const std::string& file_prefix, config::LogLevel level);
  // Everything made through DPDK must be gone.
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

 private:
  struct LogBridge;
  explicit Eal(std::string file_prefix);

  std::string file_prefix_;
  std::vector<std::string> arguments_;
  std::unique_ptr<LogBridge> bridge_;
};

}  // namespace sluice::dataplane
