// Asking all routers whom they miss, before a step that would lock those out (key_survey.hpp).
#include <fmt/format.h>

#include <thread>

#include "controlplane/membership/membership_impl.hpp"
#include "sluice/base/random.hpp"

namespace sluice::membership {
namespace {

constexpr auto kSurveyTime = std::chrono::seconds(3);
constexpr auto kAskEvery = std::chrono::milliseconds(500);
constexpr auto kLookEvery = std::chrono::milliseconds(20);

}  // namespace

void Membership::Impl::begin_survey() {
  std::map<std::string, Endpoint, std::less<>> asked;
  const auto view = driver->view();
  for (const auto slot : view.members.ring()) {
    if (slot == view.self || !view.members[slot].reachable()) continue;
    const auto tags = decode_tags(view.members.meta(slot));
    if (find_tag(tags, kKeysTag).empty()) continue;
    asked.emplace(view.members.name(slot), view.members[slot].address);
  }
  survey.emplace(load<std::uint64_t>(random_bytes<8>().data()), std::move(asked));
  ask_unanswered();
}

void Membership::Impl::ask_unanswered() {
  const auto question = encode_away_question(survey->number());
  const auto asked = survey->unanswered();  // a copy: answers may come while we send
  for (const auto& [name, address] : asked)
    driver->send_user_to(address, question);
}

// By the caller's thread, which waits.
Result<std::size_t> Membership::Impl::ask_who_is_away() {
  const std::lock_guard one(one_survey);
  on_thread([this] { begin_survey(); });
  const auto end = std::chrono::steady_clock::now() + kSurveyTime;
  auto again = std::chrono::steady_clock::now() + kAskEvery;
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    const bool ask = now >= again;
    if (ask) again = now + kAskEvery;
    const bool done = on_thread([&] {
      if (ask) ask_unanswered();
      return survey->unanswered().empty();
    });
    if (done || now >= end) break;
    std::this_thread::sleep_for(kLookEvery);
  }
  return on_thread([this]() -> Result<std::size_t> {
    const auto result = *std::exchange(survey, std::nullopt);
    if (result.unanswered().empty()) return result.most_away();
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} of the routers, {} first, did not say whether they miss anybody; "
                            "try again, or see to them and repeat this with --others-done",
                            result.unanswered().size(), result.unanswered().begin()->first));
  });
}

}  // namespace sluice::membership
