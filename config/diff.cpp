// What changed between two configurations, key by key of the table.
#include <fmt/format.h>

#include <algorithm>

#include "config/table.hpp"

namespace sluice::config {
namespace {

// What may change only at the start of the process that a section or list belongs to.
struct Walk {
  std::vector<Difference>& out;
  std::string_view restart;

  void add(const Path& path, Change change) const {
    out.push_back(
        {to_string(path), change, change == Change::kBoot ? std::string(restart) : std::string()});
  }
};

template <class S, class Keys>
void compare(const Walk& walk, const Path& path, const Keys& keys, const S& before, const S& after);

template <class S, class T>
void compare_entry(const Walk& walk, const Path& path, const Key<S, T>& key, const S& before,
                   const S& after) {
  if (before.*key.member != after.*key.member) walk.add(path, key.rule.change);
}

template <class S, class T, class Keys>
void compare_entry(const Walk& walk, const Path& path, const Section<S, T, Keys>& section,
                   const S& before, const S& after) {
  compare(Walk{walk.out, section.restart}, path, section.keys, before.*section.member,
          after.*section.member);
}

template <class S, class T, class Keys>
void compare_entry(const Walk& walk, const Path& path, const List<S, T, Keys>& list,
                   const S& before, const S& after) {
  const auto& old_items = before.*list.member;
  const auto& new_items = after.*list.member;
  const Walk inner{walk.out, list.restart};
  if (list.change == Change::kLive || old_items.size() != new_items.size()) {
    if (old_items != new_items) inner.add(path, list.change);
    return;
  }
  for (std::size_t i = 0; i < old_items.size(); ++i) {
    compare(inner, path.at(i), list.keys, old_items[i], new_items[i]);
  }
}

template <class S, class Keys>
void compare(const Walk& walk, const Path& path, const Keys& keys, const S& before,
             const S& after) {
  for_each(keys, [&](const auto& entry) {
    compare_entry(walk, path.in(entry.name), entry, before, after);
  });
}

}  // namespace

std::vector<Difference> diff(const Config& before, const Config& after) {
  std::vector<Difference> out;
  compare(Walk{out, {}}, Path{}, kConfigKeys, before, after);
  // The name may be the same and the file another one.
  if (before.agents_file == after.agents_file && before.file_agents != after.file_agents) {
    out.push_back({"agents-file", Change::kLive, {}});
  }
  return out;
}

Status check_reload(const Config& before, const Config& after) {
  std::string text;
  for (const Difference& difference : diff(before, after)) {
    if (difference.change == Change::kLive) continue;
    if (!text.empty()) text += '\n';
    text +=
        fmt::format("{} can only change at start; restart {}", difference.key, difference.restart);
  }
  if (text.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, std::move(text), ErrorOrigin::kConfig);
}

}  // namespace sluice::config
