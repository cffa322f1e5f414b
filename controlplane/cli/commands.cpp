// The table of all commands. Parser, help, completion and manual page are made from it.
#include "controlplane/cli/command.hpp"
#include "controlplane/cli/handlers.hpp"

namespace sluice::cli {
namespace {

constexpr Parameter kAgent[] = {{"AGENT", Kind::kAgent, "name or id of the agent"}};
constexpr Parameter kTarget[] = {
    {"NAME", Kind::kTarget, "name of an agent or capability, or an id"}};
constexpr Parameter kPort[] = {{"PORT", Kind::kPort, "name of the port"}};
constexpr Parameter kPeer[] = {{"PEER", Kind::kPeer, "name of the peer"}};
constexpr Parameter kDestination[] = {
    {"DESTINATION", Kind::kTarget, "agent, id, router/NAME, or with --capability a capability"}};
constexpr Parameter kNewAgent[] = {
    {"AGENT", Kind::kAgent, "organisation/namespace/service/instance, or an id"},
    {"ENDPOINT", Kind::kEndpoint, "where it listens, like 10.0.0.5:7601"}};
constexpr Parameter kNewPeer[] = {{"PEER", Kind::kText, "a name for it"},
                                  {"ADDRESS", Kind::kEndpoint, "where messages for its agents go"}};
constexpr Parameter kNode[] = {{"NODE", Kind::kNode, "name of the member"}};
constexpr Parameter kKeyStep[] = {
    {"ACTION", Kind::kKeyStep, "list, add, use or remove; on all routers, in this order"},
    {"KEY", Kind::kText, "fingerprint; with add a key in base64, or none for a new one", true}};
constexpr Parameter kFile[] = {
    {"FILE", Kind::kFile,
     "checked here, without the control plane; default: the one in use, or "
     "while no control plane runs the one it would read",
     true}};
constexpr Parameter kBackupFolder[] = {
    {"FOLDER", Kind::kFile,
     "a new one, in one that is there and where the control plane may write; with the store on one "
     "file system little is copied"}};
constexpr Parameter kBackup[] = {{"BACKUP", Kind::kFile, "the folder of a backup"}};
constexpr Parameter kNewStore[] = {
    {"NEW", Kind::kFile, "a folder that is not there yet, for the new store"}};
constexpr Parameter kShell[] = {{"SHELL", Kind::kShell, "bash"}};
constexpr Parameter kLine[] = {{"LINE", Kind::kAnyText, "the command line up to the cursor"}};

constexpr Option kTenant{"tenant", "N", Form::kRequired, Kind::kTenant, "tenant of the agent"};
constexpr Option kOnPort{"port", "PORT", Form::kValue, Kind::kPort, "only this port"};
constexpr Option kWatch{"watch",
                        "SECONDS",
                        Form::kOptionalValue,
                        Kind::kDuration,
                        "again and again, with rates; every second by default",
                        "1"};
constexpr Option kSamples{"samples", "N", Form::kValue, Kind::kCount,
                          "with --watch: end after so many"};

constexpr Option kStatusOptions[] = {{"wait", "SECONDS", Form::kValue, Kind::kDuration,
                                      "wait until the dataplane is connected and programmed, and "
                                      "the kernel has found every host or given it up"}};
constexpr Option kAddOptions[] = {kTenant,
                                  {"capability", "NAME", Form::kRepeated, Kind::kCapability,
                                   "what it offers; may be given several times"}};
constexpr Option kListOptions[] = {
    {"origin", "ORIGIN", Form::kValue, Kind::kOrigin, "only static, registered or peer"},
    {"tenant", "N", Form::kValue, Kind::kTenant, "only of this tenant"},
    {"capability", "NAME", Form::kValue, Kind::kCapability, "only those that offer it"},
    {"prefix", "TEXT", Form::kValue, Kind::kText, "only names that begin so"},
    {"peer", "PEER", Form::kValue, Kind::kPeer, "only those of this peer"},
    {"limit", "N", Form::kValue, Kind::kCount, "at most so many"}};
constexpr Option kTokenOptions[] = {kTenant};
constexpr Option kInitOptions[] = {
    {"token", "TOKEN", Form::kValue, Kind::kText, "from 'sluice cluster join-token' of a member"},
    {"keys-file", "FILE", Form::kValue, Kind::kFile,
     "where the keys go; default: cluster.keys-file of the configuration, or "
     "/var/lib/sluice/cluster.keys"}};
constexpr Option kKeysOptions[] = {
    {"others-done", "", Form::kFlag, Kind::kText,
     "members that are no routers, such as serf agents, or are away, were seen to by other means"}};
constexpr Option kEventsOptions[] = {
    {"all", "", Form::kFlag, Kind::kText, "begin with those of before that are still known"},
    {"count", "N", Form::kValue, Kind::kCount, "end after so many"},
    {"for", "SECONDS", Form::kValue, Kind::kDuration, "end after this time"}};
constexpr Option kPortOptions[] = {kOnPort};
constexpr Option kStatsOptions[] = {
    {"port", "PORT", Form::kRepeated, Kind::kPort, "only this port; may be given several times"},
    kWatch,
    kSamples,
    {"clear", "", Form::kFlag, Kind::kText, "set all counters to zero"}};
constexpr Option kDropsOptions[] = {kOnPort, kWatch, kSamples};
constexpr Option kTraceOptions[] = {
    {"source", "AGENT", Form::kValue, Kind::kAgent, "only messages of this agent"},
    {"destination", "NAME", Form::kValue, Kind::kTarget,
     "only messages for this agent or capability"},
    {"count", "N", Form::kValue, Kind::kCount, "end after so many messages, at most 10000", "1"},
    {"timeout", "SECONDS", Form::kValue, Kind::kDuration, "end after this time", "60"}};

constexpr Option kRestoreOptions[] = {
    {"directory", "FOLDER", Form::kValue, Kind::kFile,
     "where the store shall be; default: store.directory of the configuration"},
    {"replace", "", Form::kFlag, Kind::kText,
     "set the store aside that is there, as FOLDER.old-1"}};
constexpr Option kVerifyOptions[] = {
    {"directory", "FOLDER", Form::kValue, Kind::kFile,
     "of a store that nobody has open, without the control plane; names every damaged place"}};
constexpr Option kSalvageOptions[] = {
    {"directory", "FOLDER", Form::kValue, Kind::kFile,
     "the damaged store; default: store.directory of the configuration"}};
constexpr Option kMigrateOptions[] = {
    {"lanes", "N", Form::kValue, Kind::kCount, "1 to 64 parts that are compacted independently"},
    {"format", "N", Form::kValue, Kind::kCount,
     "version of the segment files, 1 to 3; 3 is the fastest"}};
constexpr Option kUsageOptions[] = {
    {"tenant", "N", Form::kValue, Kind::kTenant, "only of this tenant"}};
constexpr Option kExportOptions[] = {
    {"tenant", "N", Form::kRequired, Kind::kTenant, "whose data"},
    {"output", "FILE", Form::kValue, Kind::kFile,
     "where to; it is there when it is complete, or not at all; default: standard output"}};
constexpr Option kDeleteOptions[] = {
    {"tenant", "N", Form::kRequired, Kind::kTenant, "whose agents and data"},
    {"yes", "", Form::kFlag, Kind::kText, "do it; without this it says what would go, and fails"}};
constexpr Option kEstimateOptions[] = {
    {"agents", "N", Form::kRequired, Kind::kCount, "how many agents"},
    {"capabilities", "N", Form::kValue, Kind::kNumber, "how many different ones", "0"},
    {"per-agent", "N", Form::kValue, Kind::kNumber, "capabilities that an agent offers", "1"},
    {"lanes", "N", Form::kValue, Kind::kCount, "as configured: store.lanes", "4"},
    {"no-base", "", Form::kFlag, Kind::kText, "without a base segment: store.base is off"},
    {"hosts", "N", Form::kValue, Kind::kCount,
     "addresses that they live at; default: each at its own, as far as a router can know so many"},
    {"mbufs", "N", Form::kValue, Kind::kCount,
     "as configured: dataplane.mbufs; fails when they are too few to start", "32768"},
    {"ports", "N", Form::kValue, Kind::kCount, "how many the router has: for --mbufs", "1"},
    {"workers", "N", Form::kValue, Kind::kCount, "how many it has: for --mbufs", "1"},
    {"memory", "BYTES", Form::kValue, Kind::kBytes,
     "what the machine has for the router; fails when the fleet does not fit"},
    {"caches", "", Form::kFlag, Kind::kText,
     "divide what is left of --memory over caches that agents or gateways in front of the router "
     "keep; the router has none"},
    {"measured", "CACHE:LOOKUPS:HITS:ENTRIES", Form::kRepeated, Kind::kText,
     "what was seen of such a cache: positive, negative or capability; with all three the division "
     "follows them"}};

// Of ping, send and listen.
constexpr Option kRouter{"router", "ADDRESS", Form::kRequired, Kind::kRouter,
                         "the router's address; UDP port 7600 unless given"};
constexpr Option kName{"name", "NAME", Form::kValue, Kind::kAgentName, "who we are"};
constexpr Option kOwnId{"id", "ID", Form::kValue, Kind::kId, "who we are, when without a name"};
constexpr Option kOwnTenant{"tenant", "N", Form::kRequired, Kind::kTenant, "our tenant"};
constexpr Option kToken{"token", "HEX", Form::kValue, Kind::kToken,
                        "our token; others on this machine may see it, so rather --token-file"};
constexpr Option kTokenFile{"token-file", "FILE", Form::kValue, Kind::kFile,
                            "file with our token, as 'sluice agent token' prints it"};
constexpr Option kLocal{"local", "ADDRESS", Form::kValue, Kind::kText,
                        "bind to this address, with or without UDP port"};
constexpr Option kOffer{"offer", "NAME", Form::kRepeated, Kind::kCapability,
                        "capability we register; may be given several times"};
constexpr Option kRegister{"register", "", Form::kFlag, Kind::kText,
                           "register with the router first (the default)"};
constexpr Option kNoRegister{"no-register", "", Form::kFlag, Kind::kText,
                             "do not: the router knows us by its configuration"};
constexpr Option kCapability{"capability", "", Form::kFlag, Kind::kText,
                             "the destination is a capability: to one of its members"};
constexpr Option kAllMembers{"all-members", "", Form::kFlag, Kind::kText,
                             "the destination is a capability: to all of its members"};

constexpr Option kPingOptions[] = {
    kRouter,
    kName,
    kOwnId,
    kOwnTenant,
    kToken,
    kTokenFile,
    kLocal,
    kOffer,
    kRegister,
    kNoRegister,
    kCapability,
    {"count", "N", Form::kValue, Kind::kCount, "end after so many; otherwise with Ctrl-C"},
    {"interval", "SECONDS", Form::kValue, Kind::kDuration, "time between two", "1"},
    {"size", "BYTES", Form::kValue, Kind::kSize, "payload", "0"},
    {"timeout", "SECONDS", Form::kValue, Kind::kDuration, "how long to wait for an answer", "2"}};
constexpr Option kSendOptions[] = {
    kRouter,
    kName,
    kOwnId,
    kOwnTenant,
    kToken,
    kTokenFile,
    kLocal,
    kOffer,
    kRegister,
    kNoRegister,
    kCapability,
    kAllMembers,
    {"count", "N", Form::kValue, Kind::kCount, "how many messages", "1"},
    {"rate", "PER-SECOND", Form::kValue, Kind::kRate, "0: as fast as possible", "0"},
    {"size", "BYTES", Form::kValue, Kind::kSize, "payload", "64"},
    {"text", "TEXT", Form::kValue, Kind::kAnyText, "what the payload begins with"},
    {"class", "0-7", Form::kValue, Kind::kClass, "traffic class, 7 is the highest", "3"},
    {"lifetime", "SECONDS", Form::kValue, Kind::kDuration,
     "not delivered later than that; rounded up to 2^n ms; 0: for ever", "0"},
    {"key", "NUMBER", Form::kValue, Kind::kNumber,
     "routing key; messages of one key stay together and in order"},
    {"tag", "NUMBER", Form::kValue, Kind::kNumber, "the application's message type", "0"},
    {"notify", "", Form::kFlag, Kind::kText,
     "ask for notices of undeliverable messages; one that came makes the exit status 1"},
    {"wait-notices", "SECONDS", Form::kValue, Kind::kDuration,
     "wait so long for notices after the last message; asks for them, too"}};
constexpr Option kListenOptions[] = {
    kRouter,
    kName,
    kOwnId,
    kOwnTenant,
    kToken,
    kTokenFile,
    kLocal,
    {"capability", "NAME", Form::kRepeated, Kind::kCapability,
     "what we offer; may be given several times"},
    kRegister,
    kNoRegister,
    {"count", "N", Form::kValue, Kind::kCount, "end after so many messages"},
    {"timeout", "SECONDS", Form::kValue, Kind::kDuration, "end after this time"},
    {"show", "", Form::kFlag, Kind::kText, "print each message"}};

constexpr std::span<const Parameter> kNoParameters;
constexpr std::span<const Option> kNoOptions;

constexpr Command kCommands[] = {
    {"status", "", "the router as a whole: processes, link, tables, ports, workers", kNoParameters,
     kStatusOptions, status},
    {"agent", "add", "add a static agent, kept until it is deleted", kNewAgent, kAddOptions,
     agent_add},
    {"agent", "delete", "delete an agent", kAgent, kNoOptions, agent_delete},
    {"agent", "list", "all agents, in the order of their ids", kNoParameters, kListOptions,
     agent_list},
    {"agent", "show", "everything known of one agent", kAgent, kNoOptions, agent_show},
    {"agent", "resolve", "who answers to a name or offers a capability", kTarget, kNoOptions,
     agent_resolve},
    {"agent", "token", "print the token an agent proves itself with", kAgent, kTokenOptions,
     agent_token},
    {"route", "lookup", "where messages for an id or name go", kTarget, kNoOptions, route_lookup},
    {"route", "count", "how many routes there are, by kind", kNoParameters, kNoOptions,
     route_count},
    {"adjacency", "list", "next hops with their state", kNoParameters, kPortOptions,
     adjacency_list},
    {"port", "list", "all ports", kNoParameters, kNoOptions, port_list},
    {"port", "show", "everything known of one port", kPort, kNoOptions, port_show},
    {"neighbor", "list", "the kernel's neighbours on the ports", kNoParameters, kPortOptions,
     neighbor_list},
    {"peer", "add", "add another router, kept until it is deleted", kNewPeer, kNoOptions, peer_add},
    {"peer", "delete", "delete another router with its agents", kPeer, kNoOptions, peer_delete},
    {"peer", "list", "other routers", kNoParameters, kNoOptions, peer_list},
    {"tenant", "list", "tenants, their limits and whom they may address", kNoParameters, kNoOptions,
     tenant_list},
    {"node", "list", "the members of the cluster", kNoParameters, kNoOptions, node_list},
    {"node", "show", "everything known of one member", kNode, kNoOptions, node_show},
    {"node", "leave", "take this router out of the cluster until it is restarted", kNoParameters,
     kNoOptions, node_leave},
    {"node", "force-leave", "a failed member will not come back: do not wait for it", kNode,
     kNoOptions, node_force_leave},
    {"cluster", "init", "make the keys of a new cluster, or take over those of a token",
     kNoParameters, kInitOptions, cluster_init},
    {"cluster", "join-token", "print what another router needs to join; a secret", kNoParameters,
     kNoOptions, cluster_join_token},
    {"cluster", "keys", "show the keys of the cluster, or change them without a gap", kKeyStep,
     kKeysOptions, cluster_keys},
    {"cluster", "events", "follow what happens in the cluster", kNoParameters, kEventsOptions,
     cluster_events},
    {"store", "status", "what outlives a restart: size, health, layout, work done", kNoParameters,
     kNoOptions, store_status},
    {"store", "verify", "check every checksum of the store", kNoParameters, kVerifyOptions,
     store_verify},
    {"store", "backup", "make a backup while everything goes on", kBackupFolder, kNoOptions,
     store_backup},
    {"store", "restore", "put a backup in place, with the control plane stopped", kBackup,
     kRestoreOptions, store_restore},
    {"store", "salvage",
     "make a new store of all that can be read of a damaged one, which stays as it is, with the "
     "control plane stopped",
     kNewStore, kSalvageOptions, store_salvage},
    {"store", "compact", "merge all segments now, to one in each lane and form", kNoParameters,
     kNoOptions, store_compact},
    {"store", "migrate", "write the store anew in another layout while everything goes on",
     kNoParameters, kMigrateOptions, store_migrate},
    {"store", "usage", "what the store holds of each tenant", kNoParameters, kUsageOptions,
     store_usage},
    {"store", "export", "everything the store has of a tenant, as JSON, one object a line",
     kNoParameters, kExportOptions, store_export},
    {"store", "delete", "end all agents of a tenant and forget everything of it, for good",
     kNoParameters, kDeleteOptions, store_delete},
    {"store", "estimate", "memory and disk that a fleet takes, and the configuration that holds it",
     kNoParameters, kEstimateOptions, store_estimate},
    {"stats", "", "counters of ports and workers; rates with --watch", kNoParameters, kStatsOptions,
     stats},
    {"drops", "", "what was dropped and why", kNoParameters, kDropsOptions, drops},
    {"trace", "", "follow the next messages through the pipeline", kNoParameters, kTraceOptions,
     trace},
    {"config", "show", "the configuration in effect, with all defaults", kNoParameters, kNoOptions,
     config_show},
    {"config", "check", "everything that is wrong with a configuration file", kFile, kNoOptions,
     config_check},
    {"config", "reload", "take over the changed configuration file", kNoParameters, kNoOptions,
     config_reload},
    {"ping", "", "round trips to an agent through a router", kDestination, kPingOptions, ping},
    {"send", "", "send messages through a router at an exact rate", kDestination, kSendOptions,
     send},
    {"listen", "", "receive messages; loss, reordering, latency", kNoParameters, kListenOptions,
     listen},
    {"completion", "", "print the completion script of a shell", kShell, kNoOptions, completion},
    {"version", "", "print the version", kNoParameters, kNoOptions, version},
    {"complete", "", "what may follow on a command line", kLine, kNoOptions, complete, true},
    {"man", "", "print the manual page in roff", kNoParameters, kNoOptions, man, true},
};

constexpr Option kGlobal[] = {
    {"socket", "PATH", Form::kValue, Kind::kFile,
     "the control plane's socket; default: api.socket of the configuration, or "
     "/run/sluice/api.sock"},
    {"config", "FILE", Form::kValue, Kind::kFile,
     "configuration that names the socket; default: /etc/sluice/sluice.yaml"},
    {"json", "", Form::kFlag, Kind::kText, "JSON instead of text"},
    {"timeout", "SECONDS", Form::kValue, Kind::kDuration, "how long to wait for an answer", "10"},
    {"no-color", "", Form::kFlag, Kind::kText, "no colours"},
};

}  // namespace

std::span<const Command> commands() noexcept {
  return kCommands;
}

std::span<const Option> global_options() noexcept {
  return kGlobal;
}

}  // namespace sluice::cli
