// One golden row: what is set up, what comes in, and everything that must come out: places and
// exact bytes, every counter, no buffer lost. Rows are plain values made by the *_rows.cpp files.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "tests/golden/world.hpp"

namespace sluice::golden {

struct Row {
  std::string name;
  std::function<void(World&)> set_up;  // tables and state; may be empty
  std::uint16_t port = 0;              // where the frames come in
  std::vector<Bytes> frames;
  std::function<void(World&)> input = {};  // instead of receiving `frames`
  std::vector<Output> expected;
  std::string counters;  // as World::counters(), all of them
};

void PrintTo(const Row& row, std::ostream* out);  // for gtest

std::vector<Row> forward_rows();
std::vector<Row> malformed_rows();
std::vector<Row> verdict_rows();
std::vector<Row> group_rows();
std::vector<Row> base_rows();

// The usual sender and receivers.
inline constexpr Host kSender{0, Family::kIpv4, 1};
inline constexpr Host kReceiver{1, Family::kIpv4, 1};
inline constexpr Host kPeer{kTrunk, Family::kIpv4, 1};

// "0.frames=1 0.messages=1 0.<what>=1".
std::string dropped(std::string_view what, std::uint16_t port = 0);
std::string forwarded_counters(std::uint16_t from, std::uint16_t to);
// The notice that the sender of `arrived` gets.
Packet notice_for(const Packet& arrived, NoticeReason reason, std::uint64_t now_ns = kNowNs);

}  // namespace sluice::golden
