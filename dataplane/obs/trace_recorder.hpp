// Records what happens to single messages for `sluice trace`: up to one burst of them at a time,
// each handed to the manager thread through a ring when it is done. One per worker, that worker
// only. Nobody calls it while tracing is off.
#pragma once

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "sluice/link/drop_reason.hpp"
#include "sluice/link/messages.hpp"

namespace sluice::dataplane {

class TraceRecorder {
 public:
  static constexpr unsigned kSlots = 64;
  static constexpr std::uint16_t kNoEgress = 0xffff;

  struct Subject {
    std::uint64_t received_ns;
    std::uint32_t token;
    std::uint16_t ingress_port;
    std::uint16_t worker;
    std::uint16_t frame_bytes;
  };
  struct Step {
    link::TraceStage stage;
    link::Verdict verdict;
    DropReason reason = DropReason::kCount;  // with Verdict::kDrop
    std::uint32_t detail = 0;
    std::uint64_t action = 0;
  };

  // `ring`: elements of sizeof(link::TraceRecord); null: records go nowhere.
  explicit TraceRecorder(rte_ring* ring) noexcept : ring_(ring) {}

  void begin(unsigned slot, const Subject& subject, const std::uint8_t* frame,
             std::size_t readable) noexcept {
    link::TraceRecord& record = record_[slot];
    record = {};
    record.received_ns = subject.received_ns;
    record.token = subject.token;
    record.ingress_port = subject.ingress_port;
    record.egress_port = kNoEgress;
    record.worker = subject.worker;
    record.frame_bytes = subject.frame_bytes;
    record.before_bytes = copy(record.before, frame, readable);
  }

  // Steps beyond kMaxTraceSteps are not kept; the last one decides what the record says in the end.
  void step(unsigned slot, const Step& step) noexcept {
    link::TraceRecord& record = record_[slot];
    const std::uint8_t reason = step.verdict == link::Verdict::kDrop
                                    ? static_cast<std::uint8_t>(step.reason)
                                    : std::uint8_t{0};
    if (record.steps < link::kMaxTraceSteps) {
      record.step[record.steps++] = {.stage = step.stage,
                                     .verdict = step.verdict,
                                     .drop_reason = reason,
                                     .reserved = 0,
                                     .detail = step.detail,
                                     .action = step.action};
    }
    record.final_verdict = std::to_underlying(step.verdict);
    record.final_reason = reason;
  }

  void after(unsigned slot, const std::uint8_t* frame, std::size_t readable,
             std::uint16_t egress_port) noexcept {
    record_[slot].after_bytes = copy(record_[slot].after, frame, readable);
    record_[slot].egress_port = egress_port;
  }

  // False when the ring is full or missing.
  bool finish(unsigned slot) noexcept {
    return ring_ != nullptr &&
           rte_ring_sp_enqueue_elem(ring_, &record_[slot], sizeof record_[slot]) == 0;
  }

 private:
  static std::uint16_t copy(std::array<std::uint8_t, link::kTraceBytes>& to,
                            const std::uint8_t* from, std::size_t readable) noexcept {
    const std::size_t n = std::min(readable, to.size());
    std::memcpy(to.data(), from, n);
    return static_cast<std::uint16_t>(n);
  }

  rte_ring* ring_;
  std::array<link::TraceRecord, kSlots> record_;
};

}  // namespace sluice::dataplane
