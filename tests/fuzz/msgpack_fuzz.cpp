// msgpack: our walk over one object ends where that of the msgpack-cxx library ends, refuses what
// it refuses, and is the same however the bytes come. Reading any bytes by any sequence of types
// never leaves them, and what is read is written in a form that is read back as the same.
//
// Input: an object; the last byte also says what to read.
#define MSGPACK_NO_BOOST
#include <cstddef>
#include <cstdint>
#include <msgpack.hpp>

#include "controlplane/membership/msgpack.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::membership::msgpack {
namespace {

using State = Scanner::State;

// How the library sees it: where the object ends, or that it is cut or broken.
struct Judge : ::msgpack::null_visitor {
  bool cut = false;
  void insufficient_bytes(std::size_t, std::size_t) { cut = true; }
};

void check_walk(ByteView input) {
  Scanner whole;
  const auto state = whole.scan(input);
  Scanner pieces;
  auto piece_state = State::kMore;
  for (std::size_t size = 0; size <= input.size() && piece_state == State::kMore; ++size) {
    if (size < pieces.wanted() && size != input.size()) continue;
    piece_state = pieces.scan(input.first(size));
  }
  FUZZ_REQUIRE(piece_state == state);
  FUZZ_REQUIRE(pieces.offset() == whole.offset() && whole.offset() <= input.size());

  Judge judge;
  std::size_t end = 0;
  const bool good =
      ::msgpack::parse(reinterpret_cast<const char*>(input.data()), input.size(), end, judge);
  FUZZ_REQUIRE(good == (state == State::kDone));
  if (good) FUZZ_REQUIRE(end == whole.offset());

  Reader reader(input);
  FUZZ_REQUIRE(reader.skip() == good);
  if (good) FUZZ_REQUIRE(reader.rest().size() == input.size() - whole.offset());
}

void check_read(ByteView input, unsigned kind) {
  Reader reader(input);
  Bytes out;
  Writer writer(out);
  ByteView bytes;
  std::string_view text;
  std::uint64_t number = 0;
  bool flag = false;
  for (; !reader.failed() && !reader.rest().empty(); kind = kind * 5 + 3) {
    const auto before = reader.rest().size();
    out.clear();
    Reader back(out);
    switch (kind % 4) {
      case 0:
        if (!reader.integer(number, UINT64_MAX)) break;
        writer.integer(number);
        back = Reader(out);
        FUZZ_REQUIRE(back.integer(number, number));
        break;
      case 1:
        if (!reader.text(text)) break;
        writer.text(text);
        back = Reader(out);
        FUZZ_REQUIRE(back.bytes(bytes) && bytes.size() == text.size());
        break;
      case 2:
        if (!reader.bytes(bytes)) break;
        FUZZ_REQUIRE(bytes.size() < before);
        break;
      default:
        reader.boolean(flag);
        break;
    }
    FUZZ_REQUIRE(reader.failed() || reader.rest().size() < before);
  }
}

}  // namespace
}  // namespace sluice::membership::msgpack

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const sluice::membership::ByteView input(data, size);
  sluice::membership::msgpack::check_walk(input);
  if (size > 0) sluice::membership::msgpack::check_read(input, data[size - 1]);
  return 0;
}
