#include "controlplane/app/arguments.hpp"

#include <fmt/format.h>
#include <getopt.h>

#include "config/config.hpp"

namespace sluice::controlplane {

Arguments parse_arguments(int argc, char** argv) {
  static constexpr option kOptions[] = {{"config", required_argument, nullptr, 'c'},
                                        {"check", no_argument, nullptr, 'k'},
                                        {"version", no_argument, nullptr, 'V'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {nullptr, 0, nullptr, 0}};
  Arguments arguments;
  arguments.config = std::string(config::kDefaultPath);
  const auto wrong = [&](std::string why) {
    arguments.action = Arguments::Action::kUsage;
    arguments.error = std::move(why);
    return arguments;
  };
  ::optind = 0;  // glibc: start over, also when called again
  ::opterr = 0;
  int letter = 0;
  while ((letter = ::getopt_long(argc, argv, ":c:hV", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'c':
        arguments.config = ::optarg;
        break;
      case 'k':
        arguments.action = Arguments::Action::kCheck;
        break;
      case 'V':
        arguments.action = Arguments::Action::kVersion;
        return arguments;
      case 'h':
        arguments.action = Arguments::Action::kHelp;
        return arguments;
      case ':':
        return wrong(fmt::format("{} needs a value", argv[::optind - 1]));
      default:
        return wrong(fmt::format("unknown option {}", argv[::optind - 1]));
    }
  }
  if (::optind < argc) return wrong(fmt::format("unexpected argument {}", argv[::optind]));
  return arguments;
}

std::string usage() {
  return fmt::format(
      "usage: sluice-controlplane [--config FILE] [--check]\n"
      "\n"
      "  -c, --config FILE  configuration, default {}\n"
      "      --check        check the configuration and the files it names, start nothing\n"
      "  -V, --version      print the version\n"
      "  -h, --help         print this\n"
      "\n"
      "Runs in the foreground until SIGTERM or SIGINT; SIGHUP reloads the configuration and opens\n"
      "the log file anew. Needs the right to change addresses (CAP_NET_ADMIN) and the network\n"
      "namespace of the dataplane. Exit status: 0 stopped in order (or checked and fit), 1 "
      "refused\n"
      "or failed, 2 usage.\n",
      config::kDefaultPath);
}

}  // namespace sluice::controlplane
