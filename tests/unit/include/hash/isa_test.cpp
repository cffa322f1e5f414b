// Which instruction set is chosen, from made-up CPUID words (machines we do not have) and from this
// machine, where the compiler's own runtime check is the second opinion.
#include <gtest/gtest.h>

#include <string>

#include "sluice/hash/isa.hpp"

namespace sluice {
namespace {

using isa_detail::best_of;
using isa_detail::CpuWords;

// Bits of the Intel SDM: leaf 1 ECX AES 25, XSAVE 26, OSXSAVE 27, AVX 28; leaf 7 EBX AVX2 5,
// AVX512F 16, AVX512VL 31; leaf 7 ECX VAES 9; XCR0 SSE 1, AVX 2, opmask 5, ZMM_Hi256 6, Hi16_ZMM 7.
constexpr CpuWords kFull = {.leaf1_ecx = 1U << 25 | 1U << 26 | 1U << 27 | 1U << 28,
                            .leaf7_ebx = 1U << 5 | 1U << 16 | 1U << 31,
                            .leaf7_ecx = 1U << 9,
                            .xcr0 = 0xe7};

TEST(Isa, EverythingPresentMeansVaes512) {
  EXPECT_EQ(best_of(kFull), Isa::kVaes512);
}

TEST(Isa, NothingPresentMeansScalar) {
  EXPECT_EQ(best_of(CpuWords{}), Isa::kScalar);
}

TEST(Isa, EachMissingFeatureSelectsTheNextOne) {
  CpuWords no_f = kFull;
  no_f.leaf7_ebx &= ~(1U << 16);
  EXPECT_EQ(best_of(no_f), Isa::kVaes256);
  CpuWords no_vl = kFull;
  no_vl.leaf7_ebx &= ~(1U << 31);
  EXPECT_EQ(best_of(no_vl), Isa::kVaes256);
  CpuWords no_vaes = kFull;
  no_vaes.leaf7_ecx = 0;
  EXPECT_EQ(best_of(no_vaes), Isa::kAesNi);
  CpuWords no_avx2 = kFull;
  no_avx2.leaf7_ebx &= ~(1U << 5);
  EXPECT_EQ(best_of(no_avx2), Isa::kAesNi);
  CpuWords no_aes = kFull;
  no_aes.leaf1_ecx &= ~(1U << 25);
  EXPECT_EQ(best_of(no_aes), Isa::kScalar);
  CpuWords no_avx = kFull;
  no_avx.leaf1_ecx &= ~(1U << 28);
  EXPECT_EQ(best_of(no_avx), Isa::kScalar);
}

TEST(Isa, RegistersTheSystemDoesNotSaveAreNotUsed) {
  CpuWords words = kFull;
  for (const std::uint64_t missing : {0x20, 0x40, 0x80}) {
    words.xcr0 = kFull.xcr0 & ~missing;
    EXPECT_EQ(best_of(words), Isa::kVaes256) << "without XCR0 bit " << missing;
  }
  words.xcr0 = 0x3;
  EXPECT_EQ(best_of(words), Isa::kScalar);
}

TEST(Isa, AgreesWithTheCompilersRuntimeOnThisMachine) {
  __builtin_cpu_init();
  const bool aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx");
  const bool vaes = aes && __builtin_cpu_supports("vaes") && __builtin_cpu_supports("avx2");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
  EXPECT_TRUE(has_isa(Isa::kScalar));
  EXPECT_EQ(has_isa(Isa::kAesNi), aes);
  EXPECT_EQ(has_isa(Isa::kVaes256), vaes);
  EXPECT_EQ(has_isa(Isa::kVaes512), vaes && avx512);
  RecordProperty("best_isa", std::string(to_string(best_isa())));
}

TEST(Isa, NamesGoBothWays) {
  for (const Isa isa : kAllIsas)
    EXPECT_EQ(parse_isa(to_string(isa)), isa);
  EXPECT_EQ(parse_isa("neon"), std::nullopt);
  EXPECT_EQ(parse_isa(""), std::nullopt);
}

}  // namespace
}  // namespace sluice
