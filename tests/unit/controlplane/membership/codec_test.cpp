// What no capture shows: other forms that peers accept, limits, and broken input, each refused for
// its reason while what stands beside it gets through.
#include "controlplane/membership/codec.hpp"

#include <gtest/gtest.h>

#include "controlplane/membership/fields.hpp"
#include "controlplane/membership/lzw.hpp"
#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

const Suspect kSuspect{7, "victim", "accuser"};

Bytes concat(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const auto& part : parts)
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

// The reason of the only refusal; kCount: none.
Malformed refusal(const Bytes& packet) {
  PacketDecoder decoder;
  const auto messages = decoder.decode(packet);
  EXPECT_TRUE(messages.empty());
  EXPECT_EQ(decoder.malformed().total(), 1U);
  for (std::size_t i = 0; i < static_cast<std::size_t>(Malformed::kCount); ++i)
    if (decoder.malformed()[static_cast<Malformed>(i)] != 0) return static_cast<Malformed>(i);
  return Malformed::kCount;
}

template <class M>
std::optional<M> accepted(const Bytes& packet) {
  PacketDecoder decoder;
  const auto messages = decoder.decode(packet);
  if (messages.size() != 1 || !std::holds_alternative<M>(messages[0])) return std::nullopt;
  return std::get<M>(messages[0]);
}

Bytes compress_message(ByteView plain) {
  Bytes lzw;
  LzwEncoder().encode(plain, lzw);
  Bytes out;
  write_compressed(lzw, out);
  return out;
}

TEST(Decode, FormsThatPeersAccept) {
  // Keys in another order, an unknown one with a nested value, a map16, a str8, a uint64 and bytes
  // behind the map.
  const auto odd = concat({from_hex("03de0004"), from_hex("d904"), from_text("Node"),
                           from_hex("d901"), from_text("n"), from_hex("a5"), from_text("Other"),
                           from_hex("9281a1789300c0c3cb0000000000000000"), from_hex("ab"),
                           from_text("Incarnation"), from_hex("cf0000000000000009"), from_hex("a4"),
                           from_text("From"), from_hex("a166"), from_text("garbage")});
  EXPECT_EQ(accepted<Suspect>(odd), (Suspect{9, "n", "f"}));
  // Positive signed integers of every width; a byte string as bin; a text as nil.
  for (const auto* number : {"07", "d007", "d10007", "d200000007", "d30000000000000007", "cc07",
                             "cd0007", "ce00000007", "cf0000000000000007"}) {
    const auto ack = concat({from_hex("0282a5"), from_text("SeqNo"), from_hex(number),
                             from_hex("a7"), from_text("Payload"), from_hex("c40155")});
    ASSERT_TRUE(accepted<Ack>(ack)) << number;
    EXPECT_EQ(accepted<Ack>(ack)->sequence, 7U);
  }
  const auto nobody = concat({from_hex("0082a4"), from_text("Node"), from_hex("c0a5"),
                              from_text("SeqNo"), from_hex("01")});
  EXPECT_EQ(accepted<Ping>(nobody), (Ping{1, "", {}, ""}));
}

TEST(Decode, MissingFieldsAreZero) {
  EXPECT_EQ(accepted<Ping>(from_hex("0080")), Ping{});
  EXPECT_EQ(accepted<Nack>(from_hex("0b80"))->sequence, 0U);
  // But nothing is said about nobody.
  EXPECT_EQ(refusal(from_hex("0380")), Malformed::kField);
  EXPECT_EQ(refusal(from_hex("0480")), Malformed::kField);
}

TEST(Decode, AddressesAreNormalised) {
  Alive alive{1, "n", at("10.1.2.3:7946"), {}, kOwnVsn};
  auto wire = encoded(alive);
  // The same address as 16 bytes, v4-mapped.
  const auto four = to_hex(wire).find("a40a010203");
  ASSERT_NE(four, std::string::npos);
  auto text = to_hex(wire).replace(four, 10, "b000000000000000000000ffff0a010203");
  EXPECT_EQ(accepted<Alive>(from_hex(text))->address, alive.address);
  alive.address = at("[2001:db8::1]:7946");
  wire = encoded(alive);
  EXPECT_EQ(accepted<Alive>(wire)->address, alive.address);
}

