// Ids, names and addresses as people and files write them: nothing crashes, and what is accepted is
// printed in a form that is read back as the same value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/base/ids.hpp"
#include "sluice/base/names.hpp"
#include "sluice/wire/inet.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool printable = text.find('\0') == std::string_view::npos;

  if (const auto id = sluice::parse_id(text)) {
    FUZZ_REQUIRE(sluice::parse_id(sluice::to_string(*id)) == id);
  }
  if (const auto ip = sluice::parse_ip(std::string(text))) {
    FUZZ_REQUIRE(printable);
    FUZZ_REQUIRE(sluice::parse_ip(sluice::to_string(*ip)) == ip);
  }
  if (const auto endpoint = sluice::parse_endpoint(text, 7600)) {
    FUZZ_REQUIRE(printable);
    FUZZ_REQUIRE(endpoint->port != 0);
    FUZZ_REQUIRE(sluice::parse_endpoint(sluice::to_string(*endpoint)) == endpoint);
  }
  if (sluice::check_agent_name(text)) {
    FUZZ_REQUIRE(printable && size <= sluice::kMaxNameBytes);
    FUZZ_REQUIRE(sluice::check_capability_name(text));
    const auto id = sluice::parse_agent(text);
    FUZZ_REQUIRE(id && *id == sluice::id_of_name(text) && !id->is_nil());
  }
  return 0;
}
