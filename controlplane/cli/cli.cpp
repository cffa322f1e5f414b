#include "controlplane/cli/cli.hpp"

#include <fmt/format.h>
#include <unistd.h>

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

int show_help(const Invocation& args, const Environment& environment) {
  if (args.command != nullptr) {
    environment.out(help_of(*args.command));
  } else {
    environment.out(args.noun.empty() ? help_overview() : help_of_noun(args.noun));
  }
  return kDone;
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
  if (args->help) return show_help(*args, environment);
  const auto socket = socket_of(*args, environment);
  if (!socket) return fail_with(environment, kFailed, socket.error().message());
  Client client(*socket, args->duration("timeout"));
  Context context{*args, environment, client, Paint(environment.terminal && !args->has("no-color")),
                  args->has("json")};
  const auto outcome = args->command->run(context);
  if (outcome) return *outcome;
  const auto& error = outcome.error();
  const bool usage =
      error.code() == ErrorCode::kInvalidArgument && error.origin() == ErrorOrigin::kLocal;
  return fail_with(environment, usage ? kWrongUsage : kFailed, error.message());
}

}  // namespace sluice::cli
