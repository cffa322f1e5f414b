// The configuration of one router as typed values, read by both processes and by the `sluice`
// command. Every value here is checked and in effect: defaults that depend on others (a port's
// workers, the API socket, ...) are already filled in. What each key means, its range and whether
// it can change while running stands in one table (config/table.hpp), which also makes `config
// show` and the manual page. Plain values; any thread. No function here throws; bad input of any
// kind gives an Error or Diagnostics.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/ids.hpp"
#include "sluice/base/result.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::config {

inline constexpr std::string_view kDefaultPath = "/etc/sluice/sluice.yaml";

enum class IdlePolicy : std::uint8_t { kPoll, kAdaptive };
enum class HugePages : std::uint8_t { kAuto, kOn, kOff };
enum class PortRole : std::uint8_t { kEdge, kTrunk };
enum class StoreSync : std::uint8_t { kEach, kInterval, kNever };
enum class ClusterProfile : std::uint8_t { kLan, kWan, kLocal };
enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

// An address of a host interface with the length of its network, "10.77.1.1/24".
struct Prefix {
  IpAddress address;
  std::uint8_t length = 0;  // bits within the address's own family

  friend bool operator==(const Prefix&, const Prefix&) = default;
};

struct Router {
  std::string name;  // default: the host's name
  std::string run_dir = "/run/sluice";
  std::string state_dir = "/var/lib/sluice";
  std::uint16_t message_port = 7600;  // UDP

  friend bool operator==(const Router&, const Router&) = default;
};

struct Dataplane {
  std::vector<std::uint32_t> workers;         // one core each, never empty
  std::optional<std::uint32_t> manager_core;  // nullopt: any core but the workers'
  IdlePolicy idle = IdlePolicy::kAdaptive;
  std::uint32_t idle_after_us = 1000;  // without a message, before a worker begins to sleep
  std::uint32_t idle_sleep_us = 500;   // longest sleep while a queue cannot wake
  HugePages huge_pages = HugePages::kAuto;
  std::uint32_t memory_mb = 512;  // of each NUMA node in use
  std::uint32_t mbufs = 32768;    // of each NUMA node in use
  std::uint32_t routes = 131072;
  std::uint32_t adjacencies = 65536;
  std::uint32_t groups = 4096;
  std::uint32_t burst = 32;
  std::vector<std::string> eal_args;

  friend bool operator==(const Dataplane&, const Dataplane&) = default;
};

struct Port {
  std::string name;
  std::string device;  // DPDK device arguments
  PortRole role = PortRole::kEdge;
  std::optional<std::uint32_t> rx_queues;  // nullopt: one for each worker that serves the port
  std::uint32_t descriptors = 1024;        // of each queue
  std::uint32_t mtu = 1500;
  std::uint32_t vlan = 0;      // 0: untagged
  std::string host_interface;  // default: "sl-" and the port's name
  std::vector<Prefix> addresses;
  bool source_guard = true;            // default: true on edge ports, false on trunks
  std::vector<std::uint32_t> workers;  // cores, out of dataplane.workers; default: all

  std::uint32_t queue_count() const noexcept {
    return rx_queues.value_or(static_cast<std::uint32_t>(workers.size()));
  }
  friend bool operator==(const Port&, const Port&) = default;
};

struct Hold {
  std::uint32_t per_id = 8;
  std::uint32_t total = 8192;  // default: a quarter of dataplane.mbufs, at most 65536
  std::uint32_t time_ms = 500;

  friend bool operator==(const Hold&, const Hold&) = default;
};

// Per second and router; 0 means none at all.
struct Limits {
  std::uint32_t notices_per_second = 10000;
  std::uint32_t punts_per_second = 10000;
  std::uint32_t discoveries_per_second = 10000;
  std::uint32_t negative_cache_ms = 1000;

  friend bool operator==(const Limits&, const Limits&) = default;
};

struct Tenant {
  std::uint16_t id = 0;
  std::string name;
  std::string token_key;  // the raw bytes; from token-key or token-key-file; empty: none
  std::string token_key_file;
  std::vector<std::uint16_t> allow;  // tenants whose agents may be addressed, besides its own
  std::uint32_t rate = 0;            // messages per second, 0: no limit
  std::uint32_t burst = 0;           // messages; 0 only without a rate

  friend bool operator==(const Tenant&, const Tenant&) = default;
};

inline constexpr std::size_t kMaxCapabilitiesOfAgent = 32;  // as of one that registers