TEST(Decode, BrokenFieldsAreRefused) {
  const auto alive = to_hex(encoded(Alive{1, "n", at("10.1.2.3:7946"), {}, kOwnVsn}));
  const auto with = [&](const std::string& from, const std::string& to) {
    auto text = alive;
    const auto place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    return refusal(from_hex(text.replace(place, from.size(), to)));
  };
  EXPECT_EQ(with("a40a010203", "a30a0102"), Malformed::kField);          // an address of 3 bytes
  EXPECT_EQ(with("a40a010203", "a0"), Malformed::kField);                // none
  EXPECT_EQ(with("a6010502020505", "a50105020205"), Malformed::kField);  // versions: 5 of 6
  EXPECT_EQ(with("a16e", "a0"), Malformed::kField);                      // no name
  EXPECT_EQ(with("a16e", "a10a"), Malformed::kField);                    // a name with a newline
  EXPECT_EQ(with("a16e", "a1ff"), Malformed::kField);                    // not UTF-8
  EXPECT_EQ(with("a16e", "c4016e"), Malformed::kMsgpack);                // a text as bin
  EXPECT_EQ(with("cd1f0a", "ce00011f0a"), Malformed::kField);            // a port above 65535
  EXPECT_EQ(with("cd1f0a", "ff"), Malformed::kField);                    // a negative one
  EXPECT_EQ(with("cd1f0a", "c3"), Malformed::kMsgpack);
  EXPECT_EQ(refusal(from_hex("0391a0")), Malformed::kMsgpack);  // an array, not a map
  EXPECT_EQ(refusal(from_hex("0381c1")), Malformed::kMsgpack);  // a byte that msgpack never uses
}

TEST(Decode, EveryTruncationIsRefused) {
  const auto whole = encoded(kSuspect);
  for (std::size_t size = 1; size < whole.size(); ++size)
    EXPECT_EQ(refusal(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))),
              Malformed::kTruncated);
  EXPECT_EQ(refusal({}), Malformed::kEmpty);
}

TEST(Decode, TypesThatDoNotBelongInPackets) {
  for (const auto* packet : {"0683", "0a00", "0d80", "0e80", "f4016100", "ff"})
    EXPECT_EQ(refusal(from_hex(packet)), Malformed::kType) << packet;
}

TEST(Decode, LimitsOfNamesAndMeta) {
  const std::string name(kMaxNameBytes, 'n');
  const Bytes meta(kMaxMetaBytes, 0x55);
  EXPECT_TRUE(accepted<Alive>(encoded(Alive{1, name, at("10.0.0.1"), meta, kOwnVsn})));
  EXPECT_EQ(refusal(encoded(Alive{1, name + "n", at("10.0.0.1"), meta, kOwnVsn})),
            Malformed::kField);
  const Bytes more(kMaxMetaBytes + 1, 0x55);
  EXPECT_EQ(refusal(encoded(Alive{1, name, at("10.0.0.1"), more, kOwnVsn})), Malformed::kTooLong);
}

