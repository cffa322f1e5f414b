// Names of agents and capabilities, and the ids made from them: UUIDv8 (RFC 9562, section 5.8) of
// the SHA-256 of the name. Links libcrypto. Control plane, agents and tools; any thread.
#pragma once

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "sluice/base/ids.hpp"
#include "sluice/base/result.hpp"

namespace sluice {

inline constexpr std::size_t kMaxNameBytes = 255;

using Sha256Digest = std::array<std::uint8_t, SHA256_DIGEST_LENGTH>;

// The first 16 bytes of the digest with version 8 and variant 10 set.
inline Id id_of_digest(const Sha256Digest& digest) noexcept {
  Id id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x80);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

inline Id id_of_name(std::string_view name) noexcept {
  Sha256Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(name.data()), name.size(), digest.data());
  return id_of_digest(digest);
}

// The same for very many names: OpenSSL 3 looks the hash up, with locks, for every SHA256() call;
// here once.
class IdMaker {
 public:
  Id operator()(std::string_view name) noexcept {
    Sha256Digest digest;
    const bool ok = hash_ && context_ &&
                    EVP_DigestInit_ex2(context_.get(), hash_.get(), nullptr) == 1 &&
                    EVP_DigestUpdate(context_.get(), name.data(), name.size()) == 1 &&
                    EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1;
    return ok ? id_of_digest(digest) : id_of_name(name);
  }

 private:
  struct Free {
    void operator()(EVP_MD* hash) const noexcept { EVP_MD_free(hash); }
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD, Free> hash_{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  std::unique_ptr<EVP_MD_CTX, Free> context_{EVP_MD_CTX_new()};
};

namespace detail {
inline Status check_segments(std::string_view name, std::size_t min_segments,
                             std::size_t max_segments, std::string_view what) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidArgument,
                std::string(what) + " '" + std::string(name) + "' " + std::string(why));
  };
  if (name.empty() || name.size() > kMaxNameBytes) return bad("must have 1 to 255 bytes");
  std::size_t segments = 1;
  std::size_t length = 0;
  for (const char c : name) {
    if (c == '/') {
      if (length == 0) return bad("has an empty part");
      ++segments;
      length = 0;
      continue;
    }
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.' || c == ':';
    if (!ok) return bad("may hold only letters, digits and - _ . : between slashes");
    ++length;
  }
  if (length == 0) return bad("has an empty part");
  if (segments < min_segments || segments > max_segments)
    return bad("has the wrong number of parts");
  return {};
}
}  // namespace detail

// organisation/namespace/service/instance
inline Status check_agent_name(std::string_view name) {
  return detail::check_segments(name, 4, 4, "agent name (organisation/namespace/service/instance)");
}
// One to eight parts: "translate", "translate/en/fr".
inline Status check_capability_name(std::string_view name) {
  return detail::check_segments(name, 1, 8, "capability name");
}

// The id of an agent given as a UUID or as a name.
inline Result<Id> parse_agent(std::string_view text) {
  if (const auto id = parse_id(text)) return *id;
  if (auto ok = check_agent_name(text); !ok) return std::unexpected(ok.error());
  return id_of_name(text);
}

}  // namespace sluice
