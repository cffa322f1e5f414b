// Takes a frame apart into named fields, for `sluice trace`: Ethernet, VLAN, IPv4 or IPv6, UDP,
// envelope. Reads no further than the bytes that are there. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::cli {

struct FrameField {
  std::string name;  // "ip.ttl"
  std::string value;
};

std::vector<FrameField> decode_frame(std::string_view frame);

// Lines of 16 bytes that differ, as "offset - hex" (before) and "offset + hex" (after).
std::vector<std::string> changed_bytes(std::string_view before, std::string_view after);

}  // namespace sluice::cli
