// A real sluice-controlplane in a network namespace of the test's own, and a client for it. One
// thread; all it starts ends with it. Needs root.
#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "sluice.grpc.pb.h"

namespace sluice::test {

// Moves this process into a fresh network namespace; false without the right to it.
bool enter_own_network();
// Runs a shell command and wants it to succeed.
void shell(const std::string& command);
std::string output_of(const std::string& command);
// Until the condition holds, at most 10 s.
bool eventually(const std::function<bool()>& condition);

// A folder for one test, removed with it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& content) const;
  std::string read(const std::string& name) const;

 private:
  std::string path_;
};

class ControlPlaneProcess {
 public:
  // Logs to <folder>/log. Does not wait.
  ControlPlaneProcess(const Folder& folder, const std::string& config);
  ~ControlPlaneProcess();  // kills what still runs
  ControlPlaneProcess(const ControlPlaneProcess&) = delete;
  ControlPlaneProcess& operator=(const ControlPlaneProcess&) = delete;

  bool wait_ready();  // until its API answers
  void signal(int number) const;
  int wait_exit();  // exit status; 128 + signal when killed; -1 after 10 s
  pid_t pid() const { return pid_; }

  api::Router::Stub& router() { return *router_; }
  api::Agents::Stub& agents() { return *agents_; }
  api::Forwarding::Stub& forwarding() { return *forwarding_; }

 private:
  pid_t pid_ = -1;
  std::string socket_;
  std::unique_ptr<api::Router::Stub> router_;
  std::unique_ptr<api::Agents::Stub> agents_;
  std::unique_ptr<api::Forwarding::Stub> forwarding_;
};

// One call: rpc(stub, method, request) with a deadline; the reply and the status.
template <class Stub, class Request, class Reply>
grpc::Status call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                  const Request& request, Reply& reply) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  return (stub.*method)(&context, request, &reply);
}

}  // namespace sluice::test
