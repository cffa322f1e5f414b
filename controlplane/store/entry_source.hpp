// Entries one after another in the order of hash_order.hpp: a segment's file, a sealed overlay, a
// merge of several. One thread at a time.
#pragma once

#include "controlplane/store/entry.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

class EntrySource {
 public:
  virtual ~EntrySource() = default;
  // False at the end. The entry's spans are valid until the next call. After an error the source is
  // at its end; what it gave before was good.
  virtual Result<bool> next(Entry& entry) = 0;
};

}  // namespace sluice::controlplane::store
