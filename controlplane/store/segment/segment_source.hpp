// The entries of a segment in order, for merging and reading through. Checks blocks as it comes to
// them, the order of entries and, when it reads from the start, their number. One thread; keeps the
// segment alive.
#pragma once

#include <memory>

#include "controlplane/store/segment/segment.hpp"

namespace sluice::controlplane::store {

class SegmentSource final : public EntrySource {
 public:
  SegmentSource(std::shared_ptr<const Segment> segment, std::uint64_t from_lo);

  Result<bool> next(Entry& entry) override;

 private:
  bool in_order(const Entry& entry) const noexcept;
  Result<bool> stop();

  std::shared_ptr<const Segment> segment_;
  EntryReader reader_;
  std::uint64_t from_lo_;
  std::uint64_t left_;  // entries; from the start only
  bool from_start_;
  bool any_ = false;
  bool ended_ = false;
  Hash128 last_hash_;
  std::uint64_t last_sequence_ = 0;
};

}  // namespace sluice::controlplane::store