TEST(Decode, NamesAreUtf8WithoutControlCharacters) {
  for (const std::string good : {"a", "router-1.example", "röuter", "路由器", "\U0001f600", "~"})
    EXPECT_TRUE(is_name(good)) << good;
  for (const std::string bad :
       {"", "a\n", "\x7f", "\xc2\x85", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\x80"})
    EXPECT_FALSE(is_name(bad)) << to_hex(from_text(bad));
}

TEST(Compound, PartsBesideBrokenOnesAreRead) {
  const auto good = encoded(kSuspect);
  PacketAssembler assembler(1400);
  ASSERT_TRUE(assembler.add(good));
  ASSERT_TRUE(assembler.add(from_hex("0380")));  // no name
  ASSERT_TRUE(assembler.add(good));
  PacketDecoder decoder;
  auto packet = assembler.take();
  EXPECT_EQ(decoder.decode(packet).size(), 2U);
  EXPECT_EQ(decoder.malformed()[Malformed::kField], 1U);
  // The last part is cut: what is before it counts.
  packet.pop_back();
  EXPECT_EQ(decoder.decode(packet).size(), 1U);
  EXPECT_EQ(decoder.malformed()[Malformed::kTruncated], 1U);
  EXPECT_EQ(refusal(from_hex("07")), Malformed::kTruncated);
  EXPECT_EQ(refusal(from_hex("070200")), Malformed::kTruncated);
  EXPECT_EQ(refusal(from_hex("07010000")), Malformed::kEmpty);
}

TEST(Compound, At127PartsItIsFull) {
  const auto nack = encoded(Nack{1});
  PacketAssembler assembler(65000);
  for (std::size_t i = 0; i < kMaxCompoundParts; ++i) {
    ASSERT_GE(assembler.room(), nack.size());
    ASSERT_TRUE(assembler.add(nack));
  }
  EXPECT_EQ(assembler.room(), 0U);
  EXPECT_FALSE(assembler.add(nack));
  PacketDecoder decoder;
  const auto packet = assembler.take();
  EXPECT_EQ(packet[1], 127);
  EXPECT_EQ(decoder.decode(packet).size(), 127U);
  EXPECT_TRUE(assembler.empty());
}

// Newer peers send up to 255.
TEST(Compound, UpTo255PartsAreRead) {
  const auto nack = encoded(Nack{1});
  for (const std::size_t parts : {128, 255}) {
    Bytes packet{7, static_cast<std::uint8_t>(parts)};
    for (std::size_t i = 0; i < parts; ++i)
      packet.insert(packet.end(), {0, static_cast<std::uint8_t>(nack.size())});
    for (std::size_t i = 0; i < parts; ++i)
      packet.insert(packet.end(), nack.begin(), nack.end());
    PacketDecoder decoder;
    EXPECT_EQ(decoder.decode(packet).size(), parts);
    EXPECT_EQ(decoder.malformed().total(), 0U);
  }
}

TEST(Compound, NeverBeyondItsBudget) {
  const auto suspect = encoded(kSuspect);
  for (std::size_t budget = suspect.size(); budget < 600; ++budget) {
    PacketAssembler assembler(budget);
    std::size_t added = 0;
    while (assembler.room() >= suspect.size()) {
      ASSERT_TRUE(assembler.add(suspect));
      ++added;
    }
    EXPECT_FALSE(assembler.add(suspect));
    EXPECT_EQ(assembler.parts(), added);
    EXPECT_LE(assembler.take().size(), budget);
  }
}

TEST(Compound, ASingleMessageIsSentBare) {
  PacketAssembler assembler(100);
  const auto suspect = encoded(kSuspect);
  ASSERT_TRUE(assembler.add(suspect));
  EXPECT_EQ(assembler.take(), suspect);
  EXPECT_FALSE(assembler.add({}));
}

TEST(Nesting, IsBounded) {
  auto packet = encoded(Nack{1});
  for (int depth = 0; depth < PacketDecoder::kMaxNesting; ++depth) {
    const auto size = packet.size();
    packet.insert(packet.begin(),
                  {7, 1, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
  }
  EXPECT_TRUE(accepted<Nack>(packet));
  const auto size = packet.size();
  packet.insert(packet.begin(),
                {7, 1, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
  EXPECT_EQ(refusal(packet), Malformed::kTooLong);
}

TEST(Nesting, TheNumberOfMessagesIsBounded) {
  // 255 x 255 nacks of 2 bytes in 64 KiB would be a lot of work for one datagram.
  Bytes inner{7, 100};
  for (int i = 0; i < 100; ++i)
    inner.insert(inner.end(), {0, 2});
  for (int i = 0; i < 100; ++i)
    inner.insert(inner.end(), {11, 0x80});
  Bytes packet{7, 100};
  for (int i = 0; i < 100; ++i)
    packet.insert(packet.end(), {static_cast<std::uint8_t>(inner.size() >> 8),
                                 static_cast<std::uint8_t>(inner.size())});
  for (int i = 0; i < 100; ++i)
    packet.insert(packet.end(), inner.begin(), inner.end());
  PacketDecoder decoder;
  EXPECT_EQ(decoder.decode(packet).size(), PacketDecoder::kMaxMessages);
  EXPECT_EQ(decoder.malformed()[Malformed::kTooLong], 10000 - PacketDecoder::kMaxMessages);
}

TEST(Checksum, BadOrMisplacedIsRefused) {
  const auto nack = encoded(Nack{1});
  const auto crc = crc32_ieee(nack);
  auto packet =
      concat({{12, static_cast<std::uint8_t>(crc >> 24), static_cast<std::uint8_t>(crc >> 16),
               static_cast<std::uint8_t>(crc >> 8), static_cast<std::uint8_t>(crc)},
              nack});
  EXPECT_TRUE(accepted<Nack>(packet));
  auto inner = packet;
  for (std::size_t i = 1; i < packet.size(); ++i) {
    packet[i] ^= 0x10;
    EXPECT_EQ(refusal(packet), Malformed::kChecksum);
    packet[i] ^= 0x10;
  }
  inner.insert(inner.begin(), {7, 1, 0, static_cast<std::uint8_t>(inner.size())});
  EXPECT_EQ(refusal(inner), Malformed::kType);
  EXPECT_EQ(refusal(from_hex("0c0000")), Malformed::kTruncated);
  // The check value of the algorithm's catalogue.
  EXPECT_EQ(crc32_ieee(from_text("123456789")), 0xcbf43926U);
}

TEST(Compression, WithinACompoundIsRead) {
  const auto packed = compress_message(encoded(kSuspect));
  PacketAssembler assembler(1400);
  ASSERT_TRUE(assembler.add(packed));
  ASSERT_TRUE(assembler.add(packed));
  PacketDecoder decoder;
  const auto packet = assembler.take();
  const auto messages = decoder.decode(packet);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(std::get<Suspect>(messages[0]), kSuspect);
  EXPECT_EQ(std::get<Suspect>(messages[1]), kSuspect);
}

TEST(Compression, BombsAreRefused) {
  const Bytes zeros(PacketDecoder::kMaxInflatedBytes + 1, 8);
  EXPECT_EQ(refusal(compress_message(zeros)), Malformed::kInflated);
  // Many in one packet: none but the first is tried.
  PacketAssembler assembler(65000);
  const auto bomb = compress_message(zeros);
  while (assembler.room() >= bomb.size())
    ASSERT_TRUE(assembler.add(bomb));
  const auto parts = assembler.parts();
  ASSERT_GT(parts, 10U);
  PacketDecoder decoder;
  const auto packet = assembler.take();
  EXPECT_TRUE(decoder.decode(packet).empty());
  EXPECT_EQ(decoder.malformed()[Malformed::kInflated], 1U);
  EXPECT_EQ(decoder.malformed()[Malformed::kCompression], parts - 1);
  // The next packet is a new one.
  const auto good = compress_message(encoded(kSuspect));
  EXPECT_EQ(decoder.decode(good).size(), 1U);
}

TEST(Compression, UnknownAlgorithmIsRefused) {
  auto packed = compress_message(encoded(kSuspect));
  ASSERT_EQ(packed[7], 0);  // 09 82 a4 Algo
  packed[7] = 1;
  EXPECT_EQ(refusal(packed), Malformed::kCompression);
}

}  // namespace
}  // namespace sluice::membership