// An agent known by configuration. Of a peer's agent the endpoint is empty: the peer knows it.
struct StaticAgent {
  Id id;
  std::string name;  // empty when the agent was given by its id
  std::uint16_t tenant = 0;
  Endpoint endpoint;
  std::vector<std::string> capabilities;

  friend bool operator==(const StaticAgent&, const StaticAgent&) = default;
};

// The agents of a file, kept as its text, which was checked: a fleet can be larger than memory for
// a StaticAgent each. Whoever has taken them over lets go of the text; what stays tells whether
// another file is the same. A value that shares the text; any thread.
class FileAgents {
 public:
  FileAgents() = default;
  FileAgents(std::string text, bool with_endpoints, std::uint64_t agents);

  std::uint64_t size() const noexcept { return agents_; }
  bool empty() const noexcept { return agents_ == 0; }
  // In the order of the file, until `take` says false; the agent is there during the call only.
  // Nothing after release().
  void for_each(const std::function<bool(const StaticAgent&)>& take) const;
  // The same for who takes them over: the text is given back to the system meanwhile, to whomever
  // it was lent, and is gone afterwards.
  void consume(const std::function<bool(const StaticAgent&)>& take);
  void release() noexcept { text_.reset(); }
  std::string_view text() const noexcept { return text_ ? std::string_view(*text_) : ""; }

  friend bool operator==(const FileAgents& a, const FileAgents& b) noexcept {
    return a.agents_ == b.agents_ && a.digest_ == b.digest_;
  }

 private:
  bool visit(std::string_view text, const std::function<bool(const StaticAgent&)>& take) const;

  std::shared_ptr<const std::string> text_;
  bool with_endpoints_ = false;
  std::uint64_t agents_ = 0;
  Id digest_;  // as of a name, but of the whole text
};

struct Peer {
  std::string name;
  Endpoint address;  // where messages for its agents go; port by default router.message-port
  std::vector<StaticAgent> agents;
  std::string agents_file;
  FileAgents file_agents;  // what agents_file holds

  friend bool operator==(const Peer&, const Peer&) = default;
};

struct Leases {
  std::uint32_t default_s = 30;
  std::uint32_t min_s = 5;
  std::uint32_t max_s = 3600;
  std::uint32_t grace_s = 10;
  std::uint32_t restart_grace_s = 30;

  friend bool operator==(const Leases&, const Leases&) = default;
};

struct Registration {
  bool require_token = true;

  friend bool operator==(const Registration&, const Registration&) = default;
};

// What must outlive a restart: registered agents, and what was added by command.
struct Store {
  std::string directory;  // default: <state-dir>/store
  StoreSync fsync = StoreSync::kEach;
  std::uint32_t fsync_interval_ms = 10;
  std::uint32_t lanes = 4;
  std::uint32_t overlay_mb = 64;
  std::uint32_t workers = 1;
  std::uint32_t rate_mb = 64;     // per second; 0: no limit
  std::uint32_t agents = 131071;  // default: dataplane.routes - 1
  bool base = true;
  std::uint32_t base_delta_max = 0;  // default: 100 000, at most half of dataplane.routes
  std::uint32_t base_interval_s = 30;

  friend bool operator==(const Store&, const Store&) = default;
};

// The other routers found by themselves: the memberlist protocol. Times that are not given are the
// profile's.
struct Cluster {
  std::optional<Endpoint> bind;       // nullopt: off; TCP and UDP
  std::optional<Endpoint> advertise;  // nullopt: found out
  std::vector<std::string> join;      // host or host:port
  std::string label;
  bool encryption = true;
  std::string keys_file;  // default: <state-dir>/cluster.keys
  bool verify_incoming = true;
  bool verify_outgoing = true;
  bool compression = true;
  std::string zone;
  ClusterProfile profile = ClusterProfile::kLan;
  std::optional<std::uint32_t> probe_interval_ms;
  std::optional<std::uint32_t> probe_timeout_ms;
  std::optional<std::uint32_t> indirect_checks;
  std::optional<std::uint32_t> suspicion_mult;
  std::optional<std::uint32_t> retransmit_mult;
  std::optional<std::uint32_t> gossip_interval_ms;
  std::optional<std::uint32_t> gossip_nodes;
  std::optional<std::uint32_t> gossip_to_dead_s;
  std::optional<std::uint32_t> push_pull_interval_s;
  std::optional<std::uint32_t> tcp_timeout_ms;

  friend bool operator==(const Cluster&, const Cluster&) = default;
};

