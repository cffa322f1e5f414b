#include "controlplane/membership/serf.hpp"

#include <algorithm>

#include "controlplane/membership/fields.hpp"
#include "controlplane/membership/msgpack.hpp"

namespace sluice::membership {
namespace {

constexpr std::uint8_t kTagsMark =
    0xff;  // before a map of tags; without it Meta is serf's old role
constexpr std::uint8_t kLeaveIntent = 0;
constexpr std::uint8_t kPushPullState = 2;
constexpr std::size_t kMaxTags = 64;
// Nobody's clock gets there; one that claims it would make ours useless.
constexpr std::uint64_t kMaxLamportTime = std::uint64_t{1} << 48;

}  // namespace

Result<Bytes> encode_tags(const Tags& tags) {
  Bytes meta{kTagsMark};
  msgpack::Writer writer(meta);
  if (tags.size() > 15) return fail(ErrorCode::kExhausted, "more than 15 tags");
  writer.map(static_cast<std::uint8_t>(tags.size()));
  for (const auto& [key, value] : tags) {
    writer.text(key);
    writer.text(value);
  }
  if (meta.size() > kMaxMetaBytes) {
    return fail(ErrorCode::kExhausted, "the tags of a member take " + std::to_string(meta.size()) +
                                           " bytes; at most " + std::to_string(kMaxMetaBytes) +
                                           " are possible");
  }
  return meta;
}

Tags decode_tags(ByteView meta) {
  if (meta.empty() || meta[0] != kTagsMark) return {};
  msgpack::Reader reader(meta.subspan(1));
  std::uint32_t pairs = 0;
  if (!reader.map(pairs) || pairs > kMaxTags) return {};
  Tags tags;
  for (; pairs > 0; --pairs) {
    std::string_view key;
    std::string_view value;
    if (!reader.text(key) || !reader.text(value)) return {};
    if (!is_name_or_empty(key) || !is_name_or_empty(value)) continue;
    tags.emplace_back(key, value);
  }
  return tags;
}

std::string_view find_tag(const Tags& tags, std::string_view key) noexcept {
  const auto at =
      std::find_if(tags.begin(), tags.end(), [&](const auto& tag) { return tag.first == key; });
  return at == tags.end() ? std::string_view{} : std::string_view(at->second);
}

bool is_router(ByteView meta) {
  return !find_tag(decode_tags(meta), kSluiceTag).empty();
}

Bytes leave_intent(std::uint64_t lamport_time, std::string_view name) {
  Bytes out{kLeaveIntent};
  msgpack::Writer writer(out);
  writer.map(3);
  writer.text("LTime");
  writer.integer(lamport_time);
  writer.text("Node");
  writer.text(name);
  writer.text("Prune");
  writer.boolean(false);
  return out;
}

std::optional<std::uint64_t> lamport_time_of(ByteView user_state) {
  if (user_state.empty() || user_state[0] != kPushPullState) return std::nullopt;
  msgpack::Reader reader(user_state.subspan(1));
  std::optional<std::uint64_t> time;
  const bool read = read_map(reader, [&](std::string_view key) {
    if (key != "LTime") return false;
    std::uint64_t value = 0;
    if (reader.integer(value, kMaxLamportTime)) time = value;
    return true;
  });
  return read ? time : std::nullopt;
}

}  // namespace sluice::membership
