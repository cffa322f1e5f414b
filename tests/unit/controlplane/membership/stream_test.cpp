#include "controlplane/membership/stream.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "controlplane/membership/fields.hpp"
#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

using State = StreamDecoder::State;

struct Read {
  State state;
  std::unique_ptr<StreamDecoder> decoder;

  const StreamMessage& message() const { return decoder->message(); }
};

Read read(WireSettings& settings, StreamRole role, ByteView wire, std::size_t step = 0) {
  auto decoder = std::make_unique<StreamDecoder>(settings, role);
  auto state = State::kMore;
  while (state == State::kMore && !wire.empty()) {
    const auto count = step == 0 ? wire.size() : std::min(step, wire.size());
    state = decoder->feed(wire.first(count));
    wire = wire.subspan(count);
  }
  return {state, std::move(decoder)};
}

Malformed refusal(WireSettings& settings, ByteView wire) {
  const auto result = read(settings, StreamRole::kAcceptor, wire);
  EXPECT_EQ(result.state, State::kBad);
  return result.decoder->reason();
}

Bytes push_pull_head(std::uint64_t nodes, std::uint64_t user_state) {
  Bytes out{static_cast<std::uint8_t>(MessageType::kPushPull)};
  msgpack::Writer writer(out);
  writer.map(2);
  writer.text("Nodes");
  writer.integer(nodes);
  writer.text("UserStateLen");
  writer.integer(user_state);
  return out;
}

struct Cluster {
  std::vector<std::string> names;
  std::vector<PushPullNode> nodes;

  explicit Cluster(std::size_t size) {
    names.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
      names.push_back("router-" + std::to_string(i));
      nodes.push_back({names[i],
                       at("10.0.0.1:7946"),
                       {},
                       static_cast<std::uint32_t>(i),
                       static_cast<WireState>(i % 4),
                       kOwnVsn});
    }
  }
};

// Bytes that compress to about a tenth, as lists of members do.
Bytes repetitive(std::size_t size) {
  Bytes out(size);
  std::uint32_t value = 1;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 300 == 0) value = 1;
    value = value * 1664525 + 1013904223;
    out[i] = static_cast<std::uint8_t>(value >> 24);
  }
  return out;
}

