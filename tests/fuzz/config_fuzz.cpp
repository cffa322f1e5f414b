// The configuration of a router out of any text: never a crash or an exception, every refusal says
// where and why, and what is accepted can be shown, differs in nothing from itself and reads the
// same a second time.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto checked = sluice::config::check_text(text, "fuzz.yaml");
  FUZZ_REQUIRE(checked.diagnostics.size() <= sluice::config::kMaxDiagnostics);
  for (const auto& diagnostic : checked.diagnostics) {
    FUZZ_REQUIRE(!diagnostic.message.empty() && !diagnostic.file.empty());
    FUZZ_REQUIRE(!sluice::config::to_string(diagnostic).empty());
  }
  if (!checked.ok()) return 0;

  FUZZ_REQUIRE(!checked.config.dataplane.workers.empty());
  // What is shown, in either form, reads back to the same, except that keys are hidden.
  auto shown = checked.config;
  for (auto& tenant : shown.tenants)
    tenant.token_key.clear();
  for (const auto& form : {sluice::config::show_yaml(shown), sluice::config::show_json(shown)}) {
    const auto back = sluice::config::check_text(form, "shown.yaml");
    FUZZ_REQUIRE(back.ok() && back.config == shown);
  }
  FUZZ_REQUIRE(sluice::config::diff(checked.config, checked.config).empty());
  const auto again = sluice::config::check_text(text, "fuzz.yaml");
  FUZZ_REQUIRE(again.ok() && again.config == checked.config);
  return 0;
}
