// What lies round a packet or a stream on the wire: compression, checksum, encryption, label, in
// that order from the inside. Settings and scratch of one member, owned by the thread that does its
// I/O.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "controlplane/membership/codec.hpp"
#include "controlplane/membership/keyring.hpp"
#include "controlplane/membership/lzw.hpp"

namespace sluice::membership {

struct WireSettings {
  std::string label;               // separates clusters that share a network; empty: none
  std::optional<Keyring> keyring;  // none: nothing is encrypted
  bool verify_incoming = true;     // with keys: refuse what is not encrypted
  bool verify_outgoing = true;     // with keys: encrypt; off only while keys are rolled out
  bool compress = true;

  bool encrypts() const noexcept { return keyring.has_value() && verify_outgoing; }
  bool demands_encryption() const noexcept { return keyring.has_value() && verify_incoming; }
};

// The encrypted block: version, nonce, ciphertext, tag. Version 0 pads to 16 bytes as PKCS #7 says
// and is only for peers that speak protocol version 1.
enum class CipherVersion : std::uint8_t { kPadded = 0, kPlain = 1 };
inline constexpr std::size_t kBlockOverhead = 1 + kNonceBytes + kTagBytes;
inline constexpr std::size_t kMaxBlockOverhead = kBlockOverhead + 16;

constexpr CipherVersion cipher_for(const Vsn& peer) noexcept {
  return peer.protocol_current == 1 ? CipherVersion::kPadded : CipherVersion::kPlain;
}

// Append a block of what is plain, or what a block holds. False: the library failed; no key opens
// it.
bool seal_block(Keyring& keys, CipherVersion version, const Nonce& nonce, ByteView aad,
                ByteView plain, Bytes& out);
bool open_block(Keyring& keys, ByteView aad, ByteView block, Bytes& out);

// Bytes the layers may add to an assembled packet: what the budget of a PacketAssembler leaves
// free. The checksum is not counted, as the reference does not.
std::size_t packet_overhead(const WireSettings& settings) noexcept;

using NonceSource = Nonce (*)();
Nonce random_nonce();  // of the kernel

class PacketLayers {
 public:
  explicit PacketLayers(WireSettings& settings, NonceSource nonce = random_nonce)
      : settings_(settings), nonce_(nonce) {}

  // An assembled packet as it goes out. checksum: the peer is known to read them (kProtocolCrc).
  // Valid until the next call; empty when encryption failed: nothing is ever sent in the clear
  // instead.
  ByteView seal(ByteView packet, bool checksum, CipherVersion version);

  // What a datagram carries, for PacketDecoder; valid until the next call, and while the datagram.
  std::expected<ByteView, Malformed> open(ByteView datagram);

 private:
  ByteView compressed(ByteView packet);

  WireSettings& settings_;
  NonceSource nonce_;
  LzwEncoder lzw_;
  Bytes lzw_out_;
  Bytes inner_;
  Bytes checked_;
  Bytes out_;
  Bytes opened_;
};

inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace sluice::membership
