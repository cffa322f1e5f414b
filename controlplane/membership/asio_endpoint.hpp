// Addresses between our form and that of Asio, used by the sockets of this folder. Any thread; no
// state, nothing thrown.
#pragma once

#include <asio/ip/address.hpp>

#include <algorithm>

#include "sluice/wire/inet.hpp"

namespace sluice::membership {

template <class AsioEndpoint>
Endpoint from_asio(const AsioEndpoint& from) noexcept {
  const auto address = from.address();
  if (address.is_v4()) {
    return {IpAddress::v4(load<Big32>(address.to_v4().to_bytes().data())), from.port()};
  }
  Endpoint endpoint{{}, from.port()};
  const auto bytes = address.to_v6().to_bytes();
  std::copy(bytes.begin(), bytes.end(), endpoint.address.bytes.begin());
  return endpoint;
}

// For a socket of the family: one of IPv6 reaches IPv4 by v4-mapped addresses.
inline asio::ip::address to_asio(const IpAddress& ip, Family socket) noexcept {
  if (socket == Family::kIpv4) {
    asio::ip::address_v4::bytes_type bytes;
    std::copy_n(ip.bytes.begin() + 12, bytes.size(), bytes.begin());
    return asio::ip::address_v4(bytes);
  }
  asio::ip::address_v6::bytes_type bytes;
  std::copy(ip.bytes.begin(), ip.bytes.end(), bytes.begin());
  return asio::ip::address_v6(bytes);
}

}  // namespace sluice::membership
