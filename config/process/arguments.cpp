#include "config/process/arguments.hpp"

#include <fmt/format.h>
#include <getopt.h>

#include "config/config.hpp"

namespace sluice {

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

std::string usage(const Program& program) {
  return fmt::format(
      "usage: {} [--config FILE] [--check]\n"
      "\n"
      "  -c, --config FILE  configuration, default {}\n"
      "      --check        {}, start nothing\n"
      "  -V, --version      print the version\n"
      "  -h, --help         print this\n"
      "\n"
      "{}",
      program.name, config::kDefaultPath, program.check, program.notes);
}

std::optional<int> answer(const Arguments& arguments, const Program& program) {
  switch (arguments.action) {
    case Arguments::Action::kHelp:
      fmt::print("{}", usage(program));
      return kExitOk;
    case Arguments::Action::kVersion:
      fmt::print("{} {}\n", program.name, program.version);
      return kExitOk;
    case Arguments::Action::kUsage:
      fmt::print(stderr, "{}: {}\n{}", program.name, arguments.error, usage(program));
      return kExitUsage;
    case Arguments::Action::kRun:
    case Arguments::Action::kCheck:
      break;
  }
  return std::nullopt;
}

int complain(const Program& program, std::string_view message) {
  fmt::print(stderr, "{}: {}\n", program.name, message);
  return kExitFailed;
}

}  // namespace sluice
