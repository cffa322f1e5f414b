// The control plane as a whole: all subsystems, wired in one list, and their life from start to
// orderly stop. Main thread, which becomes the control thread in run().
#pragma once

#include <memory>
#include <string>

#include "config/config.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane {

class ControlPlane {
 public:
  // Takes locks and sockets; nothing runs yet. `config_file` is what a reload reads.
  static Result<std::unique_ptr<ControlPlane>> create(config::Config config,
                                                      std::string config_file, std::string version);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  // Until SIGTERM or SIGINT.
  Status run();

 private:
  struct Impl;
  explicit ControlPlane(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::controlplane
