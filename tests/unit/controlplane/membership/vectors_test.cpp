// The captures of real peers, both directions: read as what they mean, and written again byte by
// byte as they were (where the form is ours to choose, the same message in our form).
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "controlplane/membership/fields.hpp"
#include "controlplane/membership/stream.hpp"
#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

using nlohmann::json;

const std::map<std::string, json>& vectors() {
  static const auto all = [] {
    std::map<std::string, json> by_name;
    std::ifstream file(SLUICE_VECTORS);
    for (const auto& vector : json::parse(file))
      by_name[vector.at("name")] = vector;
    return by_name;
  }();
  return all;
}

Bytes bytes_of(const std::string& name) {
  return from_hex(vectors().at(name).at("hex").get<std::string>());
}

std::string meaning(const std::string& name, const std::string& field) {
  return vectors().at(name).at("meaning").at(field).get<std::string>();
}

// "hex:..." as the vectors' meanings have byte strings.
Bytes hex_field(const std::string& name, const std::string& field) {
  return from_hex(meaning(name, field).substr(4));
}

Keyring key_of(const std::string& name) {
  const auto key = Key::from_bytes(from_hex(vectors().at(name).at("key").get<std::string>()));
  return Keyring::create(key.value()).value();
}

// The nonce of the capture that is being written again.
Nonce captured_nonce;
Nonce take_captured_nonce() {
  return captured_nonce;
}

template <class M>
M single(PacketDecoder& decoder, const Bytes& packet) {
  const auto messages = decoder.decode(packet);
  EXPECT_EQ(messages.size(), 1U);
  EXPECT_EQ(decoder.malformed().total(), 0U);
  return std::get<M>(messages[0]);
}

TEST(Vectors, AllAreHereAndUsed) {
  EXPECT_EQ(vectors().size(), 33U);
  const std::set<std::string> used{
      "ping",
      "ackResp",
      "indirectPing",
      "nackResp",
      "suspect",
      "alive",
      "dead",
      "compound",
      "compress",
      "hasCrc",
      "user/serf-join",
      "user/serf-userEvent",
      "user/serf-query",
      "user/serf-queryResp",
      "tcp:pushPull",
      "tcp:compress",
      "tcp:ping",
      "tcp:ackResp",
      "tcp:user",
      "tcp:err",
      "dead (graceful leave: Node==From)",
      "alive with incarnation 2 (tags update)",
      "user unknown type 0x52",
      "serf leave intent",
      "UDP encrypted v1 (AAD empty)",
      "UDP encrypted v0 (PKCS7, protocol 1)",
      "TCP encrypted v0",
      "TCP encrypted v1",
      "UDP label plain",
      "UDP label+encrypted v1 (AAD=label)",
      "TCP label+encrypted v1 (dialer)",
      "TCP pushPull from 0.5.1, signed int16 UserStateLen (uncompressed)",
      "TCP pushPull from 0.2.2, unsigned UserStateLen (uncompressed)"};
  for (const auto& [name, vector] : vectors())
    EXPECT_TRUE(used.contains(name)) << name;
}

// Every message that is one packet by itself comes out again as it went in.
TEST(Vectors, SingleMessagesAreWrittenAsTheyWereRead) {
  for (const auto* name :
       {"ping", "ackResp", "indirectPing", "nackResp", "suspect", "alive", "dead", "user/serf-join",
        "user/serf-userEvent", "user/serf-query", "user/serf-queryResp",
        "dead (graceful leave: Node==From)", "alive with incarnation 2 (tags update)",
        "user unknown type 0x52", "serf leave intent", "tcp:ping", "tcp:ackResp"}) {
    SCOPED_TRACE(name);
    PacketDecoder decoder;
    const auto packet = bytes_of(name);
    const auto messages = decoder.decode(packet);
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(to_hex(encoded(messages[0])), to_hex(packet));
  }
}

