// Datagrams of the membership protocol: label, encryption, checksum, compression, compounds and
// every message. Nothing crashes, limits hold, and what is accepted is written in a form that is
// read back as the same.
//
// Input: a byte of settings, then the datagram; also taken as what an encrypted datagram holds,
// which no fuzzer would find, and as the text of a key.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "controlplane/membership/layers.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::membership {
namespace {

Nonce fixed_nonce() {
  return {1, 2, 3};
}

// What lives as long as a router does, one for each way it can be set up.
struct Router {
  explicit Router(unsigned mode) {
    if ((mode & 1) != 0) settings.label = "mesh";
    settings.compress = (mode & 2) != 0;
    if ((mode & 4) != 0) {
      settings.keyring = Keyring::create(Key::from_bytes(Bytes(16, 7)).value()).value();
      settings.verify_incoming = (mode & 8) != 0;
    }
  }

  WireSettings settings;
  PacketLayers layers{settings, fixed_nonce};
};

Router& router_of(unsigned mode) {
  static std::array<std::unique_ptr<Router>, 16> routers;
  auto& router = routers[mode % routers.size()];
  if (!router) router = std::make_unique<Router>(mode % routers.size());
  return *router;
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

// Buffers that are used again are larger than what they hold; to read past its end is only seen in
// memory of exactly its size.
void check_opened(PacketLayers& layers, ByteView datagram, bool must) {
  const auto opened = layers.open(datagram);
  FUZZ_REQUIRE(opened.has_value() || !must);
  if (opened) check(Bytes(opened->begin(), opened->end()));
}

void check_sealed(Router& router, ByteView packet, bool checksum, CipherVersion version) {
  const auto sealed = router.layers.seal(packet, checksum, version);
  const Bytes datagram(sealed.begin(), sealed.end());
  const auto overhead = packet_overhead(router.settings) + (checksum ? 5 : 0);
  FUZZ_REQUIRE(datagram.size() <= packet.size() + overhead);
  check_opened(router.layers, datagram, true);
}

}  // namespace
}  // namespace sluice::membership

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::membership;
  if (size == 0) return 0;
  const auto mode = data[0];
  const ByteView datagram(data + 1, size - 1);
  auto& router = router_of(mode);
  check_opened(router.layers, datagram, false);
  // What is assembled never begins like a label.
  if (!datagram.empty() && datagram[0] != static_cast<std::uint8_t>(MessageType::kHasLabel)) {
    check_sealed(router, datagram, (mode & 16) != 0,
                 (mode & 32) != 0 ? CipherVersion::kPadded : CipherVersion::kPlain);
  }
  const std::string_view text(reinterpret_cast<const char*>(datagram.data()), datagram.size());
  if (const auto key = Key::from_base64(text)) {
    FUZZ_REQUIRE(Key::from_base64(key->to_base64()).value() == *key);
  }
  return 0;
}
