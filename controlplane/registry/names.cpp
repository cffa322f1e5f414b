#include "controlplane/registry/names.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace sluice::controlplane {

namespace {

constexpr std::size_t kMaxBytes = 255;

// One bit for each kind of character that occurs: names further apart in this than twice the limit
// cannot be within it.
std::uint64_t letters_of(std::string_view name) {
  std::uint64_t letters = 0;
  for (const char c : name)
    letters |= std::uint64_t{1} << (static_cast<unsigned char>(c) & 63);
  return letters;
}

}  // namespace

unsigned edit_distance(std::string_view a, std::string_view b, unsigned limit) {
  const unsigned too_far = limit + 1;
  if (a.size() > kMaxBytes || b.size() > kMaxBytes) return too_far;
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > limit) return too_far;
  // Three rows of the table of optimal string alignment.
  std::array<std::array<unsigned, kMaxBytes + 1>, 3> rows;
  for (std::size_t j = 0; j <= b.size(); ++j)
    rows[0][j] = static_cast<unsigned>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = static_cast<unsigned>(i);
    unsigned least = row[0];
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const unsigned replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], two_above[j - 2] + 1);
      }
      least = std::min(least, row[j]);
    }
    if (least > limit) return too_far;
  }
  return std::min(rows[a.size() % 3][b.size()], too_far);
}

NearNames::NearNames(std::string wanted)
    : wanted_(std::move(wanted)),
      letters_(letters_of(wanted_)),
      limit_(static_cast<unsigned>(std::clamp<std::size_t>(wanted_.size() / 6, 1, 3))) {}

void NearNames::offer(std::string_view candidate) {
  if (candidate.empty()) return;
  const auto apart = static_cast<unsigned>(std::popcount(letters_ ^ letters_of(candidate)));
  if (apart > 2 * limit_) return;
  const unsigned distance = edit_distance(wanted_, candidate, limit_);
  if (distance > limit_) return;
  const auto at = std::ranges::upper_bound(best_, distance, {}, &Near::distance);
  best_.insert(at, {distance, std::string(candidate)});
  if (best_.size() > kMaxNames) best_.pop_back();
}

std::vector<std::string> NearNames::names() const {
  std::vector<std::string> names;
  for (const auto& near : best_)
    names.push_back(near.name);
  return names;
}

std::string did_you_mean(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string text = "; did you mean ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += "'" + names[i] + "'";
  }
  return text + "?";
}

}  // namespace sluice::controlplane