TEST(Vectors, Probing) {
  PacketDecoder decoder;
  const auto ping_bytes = bytes_of("ping");
  const auto ping = single<Ping>(decoder, ping_bytes);
  EXPECT_EQ(ping, (Ping{1, "serf-2", at("127.0.0.3:7946"), "serf-3"}));
  const auto ack_bytes = bytes_of("ackResp");
  const auto ack = single<Ack>(decoder, ack_bytes);
  EXPECT_EQ(ack.sequence, 1U);
  EXPECT_EQ(to_hex(ack.payload), to_hex(hex_field("ackResp", "Payload")));
  const auto indirect_bytes = bytes_of("indirectPing");
  const auto indirect = single<IndirectPing>(decoder, indirect_bytes);
  EXPECT_EQ(indirect, (IndirectPing{46, "serf-5", at("127.0.0.5:7946"), true, at("127.0.0.2:7946"),
                                    "serf-2"}));
  const auto nack_bytes = bytes_of("nackResp");
  EXPECT_EQ(single<Nack>(decoder, nack_bytes).sequence, 46U);
}

TEST(Vectors, States) {
  PacketDecoder decoder;
  const auto suspect = bytes_of("suspect");
  EXPECT_EQ(single<Suspect>(decoder, suspect), (Suspect{1, "serf-5", "serf-2"}));
  const auto dead = bytes_of("dead");
  EXPECT_EQ(single<Dead>(decoder, dead), (Dead{1, "serf-5", "serf-3"}));
  const auto leave = bytes_of("dead (graceful leave: Node==From)");
  EXPECT_EQ(single<Dead>(decoder, leave), (Dead{1, "go-B", "go-B"}));
  const auto alive_bytes = bytes_of("alive");
  const auto alive = single<Alive>(decoder, alive_bytes);
  EXPECT_EQ(alive.node, "serf-3");
  EXPECT_EQ(alive.incarnation, 1U);
  EXPECT_EQ(alive.address, at("127.0.0.3:7946"));
  EXPECT_EQ(to_hex(alive.meta), to_hex(hex_field("alive", "Meta")));
  EXPECT_EQ(alive.vsn, kOwnVsn);
  const auto updated = bytes_of("alive with incarnation 2 (tags update)");
  EXPECT_EQ(single<Alive>(decoder, updated).incarnation, 2U);
}

TEST(Vectors, UserMessagesAreOpaque) {
  for (const auto* name : {"user/serf-join", "user/serf-userEvent", "user/serf-query",
                           "user/serf-queryResp", "user unknown type 0x52", "serf leave intent"}) {
    SCOPED_TRACE(name);
    PacketDecoder decoder;
    const auto packet = bytes_of(name);
    EXPECT_EQ(to_hex(single<User>(decoder, packet).data), to_hex(packet).substr(2));
  }
}

// Compound, compressed, with a checksum: one packet in three wrappings, each of which we write
// alike.
TEST(Vectors, Wrappings) {
  const auto plain = bytes_of("compound");
  PacketDecoder decoder;
  PacketAssembler assembler(1400);
  for (const auto* name : {"compound", "compress", "hasCrc"}) {
    SCOPED_TRACE(name);
    const auto packet = bytes_of(name);
    const auto messages = decoder.decode(packet);
    ASSERT_EQ(messages.size(), 2U);
    EXPECT_EQ(std::get<Alive>(messages[0]).node, "serf-3");
    EXPECT_EQ(std::get<Alive>(messages[1]).node, "serf-2");
    for (const auto& message : messages)
      ASSERT_TRUE(assembler.add(encoded(message)));
    EXPECT_EQ(to_hex(assembler.take()), to_hex(plain));
  }
  EXPECT_EQ(decoder.malformed().total(), 0U);
  EXPECT_EQ(meaning("compress", "plain"), to_hex(plain));
  WireSettings settings;
  PacketLayers layers(settings);
  EXPECT_EQ(to_hex(layers.seal(plain, false, CipherVersion::kPlain)), to_hex(bytes_of("compress")));
  EXPECT_EQ(to_hex(layers.seal(plain, true, CipherVersion::kPlain)), to_hex(bytes_of("hasCrc")));
}

