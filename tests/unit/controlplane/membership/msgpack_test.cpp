#include "controlplane/membership/msgpack.hpp"

#include <gtest/gtest.h>

#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership::msgpack {
namespace {

// One of every family, nested.
const char* const kEverything =
    "dc0010"                                            // an array of 16
    "00ffc0c2c3cc01cd0001ce00000001cf0000000000000001"  // 9 scalars
    "d9026162da00026162db000000026162"                  // strings
    "c4016ac7020501"
    "02"                                                  // bin, ext
    "81a161de0001a162df00000001a163dd0000000192d40501d6"  // maps in maps, array32, fixext
    "0501020304"
    "ca00000000"
    "c0";

TEST(Scanner, WalksOverEveryFamily) {
  const auto bytes = from_hex(kEverything);
  Scanner scanner;
  ASSERT_EQ(scanner.scan(bytes), Scanner::State::kDone);
  EXPECT_EQ(scanner.offset(), bytes.size() - 1);  // the nil behind it is not of it
}

TEST(Scanner, GoesOnWhereBytesRanOut) {
  auto bytes = from_hex(kEverything);
  bytes.pop_back();
  Scanner scanner;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(scanner.scan(ByteView(bytes).first(size)), Scanner::State::kMore) << size;
    ASSERT_GT(scanner.wanted(), size);
    ASSERT_LE(scanner.wanted(), bytes.size());
  }
  EXPECT_EQ(scanner.scan(bytes), Scanner::State::kDone);
  EXPECT_EQ(scanner.offset(), bytes.size());
}

TEST(Scanner, DepthAndCountsCostNothing) {
  // A hundred thousand arrays in one another, and lengths that are lies.
  const Bytes deep(100000, 0x91);
  Scanner scanner;
  EXPECT_EQ(scanner.scan(deep), Scanner::State::kMore);
  Bytes wide;
  for (int i = 0; i < 1000; ++i)
    wide.insert(wide.end(), {0xdf, 0xff, 0xff, 0xff, 0xff});
  Scanner liar;
  EXPECT_EQ(liar.scan(wide), Scanner::State::kMore);
  Scanner never;
  EXPECT_EQ(never.scan(from_hex("92c0c1")), Scanner::State::kBad);
}

TEST(Reader, KeepsItsFirstFailure) {
  const auto bytes = from_hex("a16101");
  Reader reader(bytes);
  bool value = false;
  std::string_view text;
  std::uint32_t number = 0;
  EXPECT_FALSE(reader.boolean(value));
  EXPECT_EQ(reader.reason(), Malformed::kMsgpack);
  EXPECT_FALSE(reader.text(text));
  EXPECT_FALSE(reader.integer(number));
  EXPECT_EQ(reader.reason(), Malformed::kMsgpack);
}

TEST(Writer, ShortestFormOfIntegers) {
  const std::pair<std::uint64_t, const char*> rows[]{{0, "00"},
                                                     {127, "7f"},
                                                     {128, "cc80"},
                                                     {255, "ccff"},
                                                     {256, "cd0100"},
                                                     {65535, "cdffff"},
                                                     {65536, "ce00010000"},
                                                     {UINT32_MAX, "ceffffffff"},
                                                     {UINT64_MAX, "cfffffffffffffffff"}};
  for (const auto& [value, wire] : rows) {
    Bytes out;
    Writer(out).integer(value);
    EXPECT_EQ(to_hex(out), wire);
    Reader reader(out);
    std::uint64_t back = 0;
    EXPECT_TRUE(reader.integer(back, UINT64_MAX));
    EXPECT_EQ(back, value);
  }
}

// Only the raw family: peers of old know neither str8 nor bin.
TEST(Writer, ByteStringsOfEveryLength) {
  for (const std::size_t size : {0, 1, 31, 32, 255, 256, 65535, 65536}) {
    const Bytes value(size, 0x41);
    Bytes out;
    Writer(out).bytes(value);
    EXPECT_EQ(out[0], size < 32 ? 0xa0 | size : size < 65536 ? 0xda : 0xdb);
    Reader reader(out);
    ByteView back;
    EXPECT_TRUE(reader.bytes(back));
    EXPECT_EQ(Bytes(back.begin(), back.end()), value);
    EXPECT_TRUE(reader.rest().empty());
  }
}

}  // namespace
}  // namespace sluice::membership::msgpack
