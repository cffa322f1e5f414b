// What members tell in the fields that memberlist leaves to applications: tags in Meta, serf's
// clock, the keys a router has, and orders about keys. Nothing crashes, and what is accepted is
// written in a form that is read back as the same.
//
// Input: any of them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "controlplane/membership/fields.hpp"
#include "controlplane/membership/key_order.hpp"
#include "controlplane/membership/key_survey.hpp"
#include "controlplane/membership/key_tags.hpp"
#include "controlplane/membership/serf.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::membership {
namespace {

void check_tags(ByteView meta) {
  const auto tags = decode_tags(meta);
  for (const auto& [key, value] : tags)
    FUZZ_REQUIRE(is_name_or_empty(key) && is_name_or_empty(value));
  FUZZ_REQUIRE(is_router(meta) == !find_tag(tags, kSluiceTag).empty());
  if (const auto again = encode_tags(tags)) {
    FUZZ_REQUIRE(again->size() <= kMaxMetaBytes && decode_tags(*again) == tags);
  }
}

void check_key_order(ByteView data) {
  const auto order = decode_key_order(data);
  if (!order) return;
  FUZZ_REQUIRE(std::ranges::equal(encode_key_order(*order), data));
  // Followed at most once, whatever it says of its time.
  KeyOrderFilter filter;
  constexpr std::uint64_t kNow = 1'700'000'000 * kNsPerSecond;
  if (filter.is_news(*order, kNow)) filter.took(*order, kNow);
  FUZZ_REQUIRE(!filter.is_news(*order, kNow));
}

void check_survey(ByteView data) {
  if (const auto number = decode_away_question(data))
    FUZZ_REQUIRE(std::ranges::equal(encode_away_question(*number), data));
  if (const auto answer = decode_away_answer(data))
    FUZZ_REQUIRE(std::ranges::equal(encode_away_answer(*answer), data));
}

void check_clock(ByteView user_state) {
  const auto time = lamport_time_of(user_state);
  if (!time) return;
  const auto intent = leave_intent(*time, "n");
  msgpack::Reader reader(ByteView(intent).subspan(1));
  FUZZ_REQUIRE(reader.skip() && reader.rest().empty());
}

void check_keys_tag(std::string_view text) {
  std::string joined;
  for (const auto& fingerprint : parse_keys_tag(text)) {
    FUZZ_REQUIRE(fingerprint.find(',') == std::string::npos);
    joined += fingerprint + ',';
  }
  // All of it is there, but for a comma at the end.
  FUZZ_REQUIRE(joined == text || joined == std::string(text) + ',');
}

}  // namespace
}  // namespace sluice::membership

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::membership;
  const ByteView input(data, size);
  check_tags(input);
  check_key_order(input);
  check_survey(input);
  check_clock(input);
  check_keys_tag({reinterpret_cast<const char*>(data), size});
  return 0;
}
