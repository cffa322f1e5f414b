#include <fmt/format.h>

#include <algorithm>

#include "controlplane/api/services.hpp"
#include "controlplane/registry/names.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint32_t kSlotsAtOnce = 16384;
// Enough for every agent of this router; beyond, the answer would take longer than it helps.
constexpr std::uint32_t kMaxSlots = 2'000'000;

template <class End, class NameOf>
std::string suggest(ControlThread& control, const std::string& wanted, End end, NameOf name_of) {
  if (wanted.size() > kMaxNameBytes || parse_id(wanted)) return {};
  NearNames near(wanted);
  bool more = true;
  for (std::uint32_t first = 0; more && first < kMaxSlots; first += kSlotsAtOnce) {
    more = control.run([&] {
      const std::uint32_t last = std::min(end(), first + kSlotsAtOnce);
      for (std::uint32_t slot = first; slot < last; ++slot)
        near.offer(name_of(slot));
      return last < end();
    });
  }
  return did_you_mean(near.names());
}

}  // namespace

std::string no_tenant(const Tenants& tenants, std::uint32_t wanted) {
  constexpr std::size_t kMostNamed = 8;
  std::string text = fmt::format("no tenant {}", wanted);
  if (tenants.empty()) return text + "; the configuration has none (tenants)";
  if (tenants.size() > kMostNamed) return text + "; `sluice tenant list` shows those there are";
  std::string_view before = tenants.size() == 1 ? "; there is " : "; there are ";
  for (const auto& [id, about] : tenants) {
    text += fmt::format("{}{} ({})", before, id, about.name);
    before = ", ";
  }
  return text;
}

std::string no_peer(const Forwarding& forwarding, const std::string& wanted) {
  constexpr std::size_t kMostNamed = 8;
  const auto numbers = forwarding.peers();
  std::string text = fmt::format("no peer '{}'", wanted);
  if (numbers.empty()) return text + "; there are none";
  if (numbers.size() > kMostNamed) return text + "; `sluice peer list` shows those there are";
  std::string_view before = numbers.size() == 1 ? "; there is " : "; there are ";
  for (const auto number : numbers) {
    text += fmt::format("{}{}", before, forwarding.peer(number).name);
    before = ", ";
  }
  return text;
}

std::string suggest_agents(ControlThread& control, const Subsystems& subsystems,
                           const std::string& wanted) {
  return suggest(
      control, wanted, [&] { return subsystems.registry.slots_end(); },
      [&](std::uint32_t slot) { return subsystems.registry.at(slot).name_view(); });
}

std::string suggest_capabilities(ControlThread& control, const Subsystems& subsystems,
                                 const std::string& wanted) {
  return suggest(
      control, wanted, [&] { return subsystems.registry.capabilities().end(); },
      [&](std::uint32_t at) -> std::string_view {
        return subsystems.registry.capabilities().at(at).name;
      });
}

}  // namespace sluice::controlplane