TEST(Vectors, EncryptedPackets) {
  struct Row {
    const char* name;
    CipherVersion version;
    const char* label;
  };
  for (const auto& row :
       {Row{"UDP encrypted v1 (AAD empty)", CipherVersion::kPlain, ""},
        Row{"UDP encrypted v0 (PKCS7, protocol 1)", CipherVersion::kPadded, ""},
        Row{"UDP label+encrypted v1 (AAD=label)", CipherVersion::kPlain, "mesh"}}) {
    SCOPED_TRACE(row.name);
    WireSettings settings;
    settings.label = row.label;
    settings.keyring = key_of(row.name);
    settings.compress = false;  // the plain texts are compressed already where they are
    PacketLayers layers(settings, take_captured_nonce);
    const auto datagram = bytes_of(row.name);
    const auto opened = layers.open(datagram);
    ASSERT_TRUE(opened);
    const Bytes plain(opened->begin(), opened->end());
    EXPECT_EQ(to_hex(plain), meaning(row.name, "plain"));
    PacketDecoder decoder;
    EXPECT_FALSE(decoder.decode(plain).empty());
    EXPECT_EQ(decoder.malformed().total(), 0U);
    const auto block = settings.label.empty() ? 0 : 2 + settings.label.size();
    std::copy_n(datagram.begin() + static_cast<std::ptrdiff_t>(block) + 1, kNonceBytes,
                captured_nonce.begin());
    EXPECT_EQ(to_hex(layers.seal(plain, false, row.version)), to_hex(datagram));
  }
}

TEST(Vectors, LabelWithoutEncryption) {
  WireSettings settings;
  settings.label = meaning("UDP label plain", "label");
  settings.compress = false;
  PacketLayers layers(settings);
  const auto datagram = bytes_of("UDP label plain");
  const auto opened = layers.open(datagram);
  ASSERT_TRUE(opened);
  PacketDecoder decoder;
  const auto messages = decoder.decode(*opened);
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(std::get<Ack>(messages[0]).sequence, 1U);
  EXPECT_EQ(std::get<Alive>(messages[2]).vsn, (Vsn{1, 5, 2, 0, 0, 0}));
  EXPECT_EQ(to_hex(layers.seal(*opened, false, CipherVersion::kPlain)), to_hex(datagram));
}

struct ReadStream {
  StreamDecoder::State state;
  std::unique_ptr<StreamDecoder> decoder;
};

// step 0: all at once.
ReadStream read_stream(WireSettings& settings, const Bytes& wire, std::size_t step) {
  auto decoder = std::make_unique<StreamDecoder>(settings, StreamRole::kAcceptor);
  auto state = StreamDecoder::State::kMore;
  ByteView rest = wire;
  while (state == StreamDecoder::State::kMore && !rest.empty()) {
    const auto count = step == 0 ? rest.size() : std::min(step, rest.size());
    state = decoder->feed(rest.first(count));
    rest = rest.subspan(count);
  }
  EXPECT_TRUE(rest.empty());
  return {state, std::move(decoder)};
}

void expect_written_again(WireSettings settings, const std::string& name, CipherVersion version) {
  SCOPED_TRACE(name);
  const auto wire = bytes_of(name);
  for (const std::size_t step : {0, 1, 7}) {
    const auto [state, decoder] = read_stream(settings, wire, step);
    ASSERT_EQ(state, StreamDecoder::State::kMessage) << to_string(decoder->reason());
    EXPECT_EQ(to_hex(seal_stream(settings, StreamRole::kDialer, version, decoder->message(),
                                 take_captured_nonce)),
              to_hex(wire));
  }
}

WireSettings plain_settings(bool compress) {
  WireSettings settings;
  settings.compress = compress;
  return settings;
}

TEST(Vectors, Streams) {
  for (const auto* name : {"tcp:pushPull", "tcp:ping", "tcp:ackResp", "tcp:user", "tcp:err",
                           "TCP pushPull from 0.2.2, unsigned UserStateLen (uncompressed)"}) {
    expect_written_again(plain_settings(false), name, CipherVersion::kPlain);
  }
  expect_written_again(plain_settings(true), "tcp:compress", CipherVersion::kPlain);
}

