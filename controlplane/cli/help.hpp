// Help texts made from the command table; the manual page uses the same headings. Any thread; no
// state.
#pragma once

#include <string>

#include "controlplane/cli/command.hpp"

namespace sluice::cli {

std::string help_overview();
std::string help_of_noun(std::string_view noun);
std::string help_of(const Command& command);
// "agent add AGENT ENDPOINT [options]"
std::string synopsis(const Command& command);
// "--count N (default 5)"
std::string heading_of(const Option& option);

}  // namespace sluice::cli
