// The one table of all keys: name, C++ member (which gives type and default), range, unit, whether
// it can change while running, help. Reading, showing, comparing and the manual page walk it;
// nothing else knows the keys. Constant data; any thread.
#pragma once

#include <tuple>

#include "config/value.hpp"

namespace sluice::config {

// A key with a single value or a list of them.
template <class S, class T>
struct Key {
  std::string_view name;
  T S::* member;
  Rule rule;
};

// A key that holds a map of further keys.
template <class S, class T, class Keys>
struct Section {
  std::string_view name;
  T S::* member;
  const Keys& keys;
  std::string_view help;
  std::string_view restart;  // what reads it only at its start
};

// A key that holds a list of maps. A live one is compared and replaced as a whole.
template <class S, class T, class Keys>
struct List {
  std::string_view name;
  std::vector<T> S::* member;
  const Keys& keys;
  std::string_view help;
  Change change = Change::kBoot;
  std::string_view restart;
  bool required = false;
};

template <class S, class T>
Key(const char*, T S::*, Rule) -> Key<S, T>;

inline constexpr std::string_view kBoth = "sluice-dataplane and sluice-controlplane";
inline constexpr std::string_view kDataplane = "sluice-dataplane";
inline constexpr std::string_view kControlplane = "sluice-controlplane";

inline constexpr std::uint64_t kMaxCore = 1023;
inline constexpr std::uint64_t kMaxIndex = 1U << 20;  // 20 bits of an action

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
        {.help = "Addresses put on the host interface at start.", .max_items = 64}},
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
        {.help = "File that holds the key instead, in the same form.",
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
                                                .max_items = 64}};

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

inline constexpr std::tuple kLeasesKeys{
    Key{"default-s",
        &Leases::default_s,
        {.help = "Lease of a registration that asks for none in particular.",
         .change = Change::kLive,
         .min = 1,
         .max = 86400,
         .unit = "s"}},
    Key{"min-s",
        &Leases::min_s,
        {.help = "Shortest lease; who asks for less gets this.",
         .change = Change::kLive,
         .min = 1,
         .max = 86400,
         .unit = "s"}},
    Key{"max-s",
        &Leases::max_s,
        {.help = "Longest lease; who asks for more gets this.",
         .change = Change::kLive,
         .min = 1,
         .max = 86400,
         .unit = "s"}},
    Key{"grace-s",
        &Leases::grace_s,
        {.help = "How long an agent is still reachable after its lease ran out.",
         .change = Change::kLive,
         .max = 3600,
         .unit = "s"}},
    Key{"restart-grace-s",
        &Leases::restart_grace_s,
        {.help =
             "No lease ends before this long after a restart of the control plane, so that agents "
             "can renew what ran out meanwhile; routes live so long unconfirmed when the store "
             "was new.",
         .change = Change::kLive,
         .max = 3600,
         .unit = "s"}},
};

inline constexpr std::tuple kRegistrationKeys{
    Key{"require-token",
        &Registration::require_token,
        {.help =
             "Register agents only with a token of their tenant; tenants without a key then accept "
             "none by message.",
         .change = Change::kLive}},
};

