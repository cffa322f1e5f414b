// Proof of an agent's identity towards its router, as agent.proto describes it: tokens made from
// the tenant's key, and the MAC of a request. Used by agents, the registry and `sluice agent
// token`. Any thread.
#pragma once

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sluice/base/ids.hpp"
#include "sluice/wire/envelope.hpp"

namespace sluice::agent {

using Token = std::array<std::uint8_t, 32>;
using Mac = std::array<std::uint8_t, 32>;

inline constexpr std::uint64_t kTimestampWindowNs = 30'000'000'000;

namespace detail {
inline Mac hmac_sha256(std::span<const std::uint8_t> key, std::string_view message) noexcept {
  Mac mac{};
  unsigned length = mac.size();
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(), mac.data(), &length);
  return mac;
}

template <class T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}
}  // namespace detail

// The token of one agent of a tenant.
inline Token make_token(std::span<const std::uint8_t> tenant_key, std::uint16_t tenant,
                        const Id& agent) {
  std::string message = "sluice-token-1";
  detail::append(message, Big16(tenant));
  detail::append(message, agent);
  return detail::hmac_sha256(tenant_key, message);
}

// The MAC of a request: type, tenant, source and timestamp are those of its envelope.
inline Mac make_mac(const Token& token, const Envelope& envelope, std::string_view body) {
  std::string message = "sluice-request-1";
  detail::append(message, envelope.type);
  detail::append(message, envelope.tenant);
  detail::append(message, envelope.source);
  detail::append(message, envelope.timestamp_ns);
  message.append(body);
  return detail::hmac_sha256(token, message);
}

// Constant time, so that a wrong MAC tells nothing about the right one.
inline bool verify_mac(const Token& token, const Envelope& envelope, std::string_view body,
                       std::string_view mac) {
  const Mac expected = make_mac(token, envelope, body);
  return mac.size() == expected.size() &&
         CRYPTO_memcmp(mac.data(), expected.data(), expected.size()) == 0;
}

}  // namespace sluice::agent
