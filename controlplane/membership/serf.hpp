// What serf, the most common member of such clusters besides our own kind, puts into the fields
// that memberlist leaves to applications: tags in Meta, and its Lamport clock. We write Meta the
// same way, so that `serf members` shows our tags, and say that we leave in the way serf
// understands. Any thread; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/membership/messages.hpp"
#include "sluice/base/result.hpp"

namespace sluice::membership {

using Tags = std::vector<std::pair<std::string, std::string>>;

// Meta of these tags. kExhausted: more than kMaxMetaBytes.
Result<Bytes> encode_tags(const Tags& tags);
// Empty when Meta has another form. Texts are UTF-8 without control characters.
Tags decode_tags(ByteView meta);
std::string_view find_tag(const Tags& tags, std::string_view key) noexcept;

// Whether this Meta is that of a Sluice router, which takes our user messages: tag "sluice".
inline constexpr std::string_view kSluiceTag = "sluice";
bool is_router(ByteView meta);

// The user message by which a serf agent learns that a member is about to leave and did not fail.
// It believes one of a later time than the last it knows of the member.
Bytes leave_intent(std::uint64_t lamport_time, std::string_view name);
// serf's clock out of the user state of a push/pull; nullopt: not serf's, or absurd.
std::optional<std::uint64_t> lamport_time_of(ByteView user_state);

}  // namespace sluice::membership
