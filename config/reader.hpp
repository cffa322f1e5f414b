// From a document to a configuration: values by the table, then what follows from other values.
// Any thread; no state; nothing throws.
#pragma once

#include "config/config.hpp"
#include "config/node.hpp"

namespace sluice::config {

// Reads the values by the table. Mistakes go to the report; a key with one keeps its default.
void read_config(const Node& document, Report& report, Config& config);

// Fills in the defaults that depend on other values. `document` tells which keys were given.
void resolve_defaults(const Node& document, Report& report, Config& config);

// What no single key can tell: keys that contradict each other. Files are not looked at.
void check_together(const Node& document, Report& report, const Config& config);
// The part of it about the interfaces of the kernel.
void check_interfaces(const Node& document, Report& report, const Config& config);
// What is needed of this machine: files, folders, groups. Makes nothing.
void check_machine(const Node& document, Report& report, const Config& config, Files files);
// Whether two paths are the same when . and .. and slashes too many are left out.
bool same_path(const std::string& a, const std::string& b);

// The place of a key, or of the nearest thing around it that is there: one step per name or index.
struct Step {
  std::string_view name;
  std::size_t index = Path::kNoIndex;

  Step(const char* key) : name(key) {}     // NOLINT(google-explicit-constructor)
  Step(std::size_t item) : index(item) {}  // NOLINT(google-explicit-constructor)
};
using Steps = std::vector<Step>;
Mark mark_of(const Node& document, const Steps& steps);
// The value there; nullptr when it was not given.
const Node* node_of(const Node& document, const Steps& steps);
std::string text_of(const Steps& steps);
bool is_given(const Node& document, const Steps& steps);

// Warns when others than its owner can read a file of secrets, which stands at `where`. Not
// refused: a router that runs must not stay down for it.
void warn_of_readers(const Node& document, Report& report, const Steps& where,
                     const std::string& file);

}  // namespace sluice::config
