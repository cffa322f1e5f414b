#include "sluice/base/base64.hpp"

#include <gtest/gtest.h>

#include <random>

namespace sluice {
namespace {

// RFC 4648, section 10.
TEST(Base64, VectorsOfTheRfc) {
  const std::pair<const char*, const char*> rows[]{{"", ""},
                                                   {"f", "Zg=="},
                                                   {"fo", "Zm8="},
                                                   {"foo", "Zm9v"},
                                                   {"foob", "Zm9vYg=="},
                                                   {"fooba", "Zm9vYmE="},
                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : rows) {
    EXPECT_EQ(to_base64(plain), coded);
    EXPECT_EQ(from_base64(coded), plain);
  }
}

TEST(Base64, OtherFormsAreRefused) {
  for (const auto* bad : {"Z", "Zg", "Zg=", "Zg===", "=Zg=", "Z=g=", "====", "Zh==", "Zm9=", "Zm 9",
                          "Zm9v\n", "Zm9-", "Zm9_", "Zg==Zg=="})
    EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(Base64, RoundTrip) {
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    for (auto& byte : bytes)
      byte = static_cast<char>(random());
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
  }
}

}  // namespace
}  // namespace sluice
