// The API's server on its unix socket. create() and shutdown() on any thread but the control
// thread, which must run for as long as the server does.
#pragma once

#include <memory>
#include <string>

#include "controlplane/api/subsystems.hpp"
#include "sluice/base/result.hpp"

namespace asio {
class io_context;
}

namespace sluice::controlplane {

struct ApiOptions {
  std::string socket;
  std::string group;  // may use the socket besides root; empty: nobody
};

class ApiServer {
 public:
  static Result<std::unique_ptr<ApiServer>> create(const ApiOptions& options,
                                                   asio::io_context& control,
                                                   const Subsystems& subsystems);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Running calls have a second to end.
  void shutdown();

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::controlplane
