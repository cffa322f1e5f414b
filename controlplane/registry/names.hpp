// Near names for a name that nobody has: "did you mean". Bounded in work per candidate and in
// pieces, so that a million names can be searched without holding up anyone. Any thread; a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::controlplane {

// Edit distance (insert, delete, replace, swap of neighbours) of two names, or limit + 1 when it is
// more than `limit`.
unsigned edit_distance(std::string_view a, std::string_view b, unsigned limit);

class NearNames {
 public:
  static constexpr std::size_t kMaxNames = 3;

  explicit NearNames(std::string wanted);
  void offer(std::string_view candidate);
  // Best first.
  std::vector<std::string> names() const;

 private:
  struct Near {
    unsigned distance;
    std::string name;
  };

  std::string wanted_;
  std::uint64_t letters_;
  unsigned limit_;
  std::vector<Near> best_;
};

// "; did you mean 'a' or 'b'?", or nothing.
std::string did_you_mean(const std::vector<std::string>& names);

}  // namespace sluice::controlplane