TEST(Vectors, PushPullMeaning) {
  WireSettings settings = plain_settings(false);
  const auto [state, decoder] = read_stream(settings, bytes_of("tcp:pushPull"), 0);
  ASSERT_EQ(state, StreamDecoder::State::kMessage);
  const auto& push = std::get<PushPull>(decoder->message());
  EXPECT_TRUE(push.join);
  ASSERT_EQ(push.nodes.size(), 1U);
  EXPECT_EQ(push.nodes[0].name, "serf-3");
  EXPECT_EQ(push.nodes[0].state, WireState::kAlive);
  EXPECT_EQ(push.nodes[0].address, at("127.0.0.3:7946"));
  EXPECT_EQ(push.nodes[0].vsn, kOwnVsn);
  EXPECT_EQ(push.user_state.size(), 590U);
  const auto [user_state, user] = read_stream(settings, bytes_of("tcp:user"), 0);
  ASSERT_EQ(user_state, StreamDecoder::State::kMessage);
  EXPECT_EQ(to_text(std::get<User>(user->message()).data), "Rhello-tcp");
  const auto [err_state, err] = read_stream(settings, bytes_of("tcp:err"), 0);
  ASSERT_EQ(err_state, StreamDecoder::State::kMessage);
  EXPECT_EQ(std::get<Err>(err->message()).text,
            "Remote state is encrypted and encryption is not configured");
}

// Newer peers write lengths as signed integers; ours are the unsigned ones of old, which they read.
TEST(Vectors, PushPullWithSignedLength) {
  const std::string newer = "TCP pushPull from 0.5.1, signed int16 UserStateLen (uncompressed)";
  WireSettings settings = plain_settings(false);
  const auto [state, decoder] = read_stream(settings, bytes_of(newer), 1);
  ASSERT_EQ(state, StreamDecoder::State::kMessage);
  const auto& push = std::get<PushPull>(decoder->message());
  EXPECT_EQ(push.user_state.size(), 300U);
  EXPECT_EQ(push.nodes.size(), 1U);
  auto text = to_hex(bytes_of(newer));
  text.replace(text.find("d1012c"), 6, "cd012c");
  EXPECT_EQ(to_hex(seal_stream(settings, StreamRole::kDialer, CipherVersion::kPlain, push)), text);
}

// As the reference writes it: always compressed.
Bytes packed(const StreamMessage& message) {
  Bytes plain;
  encode_stream(message, plain);
  Bytes lzw;
  LzwEncoder().encode(plain, lzw);
  Bytes out;
  write_compressed(lzw, out);
  return out;
}

TEST(Vectors, EncryptedStreams) {
  struct Row {
    const char* name;
    CipherVersion version;
    const char* label;
  };
  for (const auto& row : {Row{"TCP encrypted v0", CipherVersion::kPadded, ""},
                          Row{"TCP encrypted v1", CipherVersion::kPlain, ""},
                          Row{"TCP label+encrypted v1 (dialer)", CipherVersion::kPlain, "mesh"}}) {
    SCOPED_TRACE(row.name);
    const auto wire = bytes_of(row.name);
    const auto label_bytes = *row.label == 0 ? 0 : 2 + std::string(row.label).size();
    const auto block = wire.begin() + static_cast<std::ptrdiff_t>(label_bytes) + 5;
    std::copy_n(block + 1, kNonceBytes, captured_nonce.begin());
    WireSettings settings;
    settings.label = row.label;
    settings.keyring = key_of(row.name);
    const auto aad = from_hex(meaning(row.name, "aad"));
    Bytes opened;
    ASSERT_TRUE(open_block(*settings.keyring, aad, {block, wire.end()}, opened));
    EXPECT_EQ(to_hex(opened), meaning(row.name, "plain"));
    Bytes sealed;
    ASSERT_TRUE(seal_block(*settings.keyring, row.version, captured_nonce, aad, opened, sealed));
    EXPECT_EQ(to_hex(sealed), to_hex({block, wire.end()}));
    const auto [state, decoder] = read_stream(settings, wire, 1);
    ASSERT_EQ(state, StreamDecoder::State::kMessage);
    EXPECT_EQ(to_hex(packed(decoder->message())), to_hex(opened));
    // The reference compresses streams even where that makes them longer; we do not.
    const auto ours = seal_stream(settings, StreamRole::kDialer, row.version, decoder->message(),
                                  take_captured_nonce);
    EXPECT_LE(ours.size(), wire.size());
    const auto [our_state, again] = read_stream(settings, ours, 1);
    ASSERT_EQ(our_state, StreamDecoder::State::kMessage);
    EXPECT_EQ(to_hex(packed(again->message())), to_hex(opened));
  }
}

}  // namespace
}  // namespace sluice::membership
