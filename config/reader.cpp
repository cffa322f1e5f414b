#include "config/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "config/table.hpp"

namespace sluice::config {
namespace {

// Edit distance with transpositions (Damerau-Levenshtein, restricted); keys are short.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

// The key that was probably meant; empty when none is near.
std::string_view nearest(std::string_view name, const std::vector<std::string_view>& known) {
  constexpr std::size_t kLongestKey = 40;
  if (name.size() > kLongestKey) return {};
  std::string folded(name);
  for (char& c : folded) {
    if (c == '_') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  std::string_view best;
  std::size_t least = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const auto key : known) {
    const std::size_t d = distance(folded, key);
    if (d < least) {
      least = d;
      best = key;
    }
  }
  return best;
}

template <class Keys>
void refuse_unknown(const Path& path, Report& report, const Node& map, const Keys& keys) {
  std::vector<std::string_view> known;
  for_each(keys, [&](const auto& entry) { known.push_back(entry.name); });
  for (const Node& child : map.children) {
    if (child.duplicate) continue;  // already reported as that
    if (std::find(known.begin(), known.end(), child.key) != known.end()) continue;
    const auto meant = nearest(child.key, known);
    const std::string hint = meant.empty() ? fmt::format("known here: {}", fmt::join(known, ", "))
                                           : fmt::format("did you mean '{}'?", meant);
    const std::string name = quoted(child.key);
    const std::string_view bare = std::string_view(name).substr(1, name.size() - 2);
    report.add(child.key_mark, path.in(bare), fmt::format("unknown key; {}", hint));
  }
}

template <class S, class Keys>
void read_map(const Path& path, Report& report, const Node& node, const Keys& keys, S& out);

template <class S, class T>
void read_entry(const Path& path, Report& report, const Node* node, const Key<S, T>& key, S& out) {
  if (node != nullptr) read(Place{path, report}, *node, key.rule, out.*key.member);
}

template <class S, class T, class Keys>
void read_entry(const Path& path, Report& report, const Node* node,
                const Section<S, T, Keys>& section, S& out) {
  // A section that is left out is read as an empty one, so that its required keys are missed.
  static const Node kNothing;
  read_map(path, report, node != nullptr ? *node : kNothing, section.keys, out.*section.member);
}

template <class S, class T, class Keys>
void read_entry(const Path& path, Report& report, const Node* node, const List<S, T, Keys>& list,
                S& out) {
  if (node == nullptr) return;
  if (!node->is_list() && !node->is_null()) {
    report.add(node->mark, path,
               fmt::format("must be a list, one map each; here is {}", to_string(node->kind)));
    return;
  }
  if (list.required && node->children.empty()) {
    report.add(node->mark, path, "is empty; at least one is needed");
  }
  auto& items = out.*list.member;
  items.resize(node->children.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    read_map(path.at(i), report, node->children[i], list.keys, items[i]);
  }
}

template <class S, class T>
std::string missing(const Key<S, T>& key) {
  return key.rule.required ? "is missing; must be " + allowed(key.rule, T{}) : std::string();
}
template <class S, class T, class Keys>
std::string missing(const Section<S, T, Keys>&) {
  return {};
}
template <class S, class T, class Keys>
std::string missing(const List<S, T, Keys>& list) {
  return list.required ? "is missing; at least one is needed" : std::string();
}

template <class S, class Keys>
void read_map(const Path& path, Report& report, const Node& node, const Keys& keys, S& out) {
  if (!node.is_map() && !node.is_null()) {
    report.add(node.mark, path,
               fmt::format("must be a map of keys; here is {}", to_string(node.kind)));
    return;
  }
  for_each(keys, [&](const auto& entry) {
    const Node* child = node.find(entry.name);
    if (child == nullptr) {
      if (const auto what = missing(entry); !what.empty()) {
        report.add(node.mark, path.in(entry.name), what);
      }
    }
    read_entry(path.in(entry.name), report, child, entry, out);
  });
  refuse_unknown(path, report, node, keys);
}

}  // namespace

void read_config(const Node& document, Report& report, Config& config) {
  read_map(Path{}, report, document, kConfigKeys, config);
}

Mark mark_of(const Node& document, const Steps& steps) {
  const Node* node = &document;
  Mark mark = document.mark;
  for (const Step& step : steps) {
    const Node* child = nullptr;
    if (step.index == Path::kNoIndex) {
      child = node->find(step.name);
    } else if (step.index < node->children.size()) {
      child = &node->children[step.index];
    }
    if (child == nullptr) break;
    node = child;
    mark = child->mark;
  }
  return mark;
}

const Node* node_of(const Node& document, const Steps& steps) {
  const Node* node = &document;
  for (const Step& step : steps) {
    if (step.index == Path::kNoIndex) {
      node = node->find(step.name);
      if (node == nullptr) return nullptr;
    } else {
      if (step.index >= node->children.size()) return nullptr;
      node = &node->children[step.index];
    }
  }
  return node;
}

bool is_given(const Node& document, const Steps& steps) {
  const Node* node = node_of(document, steps);
  return node != nullptr && !node->is_null();
}

std::string text_of(const Steps& steps) {
  std::string text;
  for (const Step& step : steps) {
    if (step.index != Path::kNoIndex) {
      text += fmt::format("[{}]", step.index);
    } else {
      if (!text.empty()) text += '.';
      text += step.name;
    }
  }
  return text;
}

}  // namespace sluice::config
