// Gathers the figures of an open index. Any thread; takes the locks of the engine for moments,
// never while a file is read or written.
#pragma once

#include "controlplane/store/care/migrator.hpp"
#include "controlplane/store/compaction/compactor.hpp"
#include "controlplane/store/core.hpp"
#include "controlplane/store/index_metrics.hpp"

namespace sluice::controlplane::store {

IndexMetrics collect_metrics(Core& core, const Compactor& compactor, const Migrator& migrator);

}  // namespace sluice::controlplane::store
