// What a Snapshot holds: a version of the index whose overlays are sealed. Immutable, so any thread
// may read it; its segments stay on disk for as long as it lives.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/store/snapshot.hpp"
#include "controlplane/store/table_spec.hpp"
#include "controlplane/store/version.hpp"

namespace sluice::controlplane::store {

class Snapshot::State {
 public:
  // Its active overlays are empty (Core::sealed_version) and are not looked at.
  std::shared_ptr<const Version> version;
  std::uint64_t sequence = 0;
  std::vector<TableSpec> tables;
};

}  // namespace sluice::controlplane::store
