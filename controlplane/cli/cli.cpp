#include "controlplane/cli/cli.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/help.hpp"

namespace sluice::cli {
namespace {

int fail_with(const Environment& environment, int status, const std::string& message) {
  environment.err(fmt::format("sluice: {}\n", shortened_lines(printable_lines(message))));
  return status;
}

// --socket, or what the configuration says, or the usual place. A configuration nobody asked for
// may be missing, unreadable or wrong.
Result<std::string> socket_of(const Invocation& args, const Environment& environment) {
  if (args.has("socket")) return args.text("socket");
  const bool asked = args.has("config");
  const std::string path = asked ? args.text("config") : environment.default_config;
  if (!asked && ::access(path.c_str(), R_OK) != 0) return environment.default_socket;
  const auto config = config::load(path, config::Files::kSkip);
  if (config) return config->api.socket;
  if (!asked) return environment.default_socket;
  return fail(ErrorCode::kNotFound, config.error().message(), ErrorOrigin::kConfig);
}

std::string help_for(const Invocation& args) {
  if (args.command != nullptr) return help_of(*args.command);
  return args.noun.empty() ? help_overview() : help_of_noun(args.noun);
}

Outcome perform(const Invocation& args, const Environment& environment, Output& output) {
  if (args.help) {
    output.print(help_for(args));
    return kDone;
  }
  const auto socket = socket_of(args, environment);
  if (!socket) return std::unexpected(socket.error());
  Client client(*socket, args.duration("timeout"));
  Context context{args,
                  environment,
                  output,
                  client,
                  Paint(environment.terminal && !args.has("no-color")),
                  args.has("json")};
  return args.command->run(context);
}

int cannot_write(const Environment& environment, int error) {
  if (error == EPIPE) return kFailed;  // the reader has enough: nobody's mistake
  return fail_with(environment, kFailed, "cannot write: " + std::generic_category().message(error));
}

}  // namespace

int run(std::span<const std::string> words, const Environment& environment) {
  if (words.empty()) {
    environment.err(help_overview());
    return kWrongUsage;
  }
  auto args = parse(words);
  if (!args) {
    return fail_with(environment, kWrongUsage,
                     fmt::format("{}\nsee '{}'", args.error().message, args.error().help));
  }
  Output output(environment.out);
  const auto outcome = perform(*args, environment, output);
  if (output.error() != 0) return cannot_write(environment, output.error());
  if (outcome) return *outcome;
  const auto& error = outcome.error();
  const bool usage =
      error.code() == ErrorCode::kInvalidArgument && error.origin() == ErrorOrigin::kLocal;
  return fail_with(environment, usage ? kWrongUsage : kFailed, error.message());
}

int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace sluice::cli
