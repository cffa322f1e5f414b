// What is really so, what every member believes, and the difference: kept up to date with each
// event of a core, so that asking costs nothing. Also watches that nobody dead comes back without a
// higher incarnation, and counts false alarms. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/membership/output.hpp"

namespace sluice::simulation {

class Truth {
 public:
  explicit Truth(std::size_t nodes);

  // A process begins or ends; whoever begins knows itself only.
  void started(std::uint32_t node);
  void stopped(std::uint32_t node);
  bool running(std::uint32_t node) const noexcept { return running_[node] != 0; }
  std::size_t running_count() const noexcept { return running_count_; }

  // own_verdict: the observer itself declared the subject dead, it did not only hear so.
  void event(std::uint32_t observer, std::uint32_t subject, const membership::Event& event,
             bool own_verdict, std::uint64_t now_ms);

  // Pairs of running observer and anybody where the belief is wrong. 0: all views agree with what
  // is.
  std::uint64_t wrong() const noexcept { return wrong_; }
  bool sees(std::uint32_t observer, std::uint32_t subject) const noexcept {
    return sees_[at(observer, subject)] != 0;
  }
  std::size_t watchers(std::uint32_t subject) const noexcept { return watchers_[subject]; }

  struct Counts {
    std::uint64_t false_verdicts = 0;  // an observer declared a running process dead
    std::uint64_t false_views = 0;     // a running process left somebody's view as failed
    std::uint64_t false_leaves = 0;    // ... as having left
    std::uint64_t resurrections = 0;   // came back without a higher incarnation: must stay 0
    std::uint64_t conflicts = 0;
  };
  const Counts& counts() const noexcept { return counts_; }
  std::uint64_t false_verdicts_of(std::uint32_t observer) const noexcept {
    return verdicts_by_[observer];
  }
  std::uint64_t false_verdicts_about(std::uint32_t subject) const noexcept {
    return verdicts_about_[subject];
  }
  void reset_counts();
  // When somebody first declared this one dead after it stopped; 0 not yet.
  std::uint64_t detected_ms(std::uint32_t node) const noexcept { return detected_ms_[node]; }
  // When the last view lost it; 0 not yet.
  std::uint64_t gone_ms(std::uint32_t node) const noexcept { return gone_ms_[node]; }
  // The first breach of an invariant, for people; empty: none.
  const std::string& breach() const noexcept { return breach_; }

 private:
  std::size_t at(std::uint32_t observer, std::uint32_t subject) const noexcept {
    return static_cast<std::size_t>(observer) * nodes_ + subject;
  }
  void believe(std::uint32_t observer, std::uint32_t subject, bool alive);
  void count_row(std::uint32_t observer, bool add);

  std::size_t nodes_;
  std::size_t running_count_ = 0;
  std::vector<std::uint8_t> running_;
  std::vector<std::uint8_t> sees_;
  std::vector<std::uint32_t> dead_incarnation_;  // at which the observer last buried the subject
  std::vector<std::uint32_t> watchers_;          // running observers that see the subject
  std::vector<std::uint64_t> detected_ms_;
  std::vector<std::uint64_t> gone_ms_;
  std::vector<std::uint64_t> verdicts_by_;
  std::vector<std::uint64_t> verdicts_about_;
  std::uint64_t wrong_ = 0;
  Counts counts_;
  std::string breach_;
};

}  // namespace sluice::simulation
