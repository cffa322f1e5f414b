#include "controlplane/membership/keyring.hpp"

#include <gtest/gtest.h>

#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

Key key_of(std::uint8_t fill, std::size_t size = 32) {
  return Key::from_bytes(Bytes(size, fill)).value();
}

TEST(Key, OnlyTheSizesOfAes) {
  for (std::size_t size = 0; size < 48; ++size)
    EXPECT_EQ(Key::from_bytes(Bytes(size, 1)).has_value(), size == 16 || size == 24 || size == 32);
}

TEST(Key, Base64) {
  for (const std::size_t size : {16, 24, 32}) {
    const auto key = key_of(0xa7, size);
    const auto back = Key::from_base64(key.to_base64());
    ASSERT_TRUE(back) << size;
    EXPECT_EQ(*back, key);
  }
  const std::string good = key_of(1, 16).to_base64();  // ends in ==
  auto padded_first = good;
  padded_first[0] = '=';
  auto blank = good;
  blank[0] = ' ';
  auto padded_within = good;
  padded_within[1] = '=';
  for (const std::string& bad :
       {std::string(), good.substr(1), good + "====", padded_first, blank, padded_within,
        std::string(44, '-'), std::string(4, 'A'), std::string(400, 'A')})
    EXPECT_FALSE(Key::from_base64(bad)) << bad;
}

TEST(Key, RandomOnesDiffer) {
  EXPECT_NE(Key::random(), Key::random());
  EXPECT_EQ(Key::random().bytes().size(), 32U);
}

// Test case 16 of the GCM specification (McGrew, Viega): AES-256 with associated data.
TEST(Keyring, KnownAnswer) {
  const auto key =
      Key::from_bytes(from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  auto ring = Keyring::create(key.value()).value();
  const auto iv = from_hex("cafebabefacedbaddecaf888");
  Nonce nonce;
  std::copy(iv.begin(), iv.end(), nonce.begin());
  const auto aad = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const auto plain = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
      "b525b16aedf5aa0de657ba637b39");
  Bytes out;
  ASSERT_TRUE(ring.seal(nonce, aad, plain, out));
  EXPECT_EQ(
      to_hex(out),
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056"
      "828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
  Bytes back;
  ASSERT_TRUE(ring.open(nonce, aad, out, back));
  EXPECT_EQ(back, plain);
}

TEST(Keyring, NothingForgedIsOpened) {
  auto ring = Keyring::create(key_of(1)).value();
  const Nonce nonce{1, 2, 3};
  const auto aad = from_text("mesh");
  Bytes sealed;
  ASSERT_TRUE(ring.seal(nonce, aad, from_text("hello"), sealed));
  Bytes out{7};
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto forged = sealed;
    forged[i] ^= 1;
    EXPECT_FALSE(ring.open(nonce, aad, forged, out));
  }
  for (std::size_t size = 0; size < sealed.size(); ++size)
    EXPECT_FALSE(ring.open(nonce, aad, ByteView(sealed).first(size), out));
  EXPECT_FALSE(ring.open(nonce, from_text("mash"), sealed, out));
  EXPECT_FALSE(ring.open(Nonce{1, 2, 4}, aad, sealed, out));
  EXPECT_EQ(out, Bytes{7});
  EXPECT_TRUE(ring.open(nonce, aad, sealed, out));
}

// Two members change their key one step after the other; at each step they understand each other.
TEST(Keyring, RotationIsSafeAtEachStep) {
  auto a = Keyring::create(key_of(1, 16)).value();
  auto b = Keyring::create(key_of(1, 16)).value();
  const auto talk = [&] {
    const Nonce nonce{9};
    for (auto* from : {&a, &b}) {
      Bytes sealed;
      Bytes out;
      ASSERT_TRUE(from->seal(nonce, {}, from_text("x"), sealed));
      ASSERT_TRUE((from == &a ? b : a).open(nonce, {}, sealed, out));
    }
  };
  const auto fresh = key_of(2, 32);
  for (const auto& step : std::initializer_list<std::function<Status(Keyring&)>>{
           [&](Keyring& ring) { return ring.add(fresh); },
           [&](Keyring& ring) { return ring.use(fresh); },
           [&](Keyring& ring) { return ring.remove(key_of(1, 16)); }}) {
    ASSERT_TRUE(step(a));
    talk();
    ASSERT_TRUE(step(b));
    talk();
  }
  EXPECT_EQ(a.keys(), std::vector<Key>{fresh});
}

TEST(Keyring, WrongStepsAreRefused) {
  auto ring = Keyring::create(key_of(1)).value();
  EXPECT_EQ(ring.use(key_of(2)).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(ring.remove(key_of(1)).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(ring.remove(key_of(2)));
  EXPECT_TRUE(ring.add(key_of(1)));
  EXPECT_EQ(ring.keys().size(), 1U);
  for (std::uint8_t i = 2; i <= Keyring::kMaxKeys; ++i)
    EXPECT_TRUE(ring.add(key_of(i)));
  EXPECT_EQ(ring.add(key_of(99)).error().code(), ErrorCode::kExhausted);
  EXPECT_TRUE(ring.use(key_of(5)));
  EXPECT_EQ(ring.keys().front(), key_of(5));
  EXPECT_EQ(ring.keys().size(), Keyring::kMaxKeys);
}

}  // namespace
}  // namespace sluice::membership
