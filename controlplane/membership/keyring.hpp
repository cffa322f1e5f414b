// The keys of a cluster. One is primary and encrypts; all are tried on what comes in, so that a new
// key can be handed round before it is used and an old one dropped after (add everywhere, use
// everywhere, remove everywhere). Owned by the thread that does the cluster's I/O.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/membership/messages.hpp"
#include "sluice/base/result.hpp"

namespace sluice::membership {

// 16, 24 or 32 bytes for AES-128, -192 or -256.
class Key {
 public:
  static Result<Key> from_bytes(ByteView bytes);
  static Result<Key> from_base64(std::string_view text);  // as `serf keygen` prints it
  static Key random();                                    // 32 bytes
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key();

  ByteView bytes() const noexcept { return ByteView(bytes_).first(size_); }
  std::string to_base64() const;
  // A few hex digits of its SHA-256: names a key in logs and lists without giving it away.
  std::string fingerprint() const;
  friend bool operator==(const Key& a, const Key& b) noexcept;

 private:
  Key() = default;

  std::array<std::uint8_t, 32> bytes_{};
  std::size_t size_ = 0;
};

inline constexpr std::size_t kNonceBytes = 12;
inline constexpr std::size_t kTagBytes = 16;
using Nonce = std::array<std::uint8_t, kNonceBytes>;

class Keyring {
 public:
  static constexpr std::size_t kMaxKeys = 16;

  static Result<Keyring> create(const Key& primary);
  Keyring(Keyring&&) noexcept;
  Keyring& operator=(Keyring&&) noexcept;
  ~Keyring();

  // A key that is there already is no error: a rotation may be repeated.
  Status add(const Key& key);
  Status use(const Key& key);     // makes it primary; it must be there
  Status remove(const Key& key);  // not the primary one; one that is not there is no error
  // A removed key still opens what others seal who have not heard yet, until this.
  void forget_removed() noexcept;
  std::vector<Key> keys() const;  // the primary one first

  // AES-GCM: appends ciphertext and tag. Fails only when the library does.
  bool seal(const Nonce& nonce, ByteView aad, ByteView plain, Bytes& out);
  // Tries all keys; appends what was sealed, nothing on failure.
  bool open(const Nonce& nonce, ByteView aad, ByteView sealed, Bytes& out);

 private:
  struct Slot;
  Keyring();
  static bool open_with(Slot& slot, const Nonce& nonce, ByteView aad, ByteView sealed,
                        std::uint8_t* out) noexcept;

  std::vector<std::unique_ptr<Slot>> slots_;  // the primary one first
  std::vector<std::unique_ptr<Slot>> removed_;
};

}  // namespace sluice::membership
