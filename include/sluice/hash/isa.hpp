// The instruction sets the keyed hash of ids can run on, and which of them this machine has. Asked
// once at start; any thread. "Has" means: the CPU offers the instructions and the operating system
// saves the registers (XCR0), so that running them is safe.
#pragma once

#include <cpuid.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice {

// Slowest first; a machine that has one has those before it.
enum class Isa : std::uint8_t {
  kScalar,   // any CPU; the reference the others are tested against
  kAesNi,    // one block per instruction
  kVaes256,  // two; CPUs with VAES but without AVX-512
  kVaes512,  // four
};

inline constexpr std::array kAllIsas = {Isa::kScalar, Isa::kAesNi, Isa::kVaes256, Isa::kVaes512};

constexpr std::string_view to_string(Isa isa) noexcept {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAesNi:
      return "aesni";
    case Isa::kVaes256:
      return "vaes256";
    case Isa::kVaes512:
      return "vaes512";
  }
  return "unknown";
}

constexpr std::optional<Isa> parse_isa(std::string_view text) noexcept {
  for (const Isa isa : kAllIsas) {
    if (text == to_string(isa)) return isa;
  }
  return std::nullopt;
}

namespace isa_detail {

// Leaf 1 ECX, leaf 7 EBX and ECX, and XCR0 (Intel SDM volume 2A, CPUID; volume 1, section 13.3).
struct CpuWords {
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t leaf7_ecx = 0;
  std::uint64_t xcr0 = 0;
};

inline CpuWords read_cpu_words() noexcept {
  CpuWords words;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) != 0) words.leaf1_ecx = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    words.leaf7_ebx = b;
    words.leaf7_ecx = c;
  }
  constexpr std::uint32_t kOsXsave = 1U << 27;
  if ((words.leaf1_ecx & kOsXsave) != 0) {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    words.xcr0 = static_cast<std::uint64_t>(high) << 32 | low;
  }
  return words;
}

// A pure function of the words, so that machines we do not have can be tested.
constexpr Isa best_of(const CpuWords& words) noexcept {
  constexpr auto all = [](std::uint64_t word, std::uint64_t bits) { return (word & bits) == bits; };
  constexpr std::uint32_t kAesAndAvx = 1U << 25 | 1U << 28;
  constexpr std::uint32_t kAvx2 = 1U << 5;
  constexpr std::uint32_t kVaes = 1U << 9;
  constexpr std::uint32_t kAvx512Fvl = 1U << 16 | 1U << 31;
  constexpr std::uint64_t kYmmState = 0x06;
  constexpr std::uint64_t kZmmState = 0xe6;  // ymm, opmask, upper halves, registers 16 to 31
  if (!all(words.leaf1_ecx, kAesAndAvx) || !all(words.xcr0, kYmmState)) return Isa::kScalar;
  if (!all(words.leaf7_ecx, kVaes) || !all(words.leaf7_ebx, kAvx2)) return Isa::kAesNi;
  if (!all(words.leaf7_ebx, kAvx512Fvl) || !all(words.xcr0, kZmmState)) return Isa::kVaes256;
  return Isa::kVaes512;
}

}  // namespace isa_detail

// The fastest one of this machine; read from the CPU at the first call.
inline Isa best_isa() noexcept {
  static const Isa best = isa_detail::best_of(isa_detail::read_cpu_words());
  return best;
}

inline bool has_isa(Isa isa) noexcept {
  return isa <= best_isa();
}

}  // namespace sluice
