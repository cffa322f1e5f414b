// Before a key is used or removed everywhere, all routers are asked how many members they know that
// are away and may come back: one that joined lately does not know whom the others miss, and would
// lock them out. Question and answer are user messages from one router to another. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/membership/messages.hpp"
#include "sluice/base/bytes.hpp"

namespace sluice::membership {

inline Bytes encode_away_question(std::uint64_t number) {
  Bytes out(1 + sizeof number);
  out[0] = kAwayQuestion;
  store(out.data() + 1, number);
  return out;
}
inline std::optional<std::uint64_t> decode_away_question(ByteView data) {
  if (data.size() != 1 + sizeof(std::uint64_t) || data[0] != kAwayQuestion) return std::nullopt;
  return load<std::uint64_t>(data.data() + 1);
}

struct AwayAnswer {
  std::uint64_t number = 0;  // of the question
  std::uint32_t away = 0;
  std::string_view name;  // who answers
};
inline Bytes encode_away_answer(const AwayAnswer& answer) {
  Bytes out(1 + sizeof answer.number + sizeof answer.away);
  out[0] = kAwayAnswer;
  store(out.data() + 1, answer.number);
  store(out.data() + 1 + sizeof answer.number, answer.away);
  out.insert(out.end(), answer.name.begin(), answer.name.end());
  return out;
}
// The name points into `data`.
inline std::optional<AwayAnswer> decode_away_answer(ByteView data) {
  constexpr std::size_t kHead = 1 + sizeof(std::uint64_t) + sizeof(std::uint32_t);
  if (data.size() < kHead || data[0] != kAwayAnswer) return std::nullopt;
  const ByteView name = data.subspan(kHead);
  return AwayAnswer{load<std::uint64_t>(data.data() + 1),
                    load<std::uint32_t>(data.data() + 1 + sizeof(std::uint64_t)),
                    {reinterpret_cast<const char*>(name.data()), name.size()}};
}

class KeySurvey {
 public:
  // `number`: hard to guess, so that only who was asked can answer.
  KeySurvey(std::uint64_t number, std::map<std::string, Endpoint, std::less<>> asked)
      : number_(number), unanswered_(std::move(asked)) {}

  std::uint64_t number() const noexcept { return number_; }
  const std::map<std::string, Endpoint, std::less<>>& unanswered() const noexcept {
    return unanswered_;
  }
  std::uint32_t most_away() const noexcept { return most_away_; }

  void take(const AwayAnswer& answer) {
    if (answer.number != number_) return;
    const auto who = unanswered_.find(answer.name);
    if (who == unanswered_.end()) return;
    most_away_ = std::max(most_away_, answer.away);
    unanswered_.erase(who);
  }

 private:
  std::uint64_t number_;
  std::map<std::string, Endpoint, std::less<>> unanswered_;
  std::uint32_t most_away_ = 0;
};

}  // namespace sluice::membership
