// Frames as the bridge needs them: what a held or punted message says about itself, and complete
// frames made from injected messages. Pure: bytes in, bytes out, no mbufs, so that they are fuzzed
// and tested without DPDK. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "sluice/link/messages.hpp"
#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {

// A message inside a frame. Offsets and lengths are inside the frame.
struct MessageView {
  Envelope envelope;
  std::uint32_t offset;  // of the envelope
  std::uint32_t bytes;   // from the envelope on
};

// The worker that handed the frame over has parsed it; its word about lengths is checked again.
std::optional<MessageView> view_message(const std::uint8_t* frame, std::size_t bytes,
                                        std::size_t l2_bytes, std::size_t l3_bytes) noexcept;

// Header of the slot that carries the message of `frame` (viewed with the lengths above).
link::SlotHeader punt_header(const std::uint8_t* frame, std::size_t l2_bytes, std::size_t l3_bytes,
                             const MessageView& view, std::uint16_t port,
                             std::uint64_t now_ns) noexcept;

// A slot that the control plane wants sent, on a private copy of its header: every field in range,
// not longer than the port's MTU.
bool valid_inject(const link::SlotHeader& header, std::uint16_t ports, std::uint16_t mtu) noexcept;

// Bytes of all headers in front of the message.
std::size_t inject_header_bytes(const link::SlotHeader& header) noexcept;

// Writes Ethernet, VLAN, IP and UDP headers with checksums at `out`; the message (header.bytes) is
// at out + inject_header_bytes() already.
void write_inject_headers(const link::SlotHeader& header, const MacAddress& source,
                          std::uint8_t* out) noexcept;

}  // namespace sluice::dataplane
