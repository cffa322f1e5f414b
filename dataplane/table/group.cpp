#include "dataplane/table/group.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <numeric>

namespace sluice::dataplane {

namespace {

constexpr std::uint32_t kInverseUnit = 1u << 20;
// Fractions of a power of two, in 1/2^32: log2(1 + i/256). Linear in between; off by less than
// 2^-18, so a member's share of keys is off by less than one in ten thousand.
constexpr std::size_t kLogSteps = 256;
using LogTable = std::array<std::uint64_t, kLogSteps + 1>;

LogTable make_log_table() {
  LogTable table{};
  for (std::size_t i = 0; i <= kLogSteps; ++i)
    table[i] = static_cast<std::uint64_t>(
        std::llround(std::log2(1.0 + static_cast<double>(i) / kLogSteps) * 4294967296.0));
  return table;
}

const LogTable kLog = make_log_table();

std::uint64_t load_half(const Id& id, std::size_t at) noexcept {
  std::uint64_t half = 0;
  for (std::size_t i = 0; i < 8; ++i)
    half = half << 8 | id.bytes[at + i];
  return half;
}

// How often each member is served in one turn: weights without their common divisor, scaled down
// when the turn would be too long, never to nothing.
std::vector<std::uint32_t> shares(std::span<const GroupMember> members) {
  std::uint32_t divisor = 0;
  for (const GroupMember& member : members)
    divisor = std::gcd(divisor, std::uint32_t{member.weight});
  std::vector<std::uint32_t> result;
  std::uint64_t sum = 0;
  for (const GroupMember& member : members) {
    result.push_back(member.weight / divisor);
    sum += result.back();
  }
  if (sum <= Group::kMaxTurn) return result;
  for (std::uint32_t& share : result)
    share = static_cast<std::uint32_t>(
        std::max<std::uint64_t>(1, share * (Group::kMaxTurn - kMaxGroupMembers) / sum));
  return result;
}

// Smooth weighted round robin (as nginx does it): in each step everyone gains its share, the
// richest is served and pays the sum. Spreads each member's steps evenly over the turn.
std::vector<std::uint8_t> make_turn(const std::vector<std::uint32_t>& shares) {
  const std::int64_t sum = std::accumulate(shares.begin(), shares.end(), std::int64_t{0});
  std::vector<std::int64_t> credit(shares.size(), 0);
  std::vector<std::uint8_t> turn;
  turn.reserve(static_cast<std::size_t>(sum));
  for (std::int64_t step = 0; step < sum; ++step) {
    for (std::size_t i = 0; i < shares.size(); ++i)
      credit[i] += shares[i];
    const auto richest = std::ranges::max_element(credit);
    *richest -= sum;
    turn.push_back(static_cast<std::uint8_t>(richest - credit.begin()));
  }
  return turn;
}

}  // namespace

Group::Group(const Id& capability, GroupPolicy policy, std::span<const GroupMember> members)
    : capability_(capability), policy_(policy), members_(members.begin(), members.end()) {
  assert(members.size() <= kMaxGroupMembers);
  equal_weights_ = std::ranges::all_of(
      members_, [&](const GroupMember& m) { return m.weight == members_.front().weight; });
  for (const GroupMember& member : members_) {
    assert(member.weight >= 1 && member.weight <= kMaxWeight);
    seeds_.push_back(mix(load_half(member.id, 0)) ^ load_half(member.id, 8));
    inverses_.push_back(kInverseUnit / member.weight);
  }
  turn_ = make_turn(shares(members_));
}

// -log2 of (hash + 1) / 2^64 in units of 2^-32: 0 to 64 * 2^32, so times an inverse it stays below
// 2^59. Integers only, so that every router of a cluster comes to the same result.
std::uint64_t Group::minus_log2(std::uint64_t hash) noexcept {
  if (hash == UINT64_MAX) return 0;
  const std::uint64_t value = hash + 1;
  const int whole = 63 - std::countl_zero(value);
  const std::uint64_t fraction = value << (63 - whole) << 1;  // below the leading one
  const std::size_t step = fraction >> 56;
  const std::uint64_t rest = fraction >> 24 & 0xffffffff;
  const std::uint64_t log = (static_cast<std::uint64_t>(whole) << 32) + kLog[step] +
                            ((kLog[step + 1] - kLog[step]) * rest >> 32);
  return (std::uint64_t{64} << 32) - log;
}

}  // namespace sluice::dataplane
