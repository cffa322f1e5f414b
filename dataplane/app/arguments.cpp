#include "dataplane/app/arguments.hpp"

#include <fmt/format.h>
#include <getopt.h>

#include "config/config.hpp"

namespace sluice::dataplane {

Arguments parse_arguments(int argc, char** argv) {
  static constexpr option kOptions[] = {{"config", required_argument, nullptr, 'c'},
                                        {"check", no_argument, nullptr, 'k'},
                                        {"version", no_argument, nullptr, 'V'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {nullptr, 0, nullptr, 0}};
  Arguments arguments{
      .action = Arguments::Action::kRun, .config = std::string(config::kDefaultPath), .error = {}};
  const auto wrong = [&](std::string why) {
    arguments.action = Arguments::Action::kUsage;
    arguments.error = std::move(why);
    return arguments;
  };
  ::optind = 0;  // glibc: start over, also when called again
  ::opterr = 0;
  for (int letter = 0; (letter = ::getopt_long(argc, argv, ":c:hV", kOptions, nullptr)) != -1;) {
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
      "usage: sluice-dataplane [--config FILE] [--check]\n"
      "\n"
      "  -c, --config FILE  configuration, default {}\n"
      "      --check        look at configuration and machine, say what is missing, start nothing\n"
      "  -V, --version      print the version\n"
      "  -h, --help         print this\n"
      "\n"
      "Runs in the foreground until SIGTERM or SIGINT. Exit status: 0 stopped in order (or "
      "checked\n"
      "and fit), 1 refused or failed, 2 usage.\n",
      config::kDefaultPath);
}

}  // namespace sluice::dataplane
