// Manifests as anybody might leave them: what is accepted is in range and comes back as the same.
// The first byte says whether the rest is a whole file, or what lies between a good header and a
// good checksum.
#include <cstddef>
#include <cstdint>

#include "controlplane/store/lane.hpp"
#include "controlplane/store/manifest.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::controlplane::store;
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  Buffer file(rest.begin(), rest.end());
  if (data[0] % 2 != 0) {
    file = encode({.layouts = {{.id = 1}}});
    file.resize(24);
    put_bytes(file, rest);
    sluice::store(file.data() + 12, static_cast<std::uint32_t>(rest.size()));
    put(file, sluice::crc32c(file));
  }
  const auto manifest = decode_manifest(file, "m");
  if (!manifest) {
    FUZZ_REQUIRE(manifest.error().message().starts_with("m: "));
    return 0;
  }
  FUZZ_REQUIRE(!manifest->layouts.empty() && manifest->layouts.size() <= 2);
  for (const auto& layout : manifest->layouts) {
    FUZZ_REQUIRE(layout.lanes >= 1 && layout.lanes <= kMaxLanes);
    for (const auto& tree : layout.trees) {
      FUZZ_REQUIRE(tree.lane < layout.lanes);
      for (const auto& segment : tree.segments)
        FUZZ_REQUIRE(segment.file < manifest->next_file);
    }
  }
  FUZZ_REQUIRE(decode_manifest(encode(*manifest), "m") == *manifest);
  return 0;
}
