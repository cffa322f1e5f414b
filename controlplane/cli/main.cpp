// The process of the `sluice` command: hands words, standard streams and time to the library.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/cli/cli.hpp"

int main(int argc, char** argv) {
  // gRPC would log to standard error what we say better; whoever wants it sets the variable.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  sluice::cli::Environment environment;
  environment.out = [](std::string_view text) {
    return sluice::cli::write_all(STDOUT_FILENO, text);
  };
  environment.err = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); };
  environment.terminal = ::isatty(STDOUT_FILENO) == 1;
  environment.sleep = [](std::chrono::nanoseconds time) { std::this_thread::sleep_for(time); };
  const std::vector<std::string> words(argv + 1, argv + argc);
  return sluice::cli::run(words, environment);
}
