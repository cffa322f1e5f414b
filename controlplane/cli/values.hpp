// Checks and reads the values of arguments, by their kind, and finds near names for wrong ones. Any
// thread; no state.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "controlplane/cli/command.hpp"
#include "sluice/agent/auth.hpp"

namespace sluice::cli {

// An Error that says what would be right, when `text` is no value of that kind.
Status check_value(Kind kind, std::string_view text);

// 1500, 10k, 2.5M, 1G; decimal multiples; nothing negative, no fraction of one.
Result<std::uint64_t> parse_count(std::string_view text);
// 4096, 512M, 1.5G, 2T, also as 2TiB; multiples of 1024.
Result<std::uint64_t> parse_bytes(std::string_view text);
// 2, 2s, 500ms, 100us, 1.5m, 1h; without a unit it is seconds.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);
Result<agent::Token> parse_token(std::string_view text);
// Lifetime code of the envelope: the shortest lifetime that is not shorter than asked; 0: none.
Result<std::uint8_t> lifetime_code(std::chrono::nanoseconds lifetime);

// Values a kind is limited to, for completion and help; empty: free.
std::span<const std::string_view> choices(Kind kind) noexcept;

// Those of `known` that differ little from `text`, the nearest first, at most three.
std::vector<std::string_view> nearest(std::string_view text,
                                      std::span<const std::string_view> known);
// " Did you mean 'a' or 'b'?"; empty when nothing is near.
std::string did_you_mean(std::string_view text, std::span<const std::string_view> known);

}  // namespace sluice::cli
