// What can become of a message besides being forwarded. Each function takes the message over:
// counts it under exactly one counter of its ingress port, traces it, and sends, queues or frees
// its buffer. Worker only.
#pragma once

#include "dataplane/pipeline/lane.hpp"

namespace sluice::dataplane {

inline std::uint8_t* frame_start(const rte_mbuf& frame) noexcept {
  return static_cast<std::uint8_t*>(frame.buf_addr) + frame.data_off;
}
inline void set_frame(rte_mbuf& frame, std::uint8_t* start, std::uint32_t bytes) noexcept {
  frame.data_off = static_cast<std::uint16_t>(start - static_cast<std::uint8_t*>(frame.buf_addr));
  frame.data_len = static_cast<std::uint16_t>(bytes);
  frame.pkt_len = bytes;
}

inline bool is_traced(const Lane& lane, unsigned i) noexcept {
  return (lane.batch.traced >> i & 1) != 0;
}
// Starts to record the messages of the batch that the filter wants. burst.trace is set.
void begin_traces(Lane& lane, const Burst& burst) noexcept;
void trace_step(Lane& lane, unsigned i, const TraceRecorder::Step& step) noexcept;
// The last step of a message.
void trace_end(Lane& lane, unsigned i, const TraceRecorder::Step& step) noexcept;

// Message i of the batch.
void drop(Lane& lane, const Burst& burst, unsigned i, DropReason reason,
          link::TraceStage stage) noexcept;
void hold(Lane& lane, const Burst& burst, unsigned i) noexcept;
void hold_unknown(Lane& lane, const Burst& burst, unsigned i) noexcept;
void punt(Lane& lane, const Burst& burst, unsigned i) noexcept;
void answer_echo(Lane& lane, const Burst& burst, unsigned i) noexcept;

// A frame that classify refused; it is in no batch.
void drop_frame(Lane& lane, const Burst& burst, rte_mbuf* frame, const Parsed& parsed) noexcept;

// Frames for the kernel are gathered and leave together.
inline void to_host(Lane& lane, rte_mbuf* frame) noexcept {
  lane.for_host[lane.for_host_count++] = frame;
}
void flush_host(Lane& lane) noexcept;

}  // namespace sluice::dataplane
