// How a base segment (sluice/index/base_segment.hpp) gets from the control plane into the
// dataplane. Plain values; both ends.
//
//  1. Offer, on the socket: BaseOffer with the file's descriptor (SCM_RIGHTS). The dataplane copies
//     and checks the file in a thread of its own and answers with kBaseLoaded or kBaseRefused; the
//     base in use stays as it is. An offer of a segment that is loaded or in use already is
//     answered at once. A new offer takes the place of one that is still being loaded.
//  2. Commit, on the command ring after kBaseLoaded: kBaseBegin, kBaseAdjacency for each position
//  of
//     the segment's dictionary, kBaseCommit. It takes effect in the order of the ring.
//  3. kBaseDone comes when every worker sees the new base and the delta has forgotten what the base
//     says too.
// The base of an earlier connection stays until another is committed, kBaseDrop comes, or a sweep
// finds that its epoch did not commit it; to commit it again costs no copy.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::link {

// Random, of one segment file.
using SegmentId = std::array<std::uint8_t, 16>;

struct BaseBegin {
  SegmentId segment;
  std::uint64_t entries;     // of the segment, as the control plane knows it
  std::uint32_t dictionary;  // number of kBaseAdjacency that follow
  std::uint32_t number;      // counts the control plane's bases up; for people
};
struct BaseAdjacency {
  std::uint32_t position;  // in the dictionary: 0, 1, 2, ... in order
  std::uint32_t handle;    // of this epoch, or kNoIndex: who is there cannot be reached
};
struct BaseRef {  // kBaseCommit
  SegmentId segment;
};

// Why a segment is not taken.
#define SLUICE_BASE_REFUSALS(X)                                                    \
  X(kUnreadable, "unreadable", "the file cannot be read")                          \
  X(kTruncated, "truncated", "the file ends before its content does")              \
  X(kForeign, "foreign", "the file is no base segment, or of another version")     \
  X(kOtherKey, "other_key", "the segment was built under another hash key")        \
  X(kOtherSegment, "other_segment", "the file holds another segment than offered") \
  X(kDamaged, "damaged", "a checksum or a field of the segment is wrong")          \
  X(kNoMemory, "no_memory", "no memory for the segment")                           \
  X(kSuperseded, "superseded", "another segment was offered meanwhile")            \
  X(kNoHashKey, "no_hash_key", "the dataplane has no hash key yet")

enum class BaseRefusal : std::uint8_t {
  kNone = 0,
#define SLUICE_X(name, label, text) name,
  SLUICE_BASE_REFUSALS(SLUICE_X)
#undef SLUICE_X
      kCount
};

struct BaseRefusalInfo {
  std::string_view label;
  std::string_view text;
};
constexpr BaseRefusalInfo info(BaseRefusal reason) noexcept {
  switch (reason) {
#define SLUICE_X(name, label, text) \
  case BaseRefusal::name:           \
    return {label, text};
    SLUICE_BASE_REFUSALS(SLUICE_X)
#undef SLUICE_X
    default:
      return {"none", ""};
  }
}

struct BaseLoaded {
  SegmentId segment;
  std::uint64_t bytes;    // of memory that it takes
  std::uint64_t load_ns;  // from the offer on
  std::uint8_t huge;      // 1: in huge pages
};
struct BaseDone {
  SegmentId segment;
  std::uint64_t pruned;  // entries that the delta has forgotten
  std::uint64_t delta;   // entries that it still has
};
struct BaseRefused {
  SegmentId segment;
  std::uint64_t offset;  // in the file, of what is wrong; 0: of all of it
  BaseRefusal reason;
};

// The packet on the socket; exactly one descriptor comes with it.
inline constexpr std::uint64_t kBaseOfferMagic = 0x315341424c53ULL;  // "SLBAS1"
struct BaseOffer {
  std::uint64_t magic;
  SegmentId segment;
};
static_assert(sizeof(BaseOffer) == 24);
static_assert(sizeof(BaseBegin) == 32 && sizeof(BaseAdjacency) == 8);
static_assert(sizeof(BaseLoaded) == 40 && sizeof(BaseDone) == 32 && sizeof(BaseRefused) == 32);

}  // namespace sluice::link
