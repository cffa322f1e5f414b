// store estimate: what a fleet takes, the configuration that holds it, whether a machine is large
// enough, and a plan for caches in front of routers. Needs no control plane; calls the store's
// arithmetic (controlplane/store/estimator.hpp), never a store.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <variant>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/values.hpp"
#include "controlplane/store/estimator.hpp"

namespace sluice::cli {
namespace {

namespace store = controlplane::store;

// --- what was measured of caches -----------------------------------------------------------------

constexpr std::string_view kMeasuredForm =
    "positive, negative or capability, then lookups, hits and entries, like "
    "positive:1000000:820000:65536";

Result<std::uint64_t> digits(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size() && !text.empty()) return number;
  return wrong_usage(fmt::format("--measured: '{}' is not a number", text));
}

using Uses = std::array<store::CacheUse, store::kCaches>;

// "positive:LOOKUPS:HITS:ENTRIES"
Status take_measured(std::string_view text, Uses& uses) {
  std::vector<std::string_view> parts;
  for (auto rest = text;;) {
    const auto colon = rest.find(':');
    parts.push_back(rest.substr(0, colon));
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  for (std::size_t i = 0; parts.size() == 4 && i < store::kCaches; ++i) {
    if (parts[0] != to_string(static_cast<store::Cache>(i))) continue;
    std::array<std::uint64_t, 3> numbers{};
    for (std::size_t n = 0; n < 3; ++n) {
      const auto number = digits(parts[n + 1]);
      if (!number) return std::unexpected(number.error());
      numbers[n] = *number;
    }
    if (numbers[1] > numbers[0]) return wrong_usage("--measured: more hits than lookups");
    uses[i].lookups = static_cast<double>(numbers[0]);
    uses[i].hits = static_cast<double>(numbers[1]);
    uses[i].entries = numbers[2];
    return {};
  }
  return wrong_usage(fmt::format("--measured: '{}' is not {}", text, kMeasuredForm));
}

// --- the plan ------------------------------------------------------------------------------------

struct Plan {
  store::FleetSize fleet;
  store::RouterSizes sizes;
  store::Estimate estimate;
  bool has_memory = false;
  std::uint64_t memory = 0;
  std::uint64_t needed = 0;  // in memory
  bool has_caches = false;
  std::array<store::CacheShare, store::kCaches> shares;

  bool fits() const noexcept { return !has_memory || needed <= memory; }
  bool possible() const noexcept { return sizes.beyond.empty(); }
  bool starts() const noexcept { return fleet.mbufs >= sizes.mbufs_least; }
  std::uint64_t left() const noexcept { return memory > needed ? memory - needed : 0; }
};

struct Setting {
  std::string_view section;
  std::string_view key;
  std::variant<std::uint64_t, bool> value;
  std::string_view why;
};

// Only what the size of a fleet determines, and the mbufs that memory-mb counts on.
std::vector<Setting> settings_for(const Plan& plan) {
  constexpr std::uint64_t kLeaseDefault = 30;
  constexpr std::uint64_t kLeaseMost = 3600;
  const auto& sizes = plan.sizes;
  std::vector<Setting> settings = {
      {"dataplane", "memory-mb", sizes.memory_mb, "the four below, and a sixteenth more"},
      {"dataplane", "mbufs", plan.fleet.mbufs, "as given, or the default; no fleet determines it"},
      {"dataplane", "routes", sizes.routes,
       plan.fleet.base ? "twice what may differ from the base, capabilities, a sixteenth more"
                       : "agents, capabilities, a sixteenth more"},
      {"dataplane", "adjacencies", sizes.adjacencies,
       plan.fleet.hosts != 0 ? "one for each host, a sixteenth more"
                             : "one for each agent, or the most there can be; see --hosts"},
      {"dataplane", "groups", sizes.groups, "one for each capability, a sixteenth more"},
      {"limits", "punts-per-second", sizes.punts_per_second,
       "twice the renewals of leases; more of them allow shorter leases"},
      {"leases", "min-s", sizes.lease_s, "shorter ones would be renewed too often for that limit"},
      {"leases", "default-s", std::max(kLeaseDefault, sizes.lease_s),
       "the default, or as long as needed; a dead agent is noticed after that"},
      {"leases", "max-s", std::max(kLeaseMost, sizes.lease_s), "the default, or as long as needed"},
      {"store", "lanes", std::uint64_t{plan.fleet.lanes}, "as given (--lanes), or the default"},
      {"store", "agents", sizes.agents,
       "a sixteenth more: who left is known until the lease has ended"},
      {"store", "base", plan.fleet.base, plan.fleet.base ? "the default" : "as given (--no-base)"},
  };
  if (plan.fleet.base) {
    settings.push_back({"store", "base-delta-max", sizes.base_delta_max,
                        "a tenth of the agents, at least 100000, at most half of the table"});
  }
  return settings;
}

std::string value_text(const Setting& setting) {
  return std::visit([](auto value) { return fmt::format("{}", value); }, setting.value);
}

// Hosts behind a gateway are no neighbours, but no estimate knows of gateways.
std::string neighbor_lines(const store::RouterSizes& sizes) {
  if (sizes.neighbors_kept <= store::kNeighborsKept) return {};
  return fmt::format(
      "# net.ipv4.neigh.default.gc_thresh2 = {}\n"
      "# net.ipv4.neigh.default.gc_thresh3 = {}  (sysctl; a neighbour for each host on the "
      "router's own networks; for IPv6: net.ipv6.neigh.default)\n",
      sizes.neighbors_kept, sizes.neighbors_most);
}

std::string render_yaml(const Plan& plan) {
  std::string text = fmt::format(
      "# vm.nr_hugepages = {}  (sysctl; 2 MiB each: memory-mb{}; again for each further NUMA node "
      "with workers)\n",
      plan.sizes.huge_pages, plan.fleet.base ? " and two base segments" : "");
  text += neighbor_lines(plan.sizes);
  std::string_view section;
  for (const auto& setting : settings_for(plan)) {
    if (setting.section != section) text += fmt::format("{}:\n", setting.section);
    section = setting.section;
    const auto line = fmt::format("  {}: {}", setting.key, value_text(setting));
    text += fmt::format("{:<28}  # {}\n", line, setting.why);
  }
  return text;
}

// --- text ----------------------------------------------------------------------------------------

constexpr store::Place kPlaces[] = {store::Place::kControlPlane, store::Place::kDataplane,
                                    store::Place::kDisk};

std::string render_items(const Plan& plan, const Paint& paint) {
  Table table({"WHERE", "WHAT", ">BYTES", "MADE OF"});
  for (const auto place : kPlaces) {
    for (const auto& item : plan.estimate.items) {
      if (item.place != place) continue;
      table.row({std::string(to_string(place)), std::string(item.name), bytes_text(item.bytes),
                 std::string(item.why)});
    }
    table.row(
        {std::string(to_string(place)), "in all", bytes_text(plan.estimate.total(place)), ""});
  }
  return table.text(paint);
}

std::string render_configuration(const Plan& plan, const Paint& paint) {
  if (!plan.possible()) {
    return fmt::format("\n{}: {}; divide it over several routers\n",
                       paint.bad("no router can hold this fleet"),
                       fmt::join(plan.sizes.beyond, ", "));
  }
  return "\nconfiguration that holds it, into the sections of the same names (dataplane.workers "
         "and ports are yours):\n\n" +
         render_yaml(plan);
}

std::string of(std::uint64_t number, std::string_view what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

std::string render_mbufs(const Plan& plan, const Paint& paint) {
  if (plan.starts()) return {};
  return fmt::format(
      "\n{}: {} packet buffers are less than the {} that can be out at once with {}, {} and "
      "1024 descriptors a queue;\nthe dataplane does not start so: raise --mbufs, or lower "
      "ports[].descriptors\n",
      paint.bad("too few mbufs"), plan.fleet.mbufs, plan.sizes.mbufs_least,
      of(plan.fleet.ports, "port"), of(plan.fleet.workers, "worker"));
}

std::string render_fit(const Plan& plan, const Paint& paint) {
  if (!plan.has_memory) return {};
  if (!plan.fits()) {
    return fmt::format("\n{}: {} of memory are needed, {} are there, {} are missing\n",
                       paint.bad("does not fit"), bytes_text(plan.needed), bytes_text(plan.memory),
                       bytes_text(plan.needed - plan.memory));
  }
  return fmt::format("\n{}: {} of memory are needed, {} are there, {} are left\n",
                     paint.good("fits"), bytes_text(plan.needed), bytes_text(plan.memory),
                     bytes_text(plan.left()));
}

std::string render_caches(const Plan& plan, const Paint& paint) {
  if (!plan.has_caches || !plan.fits()) return {};
  Table table({"CACHE", ">SHARE", ">BYTES", ">ENTRIES", ">HITS"});
  for (std::size_t i = 0; i < store::kCaches; ++i) {
    const auto& share = plan.shares[i];
    table.row({std::string(to_string(static_cast<store::Cache>(i))),
               fmt::format("{:.1f} %", 100 * share.share), bytes_text(share.bytes),
               with_commas(share.entries),
               share.expected_ratio ? fmt::format("{:.1f} %", 100 * *share.expected_ratio) : "-"});
  }
  return fmt::format(
             "\na plan for caches that agents or gateways in front of the router keep; the router "
             "has none, it\nlooks everything up in its tables. {} are best divided so:\n\n",
             bytes_text(plan.left())) +
         table.text(paint);
}

// --- JSON ----------------------------------------------------------------------------------------

void add_configuration(JsonWriter& json, const Plan& plan) {
  json.list("beyond", plan.sizes.beyond).key("configuration");
  if (!plan.possible()) {
    json.null();
    return;
  }
  json.begin_object().member("vm_nr_hugepages", plan.sizes.huge_pages);
  json.member("neigh_gc_thresh2", plan.sizes.neighbors_kept);
  json.member("neigh_gc_thresh3", plan.sizes.neighbors_most);
  json.member("mbufs_least", plan.sizes.mbufs_least);
  json.member("yaml", render_yaml(plan)).key("keys").begin_array();
  for (const auto& setting : settings_for(plan)) {
    json.begin_object().member("key", fmt::format("{}.{}", setting.section, setting.key));
    std::visit([&](auto value) { json.member("value", value); }, setting.value);
    json.member("why", setting.why).end_object();
  }
  json.end_array().end_object();
}

void add_caches(JsonWriter& json, const Plan& plan) {
  if (!plan.has_caches) return;
  json.member("cache_bytes", plan.left()).key("caches").begin_array();
  for (std::size_t i = 0; plan.fits() && i < store::kCaches; ++i) {
    const auto& share = plan.shares[i];
    json.begin_object()
        .member("cache", to_string(static_cast<store::Cache>(i)))
        .member("share", share.share)
        .member("bytes", share.bytes)
        .member("entries", share.entries)
        .key("expected_hit_ratio");
    if (share.expected_ratio) {
      json.value(*share.expected_ratio);
    } else {
      json.null();
    }
    json.end_object();
  }
  json.end_array();
}

std::string render_json(const Plan& plan) {
  JsonWriter json;
  json.begin_object().key("items").begin_array();
  for (const auto& item : plan.estimate.items) {
    json.begin_object()
        .member("place", std::string(to_string(item.place)))
        .member("name", item.name)
        .member("bytes", item.bytes)
        .member("made_of", item.why)
        .end_object();
  }
  json.end_array();
  json.member("control_plane_bytes", plan.estimate.total(store::Place::kControlPlane));
  json.member("dataplane_bytes", plan.estimate.total(store::Place::kDataplane));
  json.member("disk_bytes", plan.estimate.total(store::Place::kDisk));
  json.member("needed_bytes", plan.needed);
  if (plan.has_memory) {
    json.member("memory_bytes", plan.memory).member("fits", plan.fits());
    json.member("missing_bytes", plan.fits() ? 0 : plan.needed - plan.memory);
    json.member("left_bytes", plan.left());
  }
  add_caches(json, plan);
  add_configuration(json, plan);
  return json.end_object().take();
}

// --- arguments -----------------------------------------------------------------------------------

store::FleetSize fleet_of(const Invocation& args) {
  store::FleetSize fleet{.agents = args.number("agents"),
                         .capabilities = args.number("capabilities"),
                         .capabilities_per_agent = static_cast<double>(args.number("per-agent")),
                         .lanes = static_cast<std::uint32_t>(
                             std::min<std::uint64_t>(args.number("lanes"), UINT32_MAX)),
                         .base = !args.has("no-base")};
  fleet.hosts = args.number("hosts");
  fleet.mbufs = args.number("mbufs");
  fleet.ports = args.number("ports");
  fleet.workers = args.number("workers");
  return fleet;
}

// What was measured is for caches and so asks for them, too.
Status plan_caches(const Invocation& args, Plan& plan) {
  // Of ids that nobody has, as many are asked for as the fleet has agents, at the worst.
  const auto& fleet = plan.fleet;
  Uses uses{{{.keys = fleet.agents}, {.keys = fleet.agents}, {.keys = fleet.capabilities}}};
  for (const auto& text : args.all("measured"))
    if (auto taken = take_measured(text, uses); !taken) return taken;
  plan.has_caches = args.has("caches") || args.has("measured");
  if (!plan.has_caches) return {};
  if (!plan.has_memory) {
    return wrong_usage("--caches divides what is left of --memory; give that as well");
  }
  plan.shares = store::split_budget(plan.left(), uses);
  return {};
}

}  // namespace

Outcome store_estimate(Context& c) {
  Plan plan{.fleet = fleet_of(c.args), .has_memory = c.args.has("memory")};
  auto estimate = store::estimate(plan.fleet);
  if (!estimate) return std::unexpected(estimate.error());
  plan.sizes = store::router_sizes(plan.fleet);
  plan.estimate = std::move(*estimate);
  plan.needed = plan.estimate.total(store::Place::kControlPlane) +
                plan.estimate.total(store::Place::kDataplane);
  if (plan.has_memory) plan.memory = parse_bytes(c.args.text("memory")).value_or(0);
  if (auto planned = plan_caches(c.args, plan); !planned) return std::unexpected(planned.error());
  c.print(c.json ? render_json(plan)
                 : render_items(plan, c.paint) + render_configuration(plan, c.paint) +
                       render_mbufs(plan, c.paint) + render_fit(plan, c.paint) +
                       render_caches(plan, c.paint));
  return plan.fits() && plan.possible() && plan.starts() ? kDone : kFailed;
}

}  // namespace sluice::cli
