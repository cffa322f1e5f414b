#include "tests/simulation/truth.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace sluice::simulation {

using membership::EventKind;

Truth::Truth(std::size_t nodes)
    : nodes_(nodes),
      running_(nodes),
      sees_(nodes * nodes),
      dead_incarnation_(nodes * nodes),
      watchers_(nodes),
      detected_ms_(nodes),
      gone_ms_(nodes),
      verdicts_by_(nodes),
      verdicts_about_(nodes) {}

// The part of wrong_ that one observer's row makes up.
void Truth::count_row(std::uint32_t observer, bool add) {
  for (std::uint32_t subject = 0; subject < nodes_; ++subject) {
    const bool seen = sees_[at(observer, subject)] != 0;
    if (seen) watchers_[subject] += add ? 1u : -1u;
    if (seen != (running_[subject] != 0)) wrong_ += add ? 1u : -1ull;
  }
}

void Truth::started(std::uint32_t node) {
  // In everybody's view that does not see it yet this is a difference from now on.
  for (std::uint32_t observer = 0; observer < nodes_; ++observer)
    if (running_[observer] != 0) wrong_ += sees_[at(observer, node)] != 0 ? -1ull : 1u;
  running_[node] = 1;
  ++running_count_;
  const auto row = static_cast<std::ptrdiff_t>(at(node, 0));
  std::fill_n(sees_.begin() + row, nodes_, std::uint8_t{0});
  std::fill_n(dead_incarnation_.begin() + row, nodes_, 0u);
  sees_[at(node, node)] = 1;
  detected_ms_[node] = 0;
  gone_ms_[node] = 0;
  count_row(node, true);
}

void Truth::stopped(std::uint32_t node) {
  if (running_[node] == 0) return;
  count_row(node, false);
  running_[node] = 0;
  --running_count_;
  for (std::uint32_t observer = 0; observer < nodes_; ++observer)
    if (running_[observer] != 0) wrong_ += sees_[at(observer, node)] != 0 ? 1u : -1ull;
}

void Truth::believe(std::uint32_t observer, std::uint32_t subject, bool alive) {
  std::uint8_t& seen = sees_[at(observer, subject)];
  if ((seen != 0) == alive) return;
  seen = alive ? 1 : 0;
  if (running_[observer] == 0) return;
  watchers_[subject] += alive ? 1u : -1u;
  wrong_ += alive == (running_[subject] != 0) ? -1ull : 1u;
}

void Truth::event(std::uint32_t observer, std::uint32_t subject, const membership::Event& event,
                  bool own_verdict, std::uint64_t now_ms) {
  const bool alive = running_[subject] != 0;
  switch (event.kind) {
    case EventKind::kJoined: {
      const std::uint32_t buried = dead_incarnation_[at(observer, subject)];
      if (buried != 0 && event.incarnation <= buried) {
        ++counts_.resurrections;
        if (breach_.empty())
          breach_ = fmt::format("{} ms: {} takes {} back from incarnation {} with {}", now_ms,
                                observer, subject, buried, event.incarnation);
      }
      believe(observer, subject, true);
      break;
    }
    case EventKind::kFailed:
    case EventKind::kLeft: {
      dead_incarnation_[at(observer, subject)] = event.incarnation;
      const bool was = sees(observer, subject);
      believe(observer, subject, false);
      if (!alive) {
        if (detected_ms_[subject] == 0) detected_ms_[subject] = now_ms;
        if (watchers_[subject] == 0 && gone_ms_[subject] == 0) gone_ms_[subject] = now_ms;
        break;
      }
      if (!was) break;
      if (own_verdict) {
        ++counts_.false_verdicts;
        ++verdicts_by_[observer];
        ++verdicts_about_[subject];
      }
      if (event.kind == EventKind::kLeft) {
        ++counts_.false_leaves;
        break;
      }
      ++counts_.false_views;
      break;
    }
    case EventKind::kConflict:
      ++counts_.conflicts;
      break;
    default:
      break;
  }
}

void Truth::reset_counts() {
  counts_ = {};
  std::ranges::fill(verdicts_by_, 0u);
  std::ranges::fill(verdicts_about_, 0u);
}

}  // namespace sluice::simulation
