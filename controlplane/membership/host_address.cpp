#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <memory>

#include "controlplane/membership/driver.hpp"

namespace sluice::membership {
namespace {

struct FreeAddresses {
  void operator()(ifaddrs* list) const noexcept { ::freeifaddrs(list); }
};

// Lower is better; 0 never.
int rank(const IpAddress& ip) noexcept {
  const auto* b = ip.bytes.data();
  if (ip.is_v4()) {
    b += 12;
    if (b[0] == 127 || b[0] == 0 || b[0] >= 224 || (b[0] == 169 && b[1] == 254)) return 0;
    const bool is_private = b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
                            (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64);
    return is_private ? 1 : 2;
  }
  const bool link_local = b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
  static constexpr IpAddress kLoopback{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  if (link_local || b[0] == 0xff || ip == kLoopback || ip.is_unspecified()) return 0;
  return (b[0] & 0xfe) == 0xfc ? 3 : 4;
}

IpAddress address_of(const sockaddr& address) noexcept {
  if (address.sa_family == AF_INET) {
    const auto v4 = load<sockaddr_in>(&address);
    return IpAddress::v4(load<Big32>(&v4.sin_addr));
  }
  const auto v6 = load<sockaddr_in6>(&address);
  return IpAddress::v6(load<std::array<std::uint8_t, 16>>(&v6.sin6_addr));
}

}  // namespace

Result<IpAddress> host_address(bool ipv6_only) {
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) {
    return fail(ErrorCode::kUnavailable, "cannot list the addresses of this host");
  }
  const std::unique_ptr<ifaddrs, FreeAddresses> list(raw);
  IpAddress best;
  int best_rank = 0;
  for (const auto* at = list.get(); at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0) continue;
    if (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6) continue;
    const auto ip = address_of(*at->ifa_addr);
    if (ipv6_only && ip.is_v4()) continue;
    const int its = rank(ip);
    if (its == 0 || (best_rank != 0 && its >= best_rank)) continue;
    best = ip;
    best_rank = its;
  }
  if (best_rank != 0) return best;
  return fail(ErrorCode::kNotFound,
              "no interface has an address that others could reach; set cluster.advertise");
}

}  // namespace sluice::membership
