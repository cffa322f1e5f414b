#include "dataplane/table/base_table.hpp"

#include <algorithm>
#include <cassert>

namespace sluice::dataplane {

Result<std::unique_ptr<const BaseTable>> BaseTable::create(std::shared_ptr<LoadedBase> loaded,
                                                           std::span<const std::uint32_t> slots,
                                                           std::uint32_t number, std::uint8_t epoch,
                                                           int numa_node) {
  assert(slots.size() == loaded->view.dictionary_size());
  auto low_bits =
      NodeArray<std::uint32_t>::create(std::max<std::size_t>(slots.size(), 1), numa_node);
  if (!low_bits) return fail(std::move(low_bits.error()), "dictionary of a base segment");
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const bool known = slots[i] != kNoIndex;
    const Action to(known ? ActionKind::kAdjacency : ActionKind::kUnreachable, known ? slots[i] : 0,
                    0, 0, 0);
    (*low_bits)[i] = static_cast<std::uint32_t>(to.bits());
  }
  std::unique_ptr<BaseTable> table(new BaseTable(std::move(loaded), std::move(*low_bits)));
  table->slots_.assign(slots.begin(), slots.end());
  table->number_ = number;
  table->epoch_ = epoch;
  return table;
}

}  // namespace sluice::dataplane
