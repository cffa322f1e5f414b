// completion: the script of the shell. complete (hidden): what may follow on a line; the script
// asks it on every TAB, so the table and the running router decide, not the script.
#include <fmt/format.h>

#include <algorithm>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/values.hpp"

namespace sluice::cli {
namespace {

constexpr std::string_view kBash = R"(# bash completion of sluice; made by 'sluice completion bash'
_sluice() {
  local IFS=$'\n'
  COMPREPLY=($(sluice complete -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
  if [ "${COMPREPLY[0]:-}" = ":files" ]; then
    COMPREPLY=()
    compopt -o default
  fi
}
complete -F _sluice sluice
)";
constexpr std::string_view kFiles = ":files";  // no word of ours begins so

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (c != ' ' && c != '\t') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

using Candidates = std::vector<std::string>;

// What is known of the line before the word that is being typed.
struct Place {
  std::string noun;
  const Command* command = nullptr;
  std::size_t parameters = 0;       // already there
  const Option* waiting = nullptr;  // option that still needs its value
  Invocation given;                 // global options, for asking the router
};

Place place_of(std::span<const std::string> words) {
  Place place;
  for (const auto& word : words) {
    if (place.waiting != nullptr) {
      place.given.values[place.waiting->name].push_back(word);
      place.waiting = nullptr;
    } else if (word.starts_with("--")) {
      const auto equals = word.find('=');
      const Option* option =
          find_option(place.command,
                      std::string_view(word).substr(2, equals - std::min<std::size_t>(equals, 2)));
      if (option == nullptr || option->form == Form::kFlag) continue;
      if (equals == std::string::npos) {
        place.waiting = option;
      } else {
        place.given.values[option->name].push_back(word.substr(equals + 1));
      }
    } else if (place.noun.empty()) {
      place.noun = word;
      place.command = find_command(word, {});
    } else if (place.command == nullptr) {
      place.command = find_command(place.noun, word);
    } else {
      ++place.parameters;
    }
  }
  return place;
}

Candidates agent_names(Client& client, const std::string& prefix) {
  constexpr std::uint32_t kMost = 200;  // nobody reads more
  Candidates names;
  api::ListAgentsRequest request;
  request.set_name_prefix(prefix);
  request.set_limit(kMost);
  (void)client.call(request, [&](const api::AgentPage& page) {
    for (const auto& agent : page.agents())
      if (!agent.name().empty()) names.push_back(agent.name());
    return true;
  });
  return names;
}

// Names the running router knows; none when it does not answer.
Candidates values_of(Kind kind, Client& client, const std::string& prefix) {
  Candidates found;
  switch (kind) {
    case Kind::kAgent:
    case Kind::kAgentName:
    case Kind::kTarget:
      return agent_names(client, prefix);
    case Kind::kPort:
      if (const auto ports = client.call(api::ListPortsRequest{}); ports) {
        for (const auto& port : ports->ports())
          found.push_back(port.name());
      }
      return found;
    case Kind::kPeer:
      if (const auto peers = client.call(api::ListPeersRequest{}); peers) {
        for (const auto& peer : peers->peers())
          found.push_back(peer.name());
      }
      return found;
    case Kind::kNode:
      if (const auto nodes = client.call(api::ListNodesRequest{}); nodes) {
        for (const auto& node : nodes->nodes())
          found.push_back(node.name());
      }
      return found;
    case Kind::kTenant:
      if (const auto tenants = client.call(api::ListTenantsRequest{}); tenants) {
        for (const auto& tenant : tenants->tenants())
          found.push_back(std::to_string(tenant.id()));
      }
      return found;
    case Kind::kFile:
      return {std::string(kFiles)};
    default:
      for (const auto choice : choices(kind))
        found.emplace_back(choice);
      return found;
  }
}

Candidates option_names(const Command* command) {
  Candidates found;
  const auto add = [&](std::span<const Option> options) {
    for (const auto& option : options) {
      const std::string name = "--" + std::string(option.name);
      if (std::ranges::find(found, name) == found.end()) found.push_back(name);
    }
  };
  if (command != nullptr) add(command->options);
  add(global_options());
  found.emplace_back("--help");
  return found;
}

Candidates candidates(const Place& place, Client& client, const std::string& word) {
  if (place.waiting != nullptr) return values_of(place.waiting->kind, client, word);
  if (word.starts_with("--") && word.find('=') != std::string::npos) {
    const auto equals = word.find('=');
    const Option* option = find_option(place.command, word.substr(2, equals - 2));
    Candidates found =
        option == nullptr ? Candidates() : values_of(option->kind, client, word.substr(equals + 1));
    for (auto& value : found)
      if (value != kFiles) value.insert(0, word.substr(0, equals + 1));
    return found;
  }
  if (word.starts_with('-')) return option_names(place.command);
  Candidates found;
  if (place.noun.empty()) {
    for (const auto noun : nouns())
      found.emplace_back(noun);
  } else if (place.command == nullptr) {
    for (const auto verb : verbs(place.noun))
      found.emplace_back(verb);
  } else if (place.parameters < place.command->parameters.size()) {
    return values_of(place.command->parameters[place.parameters].kind, client, word);
  } else {
    return option_names(place.command);
  }
  return found;
}

}  // namespace

Outcome completion(Context& c) {
  c.print(kBash);
  return kDone;
}

Outcome complete(Context& c) {
  auto words = split(c.args.text("LINE"));
  const std::string word = words.back();
  words.pop_back();
  if (words.empty()) return kDone;  // the name of the command itself
  const Place place = place_of(std::span(words).subspan(1));
  // The line may name another socket than the process was given.
  const bool elsewhere = place.given.has("socket");
  Client other(elsewhere ? place.given.text("socket") : c.client.socket(), std::chrono::seconds(1));
  auto found = candidates(place, other, word);
  // bash completes from the last ':' or '=' on, which are breaks of words to it.
  const auto last = word.find_last_of(":=");
  const std::size_t cut = last == std::string::npos ? 0 : last + 1;
  for (const auto& candidate : found) {
    if (candidate == kFiles) {
      c.print(":files\n");
    } else if (candidate.starts_with(word)) {
      c.print(printable(std::string_view(candidate).substr(cut)) + "\n");
    }
  }
  return kDone;
}

}  // namespace sluice::cli
