#include "tests/integration/controlplane/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace sluice::test {

bool enter_own_network() {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  shell("ip link set lo up");
  return true;
}

void shell(const std::string& command) {
  // lint: allow shell: `ip` and `sysctl` as an operator types them, never with input from outside
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

std::string output_of(const std::string& command) {
  std::string text;
  // lint: allow shell: as above
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 4096> buffer;
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    text.append(buffer.data(), got);
  ::pclose(pipe);
  return text;
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // between two looks
  }
  return true;
}

Folder::Folder() {
  std::string pattern = "/tmp/sluice-test-XXXXXX";
  path_ = ::mkdtemp(pattern.data());
}
Folder::~Folder() {
  std::filesystem::remove_all(path_);
}
void Folder::write(const std::string& name, const std::string& content) const {
  std::ofstream(path_ + "/" + name, std::ios::trunc) << content;
}
std::string Folder::read(const std::string& name) const {
  std::ifstream in(path_ + "/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

ControlPlaneProcess::ControlPlaneProcess(const Folder& folder, const std::string& config)
    : socket_("unix:" + folder.path() + "/run/api.sock") {
  folder.write("sluice.yaml", config);
  const std::string file = folder.path() + "/sluice.yaml";
  const std::string log = folder.path() + "/log";
  const char* program = std::getenv("SLUICE_CONTROLPLANE");
  EXPECT_NE(program, nullptr) << "meson test names the program";
  if (program == nullptr) return;
  pid_ = ::fork();
  if (pid_ == 0) {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execl(program, program, "--config", file.c_str(), nullptr);
    ::_exit(127);
  }
  const auto channel = grpc::CreateChannel(socket_, grpc::InsecureChannelCredentials());
  router_ = api::Router::NewStub(channel);
  agents_ = api::Agents::NewStub(channel);
  forwarding_ = api::Forwarding::NewStub(channel);
}

ControlPlaneProcess::~ControlPlaneProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool ControlPlaneProcess::wait_ready() {
  return eventually([this] {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    api::StatusReply reply;
    return router_->Status(&context, {}, &reply).ok();
  });
}

void ControlPlaneProcess::signal(int number) const {
  ::kill(pid_, number);
}

int ControlPlaneProcess::wait_exit() {
  int status = 0;
  const bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
  if (!ended) return -1;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace sluice::test
