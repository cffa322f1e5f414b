// How many lines of each cause may be logged: what happens in a cluster is partly up to strangers,
// who must not be able to fill a disk. What is left out is counted, and told with the next line of
// the cause or, when none comes, by a line of its own. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "controlplane/membership/output.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/rate_limit.hpp"

namespace sluice::membership {

// Every kind of event is a cause, and so are these.
enum class LogCause : std::uint8_t {
  kPeer = static_cast<std::uint8_t>(EventKind::kUser) + 1,  // what a peer or the network did
  kKeys,                                                    // orders about keys
  kOwn,                                                     // ourselves: files that fail
  kCount,
};

class LogLimits {
 public:
  static constexpr std::size_t kCauses = static_cast<std::size_t>(LogCause::kCount);

  // Whether a line may be logged now. If so, how many of its cause were left out before it.
  struct Verdict {
    bool allowed;
    std::uint64_t suppressed;
  };
  Verdict ask(std::size_t cause, std::uint64_t now_ns) noexcept {
    Cause& c = causes_[cause];
    if (c.limit.allow(now_ns)) return {true, std::exchange(c.suppressed, 0)};
    ++c.suppressed;
    return {false, 0};
  }
  Verdict ask(EventKind kind, std::uint64_t now_ns) noexcept {
    return ask(static_cast<std::size_t>(kind), now_ns);
  }

  // Calls tell(cause's name, lines) for what was left out and not told yet.
  template <class Tell>
  void flush(Tell&& tell) {
    for (std::size_t i = 0; i < kCauses; ++i) {
      if (const auto lines = std::exchange(causes_[i].suppressed, 0); lines > 0) {
        tell(name(i), lines);
      }
    }
  }

  static constexpr std::string_view name(std::size_t cause) noexcept {
    constexpr std::string_view kOthers[]{"peer", "keys", "own"};
    const auto others = static_cast<std::size_t>(LogCause::kPeer);
    return cause < others ? to_string(static_cast<EventKind>(cause)) : kOthers[cause - others];
  }

 private:
  struct Cause {
    // Many members may come or go in one moment, and each is worth a line.
    RateLimit limit{200, kNsPerSecond / 10};
    std::uint64_t suppressed = 0;
  };
  struct Causes : std::array<Cause, kCauses> {
    Causes() noexcept {
      // These say nothing new the second time, and a stranger can bring them about at will.
      for (const auto kind : {EventKind::kConflict, EventKind::kRefuted, EventKind::kJoinFailed}) {
        (*this)[static_cast<std::size_t>(kind)].limit = RateLimit(10, kNsPerSecond);
      }
      for (auto i = static_cast<std::size_t>(LogCause::kPeer); i < kCauses; ++i)
        (*this)[i].limit = RateLimit(10, kNsPerSecond);
    }
  };

  Causes causes_;
};

}  // namespace sluice::membership
