// What changes while ports run: their links and the drivers' own loss counters.
#include <net/if.h>
#include <rte_ethdev.h>

#include "dataplane/io/ports.hpp"

namespace sluice::dataplane {

LinkChange Ports::ask_link(std::uint16_t index) const {
  const auto& port = ports_[index];
  // A kernel side in another namespace cannot be asked; frames to it flow, so the link is up.
  if (!port.tap_interface.empty() && ::if_nametoindex(port.tap_interface.c_str()) == 0)
    return {index, true, RTE_ETH_SPEED_NUM_10G};
  rte_eth_link link{};
  if (::rte_eth_link_get_nowait(port.id, &link) != 0) return {index, false, 0};
  const bool known = link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN;
  return {index, link.link_status == RTE_ETH_LINK_UP, known ? link.link_speed : 0};
}

std::vector<LinkChange> Ports::poll_links() {
  std::vector<LinkChange> changes;
  const auto before = table_.up.load(std::memory_order_relaxed);
  std::uint32_t up = 0;
  for (std::uint16_t index = 0; index < table_.count; ++index) {
    const auto now = ask_link(index);
    const std::uint32_t bit = std::uint32_t{1} << index;
    if (now.up) up |= bit;
    auto& info = status_.port[index];
    if (now.up == ((before & bit) != 0) && now.speed_mbps == info.speed_mbps) continue;
    info.link_up = now.up ? 1 : 0;
    info.speed_mbps = now.speed_mbps;
    changes.push_back(now);
  }
  // Workers only take it as a hint; nothing else is ordered by it.
  if (up != before) table_.up.store(up, std::memory_order_relaxed);
  return changes;
}

void Ports::poll_missed() noexcept {
  for (std::uint16_t index = 0; index < table_.count; ++index) {
    rte_eth_stats stats{};
    if (::rte_eth_stats_get(ports_[index].id, &stats) == 0)
      status_.port[index].missed = stats.imissed + stats.rx_nombuf + stats.ierrors;
  }
}

}  // namespace sluice::dataplane
