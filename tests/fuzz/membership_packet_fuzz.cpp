// Datagrams of the membership protocol: label, encryption, checksum, compression, compounds and
// every message. Nothing crashes, limits hold, and what is accepted is written in a form that is
// read back as the same.
//
// Input: a byte of settings, then the datagram; also taken as what an encrypted datagram holds,
// which no fuzzer would find, and as the text of a key.
#include <cstddef>
#include <cstdint>

#include "controlplane/membership/layers.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::membership {
namespace {

Nonce fixed_nonce() {
  return {1, 2, 3};
}

void check_text(std::string_view text) {
  FUZZ_REQUIRE(text.size() <= kMaxNameBytes);
  for (const char c : text)
    FUZZ_REQUIRE(static_cast<std::uint8_t>(c) >= 0x20 && c != 0x7f);
}

void check_limits(const PacketMessage& message) {
  if (const auto* alive = std::get_if<Alive>(&message)) {
    check_text(alive->node);
    FUZZ_REQUIRE(!alive->node.empty() && alive->meta.size() <= kMaxMetaBytes);
  } else if (const auto* suspect = std::get_if<Suspect>(&message)) {
    check_text(suspect->node);
    check_text(suspect->from);
    FUZZ_REQUIRE(!suspect->node.empty());
  } else if (const auto* ping = std::get_if<Ping>(&message)) {
    check_text(ping->node);
    check_text(ping->source_node);
  }
}

void check(ByteView packet) {
  static PacketDecoder decoder;
  static PacketDecoder again;
  const auto messages = decoder.decode(packet);
  FUZZ_REQUIRE(messages.size() <= PacketDecoder::kMaxMessages);
  for (const auto& message : messages) {
    check_limits(message);
    const auto wire = encoded(message);
    const auto back = again.decode(wire);
    FUZZ_REQUIRE(back.size() == 1 && back[0].index() == message.index());
    FUZZ_REQUIRE(encoded(back[0]) == wire);
  }
}

void check_sealed(WireSettings& settings, ByteView packet, bool checksum, CipherVersion version) {
  PacketLayers layers(settings, fixed_nonce);
  const auto sealed = layers.seal(packet, checksum, version);
  const Bytes datagram(sealed.begin(), sealed.end());
  FUZZ_REQUIRE(datagram.size() <= packet.size() + packet_overhead(settings) + (checksum ? 5 : 0));
  const auto opened = layers.open(datagram);
  FUZZ_REQUIRE(opened.has_value());
  check(*opened);
}

}  // namespace
}  // namespace sluice::membership

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::membership;
  if (size == 0) return 0;
  const auto mode = data[0];
  const ByteView datagram(data + 1, size - 1);
  WireSettings settings;
  if ((mode & 1) != 0) settings.label = "mesh";
  settings.compress = (mode & 2) != 0;
  if ((mode & 4) != 0) {
    settings.keyring = Keyring::create(Key::from_bytes(Bytes(16, 7)).value()).value();
    settings.verify_incoming = (mode & 8) != 0;
  }
  PacketLayers layers(settings, fixed_nonce);
  if (const auto opened = layers.open(datagram)) check(*opened);
  // What is assembled never begins like a label.
  if (!datagram.empty() && datagram[0] != static_cast<std::uint8_t>(MessageType::kHasLabel)) {
    check_sealed(settings, datagram, (mode & 16) != 0,
                 (mode & 32) != 0 ? CipherVersion::kPadded : CipherVersion::kPlain);
  }
  const std::string_view text(reinterpret_cast<const char*>(datagram.data()), datagram.size());
  if (const auto key = Key::from_base64(text)) {
    FUZZ_REQUIRE(Key::from_base64(key->to_base64()).value() == *key);
  }
  return 0;
}
