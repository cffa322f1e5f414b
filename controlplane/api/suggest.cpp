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