// What has to be held for a message is known before it is held.
TEST(Stream, MemoryIsBoundedWhileItGrows) {
  WireSettings settings;
  Bytes plain;
  encode_stream(User{repetitive(4'000'000)}, plain);
  const auto packed = seal_stream(settings, StreamRole::kDialer, CipherVersion::kPlain, plain);
  ASSERT_LT(packed.size(), plain.size() / 4);
  const auto with = [&](ByteView wire, std::size_t allowed, std::size_t step) {
    StreamDecoder decoder(settings, StreamRole::kAcceptor);
    decoder.allow(allowed);
    auto state = State::kMore;
    for (; state == State::kMore && !wire.empty(); wire = wire.subspan(step)) {
      step = std::min(step, wire.size());
      state = decoder.feed(wire.first(step));
    }
    // Vectors double as they grow.
    EXPECT_LE(decoder.held_bytes(), 2 * allowed);
    return state;
  };
  for (const std::size_t step : {std::size_t{10'000}, packed.size()}) {
    EXPECT_EQ(with(packed, 1'000'000, step), State::kFull);
    EXPECT_EQ(with(packed, 20'000'000, step), State::kMessage);
  }
  settings.compress = false;
  const auto large = seal_stream(settings, StreamRole::kDialer, CipherVersion::kPlain, plain);
  EXPECT_EQ(with(large, 1'000'000, 10'000), State::kFull);
  EXPECT_EQ(with(large, 20'000'000, 10'000), State::kMessage);
  settings.keyring = Keyring::create(Key::random()).value();
  const auto sealed = seal_stream(settings, StreamRole::kDialer, CipherVersion::kPlain, plain);
  EXPECT_EQ(with(sealed, 5'000'000, 10'000), State::kFull);
  EXPECT_EQ(with(sealed, 20'000'000, 10'000), State::kMessage);
}

// Ten kilobytes that become ten megabytes are no list of members.
TEST(Stream, BombsAreRefusedWhateverIsAllowed) {
  WireSettings settings;
  Bytes plain;
  encode_stream(User{Bytes(10'000'000)}, plain);
  const auto bomb = seal_stream(settings, StreamRole::kDialer, CipherVersion::kPlain, plain);
  ASSERT_LT(bomb.size(), 20'000U);
  EXPECT_EQ(refusal(settings, bomb), Malformed::kInflated);
  // A little may shrink as much as it likes.
  plain.clear();
  encode_stream(User{Bytes(500'000)}, plain);
  const auto fine = seal_stream(settings, StreamRole::kDialer, CipherVersion::kPlain, plain);
  EXPECT_EQ(read(settings, StreamRole::kAcceptor, fine).state, State::kMessage);
}

// Each side reads what the other writes, in pieces of any size, whatever the settings.
TEST(Stream, RoundTrip) {
  const Cluster cluster(50);
  const auto state = from_text(std::string(700, 's'));
  for (const auto* label : {"", "mesh"})
    for (const bool encrypt : {false, true})
      for (const bool compress : {false, true})
        for (const auto writer : {StreamRole::kDialer, StreamRole::kAcceptor})
          for (const std::size_t step : {0, 1, 100}) {
            WireSettings settings;
            settings.label = label;
            settings.compress = compress;
            if (encrypt) settings.keyring = Keyring::create(Key::random()).value();
            const auto wire = seal_stream(settings, writer, CipherVersion::kPlain,
                                          PushPull{true, cluster.nodes, state});
            const auto reader =
                writer == StreamRole::kDialer ? StreamRole::kAcceptor : StreamRole::kDialer;
            const auto result = read(settings, reader, wire, step);
            ASSERT_EQ(result.state, State::kMessage) << to_string(result.decoder->reason());
            const auto& push = std::get<PushPull>(result.message());
            ASSERT_EQ(push.nodes.size(), cluster.nodes.size());
            for (std::size_t i = 0; i < push.nodes.size(); ++i) {
              EXPECT_EQ(push.nodes[i].name, cluster.nodes[i].name);
              EXPECT_EQ(push.nodes[i].incarnation, cluster.nodes[i].incarnation);
              EXPECT_EQ(push.nodes[i].state, cluster.nodes[i].state);
            }
            EXPECT_TRUE(push.join);
            EXPECT_EQ(Bytes(push.user_state.begin(), push.user_state.end()), state);
          }
}

TEST(Stream, OtherMessages) {
  WireSettings settings;
  const auto wire = [&](const StreamMessage& message) {
    return seal_stream(settings, StreamRole::kAcceptor, CipherVersion::kPlain, message);
  };
  auto result = read(settings, StreamRole::kDialer, wire(Ack{5, {}}));
  EXPECT_EQ(std::get<Ack>(result.message()).sequence, 5U);
  result = read(settings, StreamRole::kDialer, wire(Err{"no"}));
  EXPECT_EQ(std::get<Err>(result.message()).text, "no");
  const Bytes big(100000, 'u');
  result = read(settings, StreamRole::kDialer, wire(User{big}), 1000);
  EXPECT_EQ(std::get<User>(result.message()).data.size(), big.size());
  result = read(settings, StreamRole::kDialer, wire(User{}));
  EXPECT_TRUE(std::get<User>(result.message()).data.empty());
}

TEST(Stream, MembersThatMakeNoSenseAreLeftOut) {
  const Cluster cluster(3);
  Bytes wire = push_pull_head(4, 0);
  write_node(cluster.nodes[0], wire);
  auto nameless = cluster.nodes[1];
  nameless.name = "";
  write_node(nameless, wire);
  wire.push_back(0x80);  // an empty map
  write_node(cluster.nodes[2], wire);
  WireSettings settings;
  const auto result = read(settings, StreamRole::kAcceptor, wire, 1);
  ASSERT_EQ(result.state, State::kMessage);
  const auto& push = std::get<PushPull>(result.message());
  ASSERT_EQ(push.nodes.size(), 2U);
  EXPECT_EQ(push.nodes[1].name, "router-2");
  EXPECT_EQ(result.decoder->skipped_nodes(), 2U);
}

TEST(Stream, CountsBeyondTheLimitsAreRefusedAtOnce) {
  WireSettings settings;
  EXPECT_EQ(refusal(settings, push_pull_head(kMaxPushPullNodes + 1, 0)), Malformed::kTooLong);
  EXPECT_EQ(refusal(settings, push_pull_head(UINT64_MAX, 0)), Malformed::kTooLong);
  EXPECT_EQ(refusal(settings, push_pull_head(0, kMaxUserStateBytes + 1)), Malformed::kTooLong);
  Bytes user{8};
  msgpack::Writer writer(user);
  writer.map(1);
  writer.text("UserMsgLen");
  writer.integer(kMaxUserMessageBytes + 1);
  EXPECT_EQ(refusal(settings, user), Malformed::kTooLong);
}

// What a peer announces costs nothing before it comes.
TEST(Stream, NoMemoryForPromises) {
  WireSettings settings;
  const auto result =
      read(settings, StreamRole::kAcceptor, push_pull_head(kMaxPushPullNodes, kMaxUserStateBytes));
  EXPECT_EQ(result.state, State::kMore);
  EXPECT_LT(result.decoder->held_bytes(), 4096U);
}

TEST(Stream, HugeMembersAreRefused) {
  WireSettings settings;
  auto wire = push_pull_head(1, 0);
  wire.insert(wire.end(), {0x81, 0xa1, 'x', 0xdb, 0, 1, 0, 0});
  EXPECT_EQ(refusal(settings, wire), Malformed::kTooLong);
  // And so is one of many small keys, before it ends.
  wire = push_pull_head(1, 0);
  wire.insert(wire.end(), {0xdf, 0, 1, 0, 0});
  for (int i = 0; i < 5000; ++i)
    wire.insert(wire.end(), {0xa0, 0xc0});
  EXPECT_EQ(refusal(settings, wire), Malformed::kTooLong);
}

TEST(Stream, MoreThanAStreamMayHold) {
  WireSettings settings;
  Bytes user{8};
  msgpack::Writer writer(user);
  writer.map(1);
  writer.text("UserMsgLen");
  writer.integer(kMaxUserMessageBytes);
  user.resize(kMaxStreamBytes + 1);
  StreamDecoder decoder(settings, StreamRole::kAcceptor);
  EXPECT_EQ(decoder.feed(user), State::kBad);
  EXPECT_EQ(decoder.reason(), Malformed::kTooLong);
}

TEST(Stream, BrokenCompression) {
  WireSettings settings;
  EXPECT_EQ(refusal(settings, from_hex("0981a4416c676f01")), Malformed::kCompression);
  EXPECT_EQ(refusal(settings, from_hex("0981a3427566a0")), Malformed::kCompression);
  const auto packed = [](ByteView plain) {
    Bytes lzw;
    LzwEncoder().encode(plain, lzw);
    Bytes out;
    write_compressed(lzw, out);
    return out;
  };
  EXPECT_EQ(refusal(settings, packed({})), Malformed::kEmpty);
  EXPECT_EQ(refusal(settings, packed(packed(from_hex("0080")))), Malformed::kType);
  EXPECT_EQ(refusal(settings, packed(from_hex("0081"))), Malformed::kTruncated);
  EXPECT_EQ(refusal(settings, packed(from_hex("0480"))), Malformed::kType);
  EXPECT_EQ(refusal(settings, packed(Bytes(kMaxStreamInflated + 1, 8))), Malformed::kInflated);
}

TEST(Stream, EncryptionIsDemanded) {
  WireSettings plain;
  WireSettings strict;
  strict.keyring = Keyring::create(Key::random()).value();
  const auto open = from_hex("0080");
  EXPECT_EQ(refusal(strict, open), Malformed::kPlain);
  const auto sealed =
      seal_stream(strict, StreamRole::kDialer, CipherVersion::kPlain, Ping{1, "n", {}, ""});
  EXPECT_EQ(refusal(plain, sealed), Malformed::kDecrypt);
  strict.verify_incoming = false;
  EXPECT_EQ(read(strict, StreamRole::kAcceptor, open).state, State::kMessage);
  EXPECT_EQ(read(strict, StreamRole::kAcceptor, sealed, 1).state, State::kMessage);
  EXPECT_EQ(refusal(strict, from_hex("0affffffff")), Malformed::kTooLong);
  EXPECT_EQ(refusal(strict, from_hex("0a00000000")), Malformed::kDecrypt);
  auto forged = sealed;
  forged.back() ^= 1;
  EXPECT_EQ(refusal(strict, forged), Malformed::kDecrypt);
}

TEST(Stream, ForeignLabelsAreRefused) {
  WireSettings ours;
  ours.label = "mesh";
  WireSettings none;
  EXPECT_EQ(refusal(ours, from_hex("0080")), Malformed::kLabel);
  EXPECT_EQ(refusal(ours, from_hex("f4046d6573730080")), Malformed::kLabel);
  EXPECT_EQ(refusal(ours, from_hex("f405")), Malformed::kLabel);
  EXPECT_EQ(refusal(none, from_hex("f4046d6573680080")), Malformed::kLabel);
  EXPECT_EQ(refusal(none, from_hex("f400")), Malformed::kLabel);
  EXPECT_EQ(read(ours, StreamRole::kAcceptor, from_hex("f4046d6573680080"), 1).state,
            State::kMessage);
  // The answer to our own stream carries none.
  EXPECT_EQ(read(ours, StreamRole::kDialer, from_hex("0280")).state, State::kMessage);
}

}  // namespace
}  // namespace sluice::membership
