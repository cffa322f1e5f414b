// The instruction sets that tests can run on this CPU; those that it lacks are named on standard
// error.
#pragma once

#include <iostream>
#include <vector>

#include "sluice/hash/isa.hpp"

namespace sluice {

inline std::vector<Isa> isas_of_this_cpu() {
  std::vector<Isa> isas;
  for (const Isa isa : kAllIsas) {
    if (has_isa(isa)) {
      isas.push_back(isa);
    } else {
      std::cerr << "not tested: this CPU has no " << to_string(isa) << '\n';
    }
  }
  return isas;
}

}  // namespace sluice
