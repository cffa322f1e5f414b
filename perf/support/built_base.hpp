// A base segment for benchmarks: made by the store's builder, taken into memory by the dataplane's
// loader, as in the product. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "dataplane/table/base_load.hpp"

namespace sluice::perf {

using RouteOf = std::function<std::pair<Id, Action>(std::uint64_t)>;

struct WrittenBase {
  std::string path;
  std::array<std::uint8_t, 16> id{};
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
  double build_ns = 0;  // adding and finishing
};

// `route_of` gives the numbers 0 .. routes-1 an id and an action (of kind kNone: it is left out);
// the index of an adjacency is below `dictionary`, and is the position in the segment's dictionary
// too. Ends the program when it fails.
WrittenBase write_base(const std::string& path, std::uint8_t number, const HashKey& key,
                       std::uint64_t routes, std::uint32_t dictionary, unsigned threads,
                       const RouteOf& route_of);

struct BuiltBase {
  std::shared_ptr<dataplane::LoadedBase> loaded;
  std::uint64_t file_bytes = 0;
  std::uint64_t entries = 0;
  double build_ns = 0;  // adding and finishing
  double load_ns = 0;   // copying and checking

  double bytes_per_route() const {
    return static_cast<double>(file_bytes) / static_cast<double>(entries);
  }
};

// Written to a temporary file and loaded.
BuiltBase build_base(const HashKey& key, std::uint64_t routes, std::uint32_t dictionary,
                     unsigned threads, const RouteOf& route_of);

}  // namespace sluice::perf