struct Api {
  std::string socket;  // default: <run-dir>/api.sock
  std::string group;   // empty: only root

  friend bool operator==(const Api&, const Api&) = default;
};

struct Metrics {
  // TCP; nullopt: off
  std::optional<Endpoint> listen = Endpoint{IpAddress::v4(Big32(std::uint32_t{0x7f000001})), 9464};

  friend bool operator==(const Metrics&, const Metrics&) = default;
};

struct Log {
  LogLevel level = LogLevel::kInfo;
  std::string file;  // empty: standard error

  friend bool operator==(const Log&, const Log&) = default;
};

struct Config {
  Router router;
  Dataplane dataplane;
  std::vector<Port> ports;
  Hold hold;
  Limits limits;
  std::vector<Tenant> tenants;
  std::vector<StaticAgent> agents;
  std::string agents_file;
  FileAgents file_agents;  // what agents_file holds
  std::vector<Peer> peers;
  Leases leases;
  Registration registration;
  Store store;
  Cluster cluster;
  Api api;
  Metrics metrics;
  Log log;

  friend bool operator==(const Config&, const Config&) = default;
};

// Agents of all lists and files.
std::uint64_t agents_in(const Config& config);
// Lets go of the texts of agents-files, when their agents have been taken over.
void release_files(Config& config);
// The router's own id: that of the name "router/<router.name>".
Id router_id(const Config& config);
// Where the dataplane listens for the control plane: <run-dir>/dataplane.sock.
std::string link_socket(const Config& config);

std::string_view to_string(IdlePolicy value) noexcept;
std::string_view to_string(HugePages value) noexcept;
std::string_view to_string(PortRole value) noexcept;
std::string_view to_string(StoreSync value) noexcept;
std::string_view to_string(ClusterProfile value) noexcept;
std::string_view to_string(LogLevel value) noexcept;
std::string to_string(const Prefix& prefix);

// One thing wrong in a file. Line and column count from 1; 0 means the file as a whole.
struct Diagnostic {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string key;  // "ports[0].mtu"; empty for mistakes of the YAML itself
  std::string message;
};
// "file:line:column: key: message"
std::string to_string(const Diagnostic& diagnostic);

inline constexpr std::size_t kMaxDiagnostics =
    10'000;                                     // however bad a file is; the rest is counted
inline constexpr std::size_t kMaxInError = 20;  // of them in one Error: a daemon logs it, at start
inline constexpr std::size_t kMaxFileBytes = 16U << 20;

// Whether files named in the configuration (agents-file, token-key-file) are read as well, and what
// the control plane needs of the machine is looked for. The dataplane needs none of it, and the
// files may be large. kStart: so it does who runs the control plane now, or would, and must be able
// to make and write the folders itself.
enum class Files : std::uint8_t { kSkip, kRead, kStart };

struct Checked {
  Config config;                        // to be used only when ok()
  std::vector<Diagnostic> diagnostics;  // in the order of the file
  std::size_t more = 0;                 // mistakes beyond kMaxDiagnostics
  // What works and should not stay so: secrets that others can read. At most kMaxDiagnostics.
  std::vector<Diagnostic> warnings;

  bool ok() const noexcept { return diagnostics.empty(); }
};

// Everything that is wrong with a configuration. Relative paths of other files are taken from the
// folder of the configuration's own.
Checked check(const std::string& path, Files files = Files::kRead);
Checked check_text(std::string_view text, const std::string& filename, Files files = Files::kSkip);

// The same, with the first kMaxInError diagnostics, one a line, as the message of one Error.
Result<Config> as_result(Checked checked);
Result<Config> load(const std::string& path, Files files = Files::kRead);
Result<Config> parse(std::string_view text, const std::string& filename,
                     Files files = Files::kSkip);

// When a changed value takes effect: at the next start of the process, or at once on reload.
enum class Change : std::uint8_t { kBoot, kLive };

struct Difference {
  std::string
      key;  // "dataplane.burst", "ports[0].device"; lists that change live as a whole: "agents"
  Change change = Change::kBoot;
  std::string restart;  // what has to be restarted for it, "sluice-dataplane"; empty when live
};
std::vector<Difference> diff(const Config& before, const Config& after);
// What a reload asks first: an Error naming every key that can only change at start.
Status check_reload(const Config& before, const Config& after);

// The whole configuration in effect, defaults included, secrets as "***".
std::string show_yaml(const Config& config);
std::string show_json(const Config& config);
// sluice.yaml(5) in roff, made from the table.
std::string man_page();

}  // namespace sluice::config
