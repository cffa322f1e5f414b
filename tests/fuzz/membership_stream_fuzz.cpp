// Streams of the membership protocol. Nothing crashes, limits hold, it does not matter in which
// pieces the bytes come, and what is accepted is written in a form that is read back as the same.
//
// Input: a byte of settings, a byte for the size of the pieces, then the stream; also taken as what
// an encrypted stream holds.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "controlplane/membership/stream.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::membership {
namespace {

using State = StreamDecoder::State;

Nonce fixed_nonce() {
  return {1, 2, 3};
}

State feed(StreamDecoder& decoder, ByteView wire, std::size_t step) {
  auto state = State::kMore;
  while (state == State::kMore && !wire.empty()) {
    const auto count = std::min(step, wire.size());
    state = decoder.feed(wire.first(count));
    wire = wire.subspan(count);
  }
  return state;
}

Bytes encoded_stream(const StreamMessage& message) {
  Bytes out;
  encode_stream(message, out);
  return out;
}

void check(WireSettings& settings, ByteView wire, std::size_t step) {
  StreamDecoder whole(settings, StreamRole::kAcceptor);
  StreamDecoder pieces(settings, StreamRole::kAcceptor);
  const auto state = feed(whole, wire, wire.size());
  FUZZ_REQUIRE(feed(pieces, wire, step) == state);
  if (state != State::kMessage) return;
  const auto message = encoded_stream(whole.message());
  FUZZ_REQUIRE(message == encoded_stream(pieces.message()));
  if (const auto* push = std::get_if<PushPull>(&whole.message())) {
    for (const auto& node : push->nodes)
      FUZZ_REQUIRE(!node.name.empty() && node.meta.size() <= kMaxMetaBytes);
  }
  for (const auto version : {CipherVersion::kPlain, CipherVersion::kPadded}) {
    const auto sealed =
        seal_stream(settings, StreamRole::kDialer, version, whole.message(), fixed_nonce);
    StreamDecoder again(settings, StreamRole::kAcceptor);
    FUZZ_REQUIRE(feed(again, sealed, step) == State::kMessage);
    FUZZ_REQUIRE(encoded_stream(again.message()) == message);
  }
}

// What lives as long as a router does, one for each way it can be set up.
WireSettings& settings_of(unsigned mode) {
  static std::array<std::unique_ptr<WireSettings>, 16> all;
  auto& settings = all[mode % all.size()];
  if (settings) return *settings;
  settings = std::make_unique<WireSettings>();
  if ((mode & 1) != 0) settings->label = "mesh";
  settings->compress = (mode & 2) != 0;
  if ((mode & 4) != 0) {
    settings->keyring = Keyring::create(Key::from_bytes(Bytes(16, 7)).value()).value();
    settings->verify_incoming = (mode & 8) != 0;
  }
  return *settings;
}

}  // namespace
}  // namespace sluice::membership

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::membership;
  if (size < 2) return 0;
  const auto mode = data[0];
  const std::size_t step = data[1] + 1U;
  const ByteView wire(data + 2, size - 2);
  auto& settings = settings_of(mode);
  check(settings, wire, step);
  if (!settings.encrypts()) return 0;
  const bool compress = std::exchange(settings.compress, false);
  const auto sealed = seal_stream(settings, StreamRole::kDialer, CipherVersion::kPlain,
                                  Bytes(wire.begin(), wire.end()), fixed_nonce);
  settings.compress = compress;
  check(settings, sealed, step);
  return 0;
}