inline constexpr std::tuple kStoreKeys{
    Key{"directory",
        &Store::directory,
        {.help = "Folder of the durable store: registered agents, and agents and peers added by "
                 "command. Back it up with `sluice store backup`.",
         .syntax = &kAbsolutePath,
         .fallback = "<state-dir>/store"}},
    Key{"fsync",
        &Store::fsync,
        {.help = "When the disk is asked to have what was written: each before any reply; interval "
                 "every fsync-interval-ms, which a power loss can take; never leaves it to the "
                 "kernel. A kill of the process loses nothing in any of them."}},
    Key{"fsync-interval-ms",
        &Store::fsync_interval_ms,
        {.help = "With interval: how often.", .min = 1, .max = 60'000, .unit = "ms"}},
    Key{"lanes",
        &Store::lanes,
        {.help = "Independent parts of a new store; later `sluice store migrate --lanes`.",
         .min = 1,
         .max = 64}},
    Key{"overlay-mb",
        &Store::overlay_mb,
        {.help = "Memory for what was written last; it is filled twice at most.",
         .min = 1,
         .max = 65'536,
         .unit = "MiB"}},
    Key{"workers",
        &Store::workers,
        {.help = "Threads that compact the store in the background.", .min = 1, .max = 64}},
    Key{"rate-mb",
        &Store::rate_mb,
        {.help = "What compaction and the building of base segments may write per second; 0: no "
                 "limit.",
         .max = 1'048'576,
         .unit = "MiB/s"}},
    Key{"agents",
        &Store::agents,
        {.help = "Agents that this router knows at most. More than dataplane.routes need base "
                 "segments.",
         .change = Change::kLive,
         .min = 1,
         .max = 1U << 30,
         .fallback = "dataplane.routes, less the router's own"}},
    Key{"base",
        &Store::base,
        {.help = "Move routes into base segments: immutable, 13 bytes per route in the dataplane, "
                 "kept on disk, so that a restarted dataplane has them at once."}},
    Key{"base-delta-max",
        &Store::base_delta_max,
        {.help =
             "Routes that differ from the base before a new one is built, unless a tenth of the "
             "base is more.",
         .change = Change::kLive,
         .min = 1,
         .max = 1U << 30}},
    Key{"base-interval-s",
        &Store::base_interval_s,
        {.help = "Least time between the builds of two base segments.",
         .change = Change::kLive,
         .max = 86'400,
         .unit = "s"}},
};

inline constexpr std::tuple kClusterKeys{
    Key{"bind",
        &Cluster::bind,
        {.help =
             "Address, UDP and TCP, on which the routers of a cluster find and watch one another. "
             "0.0.0.0: all addresses of IPv4; \"[::]\": all addresses. Port 7946 unless given.",
         .word = "off",
         .fallback = "off"}},
    Key{"advertise",
        &Cluster::advertise,
        {.help = "Address at which the others reach this router; auto is that of bind or else the "
                 "first private address of the host.",
         .word = "auto",
         .fallback = "auto"}},
    Key{"join",
        &Cluster::join,
        {.help =
             "Members to begin with; all that are reached are asked, and while none answers, all "
             "are asked again for ever. A name may stand for many addresses.",
         .syntax = &kJoinTarget,
         .max_items = 256}},
    Key{"label",
        &Cluster::label,
        {.help = "Keeps clusters apart that share a network; the same on all members.",
         .syntax = &kLabel}},
    Key{"encryption",
        &Cluster::encryption,
        {.help = "Encrypt with the keys of keys-file. Without it, whoever reaches the port can "
                 "join and "
                 "say what it likes of others: for laboratories only."}},
    Key{"keys-file",
        &Cluster::keys_file,
        {.help = "Keys of the cluster in base64, one a line, the one in use first; made by `sluice "
                 "cluster init`, changed by `sluice cluster keys`.",
         .syntax = &kAbsolutePath,
         .fallback = "<state-dir>/cluster.keys"}},
    Key{"verify-incoming",
        &Cluster::verify_incoming,
        {.help = "Refuse what is not encrypted; false only while encryption is being introduced."}},
    Key{"verify-outgoing",
        &Cluster::verify_outgoing,
        {.help = "Encrypt what is sent; false only while encryption is being introduced."}},
    Key{"compression",
        &Cluster::compression,
        {.help = "Compress what gets smaller by it. Both forms are always understood."}},
    Key{"zone",
        &Cluster::zone,
        {.help = "Where this router is; the others are told.", .syntax = &kZone}},
    Key{"profile",
        &Cluster::profile,
        {.help =
             "How quick and how tolerant failure detection is: lan within a data centre, wan over "
             "long lines, local on one host. The keys below change single values of it."}},
    Key{"probe-interval-ms",
        &Cluster::probe_interval_ms,
        {.help = "Time between two probes.",
         .min = 10,
         .max = 600000,
         .unit = "ms",
         .word = "profile"}},
    Key{"probe-timeout-ms",
        &Cluster::probe_timeout_ms,
        {.help = "How long a direct answer to a probe may take.",
         .min = 5,
         .max = 600000,
         .unit = "ms",
         .word = "profile"}},
    Key{"indirect-checks",
        &Cluster::indirect_checks,
        {.help = "Members asked to probe for us when there is none.",
         .min = 0,
         .max = 16,
         .word = "profile"}},
    Key{"suspicion-mult",
        &Cluster::suspicion_mult,
        {.help = "How long a suspected member may refute; more is longer.",
         .min = 1,
         .max = 20,
         .word = "profile"}},
    Key{"retransmit-mult",
        &Cluster::retransmit_mult,
        {.help = "How often news is repeated; more is oftener.",
         .min = 1,
         .max = 20,
         .word = "profile"}},
    Key{"gossip-interval-ms",
        &Cluster::gossip_interval_ms,
        {.help = "Time between two rounds of news.",
         .min = 10,
         .max = 60000,
         .unit = "ms",
         .word = "profile"}},
    Key{"gossip-nodes",
        &Cluster::gossip_nodes,
        {.help = "Members told in a round.", .min = 1, .max = 16, .word = "profile"}},
    Key{"gossip-to-dead-s",
        &Cluster::gossip_to_dead_s,
        {.help = "How long the dead are still told, so that they can refute.",
         .min = 1,
         .max = 3600,
         .unit = "s",
         .word = "profile"}},
    Key{"push-pull-interval-s",
        &Cluster::push_pull_interval_s,
        {.help = "Time between two exchanges of whole lists.",
         .min = 1,
         .max = 3600,
         .unit = "s",
         .word = "profile"}},
    Key{"tcp-timeout-ms",
        &Cluster::tcp_timeout_ms,
        {.help = "Limit of one exchange over TCP.",
         .min = 10,
         .max = 600000,
         .unit = "ms",
         .word = "profile"}},
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
