#include "controlplane/membership/layers.hpp"

#include <gtest/gtest.h>

#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

WireSettings settings_of(const std::string& label, bool encrypt) {
  WireSettings settings;
  settings.label = label;
  if (encrypt) {
    settings.keyring = Keyring::create(Key::from_bytes(Bytes(32, 3)).value()).value();
  }
  return settings;
}

Bytes copy(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

// Every combination is read by a member of the same settings, and is never larger than announced.
TEST(Layers, RoundTrip) {
  const auto text = from_text(std::string(300, 'a') + "end");
  for (const auto& label : {std::string(), std::string("mesh"), std::string(255, 'l')})
    for (const bool encrypt : {false, true})
      for (const bool compress : {false, true})
        for (const auto version : {CipherVersion::kPlain, CipherVersion::kPadded})
          for (std::size_t size = 1; size < text.size(); size += 17) {
            auto settings = settings_of(label, encrypt);
            settings.compress = compress;
            PacketLayers layers(settings);
            const auto packet = encoded(User{ByteView(text).first(size)});
            const auto wire = copy(layers.seal(packet, false, version));
            ASSERT_FALSE(wire.empty());
            EXPECT_LE(wire.size(), packet.size() + packet_overhead(settings));
            const auto opened = layers.open(wire);
            ASSERT_TRUE(opened);
            PacketDecoder decoder;
            const auto messages = decoder.decode(*opened);
            ASSERT_EQ(messages.size(), 1U);
            EXPECT_EQ(copy(std::get<User>(messages[0]).data), copy(ByteView(text).first(size)));
          }
}

TEST(Layers, ForeignLabelsAreRefused) {
  auto ours = settings_of("mesh", false);
  auto none = settings_of("", false);
  auto other = settings_of("mess", false);
  PacketLayers in(ours);
  const auto packet = encoded(Nack{1});
  const auto from = [&](WireSettings& settings) {
    PacketLayers out(settings);
    return in.open(copy(out.seal(packet, false, CipherVersion::kPlain)));
  };
  EXPECT_TRUE(from(ours));
  EXPECT_EQ(from(none).error(), Malformed::kLabel);
  EXPECT_EQ(from(other).error(), Malformed::kLabel);
  PacketLayers plain(none);
  EXPECT_EQ(plain.open(from_hex("f4046d6573680b80")).error(), Malformed::kLabel);
  for (const auto* broken : {"f4", "f404", "f4046d6573", "f400", "f4000b80"})
    EXPECT_EQ(in.open(from_hex(broken)).error(), Malformed::kTruncated) << broken;
  EXPECT_EQ(in.open(from_hex("f4046d657368")).error(), Malformed::kEmpty);
  EXPECT_EQ(in.open({}).error(), Malformed::kEmpty);
}

TEST(Layers, EncryptionIsDemandedUnlessSwitchedOff) {
  auto strict = settings_of("", true);
  auto plain = settings_of("", false);
  PacketLayers out(plain);
  // A ping's first byte is that of a block of version 0.
  const auto ping = copy(out.seal(encoded(Ping{1, "n", {}, ""}), false, CipherVersion::kPlain));
  PacketLayers in(strict);
  EXPECT_EQ(in.open(ping).error(), Malformed::kDecrypt);
  strict.verify_incoming = false;
  ASSERT_TRUE(in.open(ping));
  EXPECT_EQ(copy(*in.open(ping)), ping);
}

TEST(Layers, OutgoingEncryptionCanBeSwitchedOff) {
  auto settings = settings_of("", true);
  settings.verify_outgoing = false;
  PacketLayers layers(settings);
  const auto nack = encoded(Nack{1});
  EXPECT_EQ(copy(layers.seal(nack, false, CipherVersion::kPlain)), nack);
  EXPECT_EQ(packet_overhead(settings), 0U);
}

TEST(Layers, PaddingIsChecked) {
  auto ring = Keyring::create(Key::from_bytes(Bytes(16, 3)).value()).value();
  const Nonce nonce{4};
  const auto block_of = [&](const char* padded) {
    Bytes block(1 + kNonceBytes);
    std::copy(nonce.begin(), nonce.end(), block.begin() + 1);
    EXPECT_TRUE(ring.seal(nonce, {}, from_hex(padded), block));
    return block;
  };
  Bytes out;
  EXPECT_TRUE(open_block(ring, {}, block_of("0b800e0e0e0e0e0e0e0e0e0e0e0e0e0e"), out));
  EXPECT_EQ(to_hex(out), "0b80");
  for (const auto* bad :
       {"", "0b80", "00000000000000000000000000000000", "11111111111111111111111111111111",
        "0b800e0e0e0e0e0e0d0e0e0e0e0e0e0e", "0b800e0e0e0e0e0e0e0e0e0e0e0e0e0e01"}) {
    EXPECT_FALSE(open_block(ring, {}, block_of(bad), out)) << bad;
    EXPECT_EQ(to_hex(out), "0b80");
  }
}

TEST(Layers, UnknownBlockVersionsAreRefused) {
  auto settings = settings_of("", true);
  PacketLayers layers(settings);
  auto wire = copy(layers.seal(encoded(Nack{1}), false, CipherVersion::kPlain));
  wire[0] = 2;
  EXPECT_EQ(layers.open(wire).error(), Malformed::kDecrypt);
}

TEST(Layers, NoncesAreNotRepeated) {
  auto settings = settings_of("", true);
  PacketLayers layers(settings);
  const auto nack = encoded(Nack{1});
  EXPECT_NE(copy(layers.seal(nack, false, CipherVersion::kPlain)),
            copy(layers.seal(nack, false, CipherVersion::kPlain)));
}

}  // namespace
}  // namespace sluice::membership
