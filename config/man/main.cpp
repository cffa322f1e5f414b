// Prints sluice.yaml(5); run by the build.
#include <cstdio>

#include "config/config.hpp"

int main() {
  const std::string page = sluice::config::man_page();
  return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() ? 0 : 1;
}
