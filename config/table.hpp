// The one table of all keys: name, C++ member (which gives type and default), range, unit, whether
// it can change while running, help. Reading, showing, comparing and the manual page walk it;
// nothing else knows the keys. Constant data; any thread.
#pragma once

#include "config/table_control.hpp"
#include "config/table_entry.hpp"

namespace sluice::config {

inline constexpr std::tuple kRouterKeys{
    Key{"name",
        &Router::name,
        {.help = "Name of this router among the others; its id is made from it.",
         .syntax = &kPlainName,
         .fallback = "the name of the host"}},
    Key{"run-dir",
        &Router::run_dir,
        {.help = "Folder of the sockets of both processes.", .syntax = &kAbsolutePath}},
    Key{"state-dir",
        &Router::state_dir,
        {.help = "Folder of what must outlive a restart.", .syntax = &kAbsolutePath}},
    Key{"message-port",
        &Router::message_port,
        {.help = "UDP port on which messages are recognised.", .min = 1, .max = 65535}},
};

inline constexpr std::tuple kDataplaneKeys{
    Key{"workers",
        &Dataplane::workers,
        {.help = "Cores that forward, one worker thread each.",
         .max = kMaxCore,
         .unit = "core",
         .max_items = 128,
         .required = true}},
    Key{"manager-core",
        &Dataplane::manager_core,
        {.help = "Core of everything else in the dataplane; must not be a worker's.",
         .max = kMaxCore,
         .unit = "core",
         .word = "any"}},
    Key{"idle",
        &Dataplane::idle,
        {.help = "What a worker without messages does: poll burns its core and reacts at once; "
                 "adaptive sleeps in short steps, so that routers can share a machine."}},
    Key{"idle-after-us",
        &Dataplane::idle_after_us,
        {.help = "With adaptive: how long nothing must arrive before a worker begins to sleep.",
         .max = 1'000'000,
         .unit = "us"}},
    Key{"idle-sleep-us",
        &Dataplane::idle_sleep_us,
        {.help = "With adaptive: longest sleep while some receive queue has no interrupt that "
                 "could end it, "
                 "and so the most that it adds to a delay.",
         .min = 1,
         .max = 100'000,
         .unit = "us"}},
    Key{"huge-pages",
        &Dataplane::huge_pages,
        {.help = "on refuses to start without them; auto uses them when there are enough."}},
    Key{"memory-mb",
        &Dataplane::memory_mb,
        {.help = "Memory for packets and tables on each NUMA node in use.",
         .min = 64,
         .max = kMaxIndex,
         .unit = "MiB"}},
    Key{"mbufs",
        &Dataplane::mbufs,
        {.help = "Packet buffers on each NUMA node in use.", .min = 1024, .max = 16'777'216}},
    Key{"routes",
        &Dataplane::routes,
        {.help = "Agents that the route table can hold.", .min = 1024, .max = 33'554'432}},
    Key{"adjacencies",
        &Dataplane::adjacencies,
        {.help = "Next hops that can be known at once.", .min = 16, .max = kMaxIndex}},
    Key{"groups",
        &Dataplane::groups,
        {.help = "Groups of agents that can be addressed as one.", .min = 16, .max = kMaxIndex}},
    Key{"burst",
        &Dataplane::burst,
        {.help = "Messages that a worker takes at once.", .min = 4, .max = 64}},
    Key{"eal-args",
        &Dataplane::eal_args,
        {.help = "Further arguments for DPDK's environment, put after our own.", .max_items = 64}},
};

inline constexpr std::tuple kPortKeys{
    Key{"name",
        &Port::name,
        {.help = "Name of the port; must be unique.", .syntax = &kPortName, .required = true}},
    Key{"device",
        &Port::device,
        {.help = "DPDK device arguments: a PCI address, or a virtual device with its options.",
         .syntax = &kDeviceArgs,
         .required = true}},
    Key{"role", &Port::role, {.help = "edge: agents attach here; trunk: other routers do."}},
    Key{"rx-queues",
        &Port::rx_queues,
        {.help =
             "Receive queues; auto is one for each worker that serves the port. With fewer, the "
             "messages are spread by software.",
         .min = 1,
         .max = 1024,
         .word = "auto"}},
    Key{"descriptors",
        &Port::descriptors,
        {.help = "Length of each queue.", .min = 64, .max = 32768, .unit = "packets"}},
    Key{"mtu",
        &Port::mtu,
        {.help = "Largest IP packet.", .min = 576, .max = 9600, .unit = "bytes"}},
    Key{"vlan",
        &Port::vlan,
        {.help = "VLAN of all messages of the port; 0: untagged.", .max = 4094}},
    Key{"host-interface",
        &Port::host_interface,
        {.help = "Network interface of the kernel that gets what is not a message.",
         .syntax = &kInterfaceName,
         .fallback = "sl-<name>"}},
    Key{"addresses",
        &Port::addresses,
        {.help = "Addresses put on the host interface at start.", .max_items = kMaxAddresses}},
    Key{"source-guard",
        &Port::source_guard,
        {.help = "Take a message only from the address and port its sender registered from.",
         .change = Change::kLive,
         .fallback = "true on edge ports, false on trunks"}},
    Key{"workers",
        &Port::workers,
        {.help = "Cores, out of dataplane.workers, that serve the port.",
         .max = kMaxCore,
         .unit = "core",
         .max_items = 128,
         .fallback = "all of dataplane.workers"}},
};

inline constexpr std::tuple kHoldKeys{
    Key{"per-id",
        &Hold::per_id,
        {.help = "Messages to one unknown agent that wait while it is looked for.",
         .change = Change::kLive,
         .min = 1,
         .max = 1024,
         .unit = "messages"}},
    Key{"total",
        &Hold::total,
        {.help = "All messages that wait, at most half of them of one tenant; at most half of "
                 "dataplane.mbufs. 0: none wait.",
         .change = Change::kLive,
         .max = kMaxIndex,
         .unit = "messages",
         .fallback = "a quarter of dataplane.mbufs, at most 65536"}},
    Key{"time-ms",
        &Hold::time_ms,
        {.help = "How long a message waits, unless its own lifetime is shorter.",
         .change = Change::kLive,
         .min = 1,
         .max = 60'000,
         .unit = "ms"}},
};

inline constexpr std::tuple kLimitsKeys{
    Key{"notices-per-second",
        &Limits::notices_per_second,
        {.help = "Undeliverable notices that the router sends.",
         .change = Change::kLive,
         .max = 100'000'000}},
    Key{"punts-per-second",
        &Limits::punts_per_second,
        {.help = "Messages that are handed to the control plane.",
         .change = Change::kLive,
         .max = 100'000'000}},
    Key{"discoveries-per-second",
        &Limits::discoveries_per_second,
        {.help = "Unknown agents that the dataplane asks the control plane for.",
         .change = Change::kLive,
         .max = 100'000'000}},
    Key{"negative-cache-ms",
        &Limits::negative_cache_ms,
        {.help = "How long a worker remembers that an agent is unknown.",
         .change = Change::kLive,
         .max = 60'000,
         .unit = "ms"}},
};

inline constexpr std::tuple kTenantKeys{
    Key{"id",
        &Tenant::id,
        {.help = "Number of the tenant in messages; must be unique.",
         .change = Change::kLive,
         .min = 1,
         .max = 65535,
         .required = true}},
    Key{"name",
        &Tenant::name,
        {.help = "Name of the tenant; must be unique.",
         .change = Change::kLive,
         .syntax = &kPlainName,
         .required = true}},
    Key{"token-key",
        &Tenant::token_key,
        {.help = "Key of the tokens with which agents of the tenant register.",
         .change = Change::kLive,
         .secret = true,
         .omit_empty = true}},
    Key{"token-key-file",
        &Tenant::token_key_file,
        {.help =
             "File that holds the key instead, in the same form; with a warning when others can "
             "read it.",
         .change = Change::kLive,
         .syntax = &kAnyPath,
         .omit_empty = true}},
    Key{"allow",
        &Tenant::allow,
        {.help = "Other tenants whose agents may be addressed.",
         .change = Change::kLive,
         .min = 1,
         .max = 65535}},
    Key{"rate",
        &Tenant::rate,
        {.help = "Limit for all messages of the tenant that enter here; 0: none.",
         .change = Change::kLive,
         .max = 1'000'000'000,
         .unit = "messages/s"}},
    Key{"burst",
        &Tenant::burst,
        {.help = "Messages that may exceed the rate at once.",
         .change = Change::kLive,
         .max = 100'000'000,
         .unit = "messages",
         .fallback = "a tenth of rate, at least 64; 0 without a rate"}},
};

inline constexpr Key kAgentNameKey{
    "name", &StaticAgent::name,
    Rule{.help = "Name of the agent; its id is made from it. Either this or id.",
         .change = Change::kLive,
         .syntax = &kAgentName,
         .omit_empty = true}};
inline constexpr Key kAgentIdKey{
    "id", &StaticAgent::id,
    Rule{.help = "Id of an agent without a name.", .change = Change::kLive, .omit_empty = true}};
inline constexpr Key kAgentTenantKey{"tenant", &StaticAgent::tenant,
                                     Rule{.help = "Its tenant, one of tenants.",
                                          .change = Change::kLive,
                                          .min = 1,
                                          .max = 65535,
                                          .required = true}};
inline constexpr Key kAgentCapabilitiesKey{"capabilities", &StaticAgent::capabilities,
                                           Rule{.help = "Capabilities that it offers.",
                                                .change = Change::kLive,
                                                .syntax = &kCapabilityName,
                                                .max_items = kMaxCapabilitiesOfAgent}};

inline constexpr std::tuple kAgentKeys{
    kAgentNameKey, kAgentIdKey, kAgentTenantKey,
    Key{"endpoint",
        &StaticAgent::endpoint,
        {.help = "Where it receives.", .change = Change::kLive, .required = true}},
    kAgentCapabilitiesKey};
// A peer's agents are reached through the peer, so they have no endpoint.
inline constexpr std::tuple kPeerAgentKeys{kAgentNameKey, kAgentIdKey, kAgentTenantKey,
                                           kAgentCapabilitiesKey};

inline constexpr std::tuple kPeerKeys{
    Key{"name",
        &Peer::name,
        {.help = "Name of the other router; must be unique.",
         .change = Change::kLive,
         .syntax = &kPlainName,
         .required = true}},
    Key{"address",
        &Peer::address,
        {.help = "Address of the other router on the trunk.",
         .change = Change::kLive,
         .required = true,
         .fallback = "router.message-port for the port"}},
    List{"agents", &Peer::agents, kPeerAgentKeys, "Agents that are reached through the peer.",
         Change::kLive},
    Key{"agents-file",
        &Peer::agents_file,
        {.help = "File with more of them; see AGENTS FILES.",
         .change = Change::kLive,
         .syntax = &kAnyPath,
         .omit_empty = true}},
};

inline constexpr std::tuple kApiKeys{
    Key{"socket",
        &Api::socket,
        {.help = "Unix socket that the sluice command connects to.",
         .syntax = &kAbsolutePath,
         .fallback = "<run-dir>/api.sock"}},
    Key{"group",
        &Api::group,
        {.help = "Unix group whose members may use the socket besides root.",
         .syntax = &kUnixGroup}},
};

inline constexpr std::tuple kMetricsKeys{
    Key{"listen",
        &Metrics::listen,
        {.help = "TCP address of the Prometheus endpoint.", .word = "off"}},
};

inline constexpr std::tuple kLogKeys{
    Key{"level",
        &Log::level,
        {.help = "Least severity that is logged. Changed live by the control plane only.",
         .change = Change::kLive}},
    Key{"file",
        &Log::file,
        {.help = "File that the log is appended to; empty: standard error.", .syntax = &kLogFile}},
};

inline constexpr std::tuple kConfigKeys{
    Section{"router", &Config::router, kRouterKeys, "The router itself.", kBoth},
    Section{"dataplane", &Config::dataplane, kDataplaneKeys, "Cores, memory and table sizes.",
            kDataplane},
    List{"ports", &Config::ports, kPortKeys, "The ports, in the order of their numbers.",
         Change::kBoot, kDataplane, true},
    Section{"hold", &Config::hold, kHoldKeys, "Messages that wait for an unknown agent.", kBoth},
    Section{"limits", &Config::limits, kLimitsKeys,
            "Limits per second for the whole router; 0: none at all.", kBoth},
    List{"tenants", &Config::tenants, kTenantKeys, "The tenants, isolated from each other.",
         Change::kLive, kControlplane},
    List{"agents", &Config::agents, kAgentKeys, "Agents that do not register themselves.",
         Change::kLive, kControlplane},
    Key{"agents-file",
        &Config::agents_file,
        {.help = "File with very many such agents; see AGENTS FILES.",
         .change = Change::kLive,
         .syntax = &kAnyPath,
         .omit_empty = true}},
    List{"peers", &Config::peers, kPeerKeys, "Other routers, and the agents behind them.",
         Change::kLive, kControlplane},
    Section{"leases", &Config::leases, kLeasesKeys, "How long registrations hold.", kControlplane},
    Section{"registration", &Config::registration, kRegistrationKeys,
            "Agents that register by message.", kControlplane},
    Section{"store", &Config::store, kStoreKeys, "What outlives a restart.", kControlplane},
    Section{"cluster", &Config::cluster, kClusterKeys, "Finding the other routers.", kControlplane},
    Section{"api", &Config::api, kApiKeys, "The socket of the sluice command.", kControlplane},
    Section{"metrics", &Config::metrics, kMetricsKeys, "The Prometheus endpoint.", kControlplane},
    Section{"log", &Config::log, kLogKeys, "The log of both processes.", kBoth},
};

// Calls visit(entry) for every key, section and list of a table.
template <class Keys, class Visit>
void for_each(const Keys& keys, Visit&& visit) {
  std::apply([&](const auto&... entry) { (visit(entry), ...); }, keys);
}

}  // namespace sluice::config
