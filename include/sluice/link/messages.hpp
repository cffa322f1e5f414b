// Commands (control plane to dataplane) and events (back): 64 bytes each, one ring element each,
// fixed layout, no pointers. The receiver validates every field; what it refuses comes back as an
// error event.
//
// Handles: the control plane names adjacencies and groups by handles of its own choosing (below
// kMaxAdjacencies / kMaxGroups), valid within one epoch. The applier maps a handle to a slot of its
// tables by content (port, vlan, destination address; capability id), so that a restarted control
// plane that numbers them anew finds the same slots, and routes of the old epoch stay right until
// they are swept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "sluice/base/ids.hpp"
#include "sluice/link/base_messages.hpp"
#include "sluice/route/action.hpp"
#include "sluice/route/adjacency.hpp"
#include "sluice/route/group.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::link {

enum class CommandKind : std::uint8_t {
  kBeginSync = 1,  // header.epoch becomes the current epoch
  kEndSync = 2,    // all state of the epoch was sent: the dataplane is ready
  kSweep = 3,      // forget everything that carries another epoch
  kHashKey = 4,    // key of the route table; before the first route
  kRouterId = 5,
  kRouteSet = 6,
  kRouteDelete = 7,
  kAdjacencySet = 8,
  kAdjacencyState = 9,
  kAdjacencyDelete = 10,
  kGroupBegin = 11,  // starts a new definition of a group; kGroupMember x n; kGroupCommit
  kGroupMember = 12,
  kGroupCommit = 13,
  kGroupDelete = 14,
  kLocalAddress = 15,  // an address of the router itself
  kPeerAddress = 16,   // an address that trunk messages may come from
  kTenantSet = 17,
  kTenantAllow = 18,  // one destination tenant that a tenant may address besides itself
  kTenantDelete = 19,
  kPortSettings = 20,
  kSettings = 21,
  kTraceStart = 22,
  kTraceStop = 23,
  kCountersClear = 24,
  kBaseBegin = 25,  // see base_messages.hpp; kBaseAdjacency x n; kBaseCommit
  kBaseAdjacency = 26,
  kBaseCommit = 27,
  kBaseDrop = 28,  // no base any more; what only it knew is forgotten
};
inline constexpr std::uint8_t kMaxCommandKind = 28;

struct CommandHeader {
  CommandKind kind;
  std::uint8_t epoch;
  std::uint16_t reserved;
  std::uint32_t reserved2;
};

struct RouteSet {
  Id id;
  ActionKind kind;  // kAdjacency, kGroup: handle is used; kUnreachable, kLocal: it is not
  std::uint8_t reserved;
  std::uint16_t tenant;
  std::uint32_t handle;
  std::uint16_t udp_port;
};
struct RouteDelete {
  Id id;
};
struct AdjacencySet {
  std::uint32_t handle;
  std::uint16_t port;
  std::uint16_t vlan;    // 0: untagged
  AdjacencyState state;  // kUnresolved, kUp or kDown
  Family family;
  MacAddress mac;     // of the next hop; the source is the port's own
  std::uint16_t mtu;  // largest IP packet, bytes; 0: the port's
  std::uint16_t reserved;
  std::uint32_t backup;                 // handle or kNoIndex
  std::array<std::uint8_t, 16> source;  // IPv4: in the first 4 bytes
  std::array<std::uint8_t, 16> destination;
};
struct AdjacencyStateSet {
  std::uint32_t handle;
  AdjacencyState state;
};
struct AdjacencyDelete {
  std::uint32_t handle;
};
struct GroupBegin {
  Id capability;
  std::uint32_t handle;
  std::uint16_t members;  // number of kGroupMember that follow, at most kMaxGroupMembers
  GroupPolicy policy;
};
struct GroupMember {
  Id id;                    // for rendezvous hashing, and to skip the sender itself
  std::uint32_t group;      // handle
  std::uint32_t adjacency;  // handle
  std::uint16_t position;   // 0 .. members-1
  std::uint16_t udp_port;
  std::uint16_t tenant;
  std::uint16_t weight;  // 1 .. 1000
};
struct GroupRef {  // kGroupCommit, kGroupDelete
  std::uint32_t handle;
};
struct LocalAddress {
  IpAddress address;
  std::uint16_t port;
  std::uint8_t present;  // 1 add, 0 remove
};
struct PeerAddress {
  IpAddress address;
  std::uint8_t present;
};
struct TenantSet {
  std::uint16_t tenant;
  std::uint16_t reserved;
  std::uint32_t burst;            // messages
  std::uint64_t rate_per_second;  // messages; 0: no limit
};
struct TenantAllow {
  std::uint16_t tenant;
  std::uint16_t destination;
  std::uint8_t present;
};
struct TenantRef {
  std::uint16_t tenant;
};
struct PortSettings {
  std::uint16_t port;
  std::uint8_t source_guard;  // 0 or 1
};
struct Settings {
  std::uint32_t hold_per_id;
  std::uint32_t hold_total;
  std::uint32_t hold_ms;
  std::uint32_t negative_cache_ms;
  std::uint32_t notices_per_second;
  std::uint32_t punts_per_second;
  std::uint32_t discoveries_per_second;
  std::uint16_t message_port;
};
struct TraceStart {
  Id source;            // nil: any
  Id destination;       // nil: any
  std::uint32_t count;  // 1 .. 10000
  std::uint32_t token;  // comes back in every record
};

struct alignas(8) Command {
  CommandHeader header;
  union Body {
    std::array<std::uint8_t, 56> bytes;
    std::array<std::uint8_t, 16> hash_key;
    Id router_id;
    RouteSet route_set;
    RouteDelete route_delete;
    AdjacencySet adjacency_set;
    AdjacencyStateSet adjacency_state;
    AdjacencyDelete adjacency_delete;
    GroupBegin group_begin;
    GroupMember group_member;
    GroupRef group;
    LocalAddress local_address;
    PeerAddress peer_address;
    TenantSet tenant_set;
    TenantAllow tenant_allow;
    TenantRef tenant;
    PortSettings port_settings;
    Settings settings;
    TraceStart trace_start;
    BaseBegin base_begin;
    BaseAdjacency base_adjacency;
    BaseRef base;
  } body;
};
static_assert(sizeof(Command) == 64 && std::is_trivially_copyable_v<Command>);
static_assert(offsetof(Command, body) == 8);
static_assert(sizeof(RouteSet) == 28 && offsetof(RouteSet, handle) == 20);
static_assert(sizeof(AdjacencySet) == 56 && offsetof(AdjacencySet, source) == 24);
static_assert(sizeof(GroupMember) == 32 && offsetof(GroupMember, group) == 16);
static_assert(sizeof(TenantSet) == 16 && sizeof(Settings) == 32 && sizeof(TraceStart) == 40);

enum class EventKind : std::uint8_t {
  kSyncDone = 1,        // count: entries in the route table
  kSweepDone = 2,       // count: entries removed
  kCommandRefused = 3,  // a command failed validation or its table is full
  kUnknownDestination = 4,
  kPortLink = 5,
  kTraceDone = 6,
  kTableFull = 7,     // once when it happens, not per refused command
  kSourceDenied = 8,  // rate-limited: who sent with an id that is not registered there
  kBaseLoaded = 9,    // see base_messages.hpp
  kBaseRefused = 10,
  kBaseDone = 11,
};
inline constexpr std::uint8_t kMaxEventKind = 11;

enum class RefusedReason : std::uint8_t {
  kBadKind = 1,
  kBadField = 2,
  kBadHandle = 3,  // out of range, or never set in this epoch
  kWrongEpoch = 4,
  kTableFull = 5,
  kNoHashKey = 6,
  kNotLoaded = 7,  // kBaseBegin of a segment that the dataplane does not have
};

struct CommandRefused {
  std::uint64_t sequence;  // how many-th command of this connection, from 1
  CommandKind kind;
  RefusedReason reason;
  std::uint16_t reserved;
  std::uint32_t handle;  // or kNoIndex
  Id id;                 // or nil
};
struct UnknownDestination {
  Id destination;
  Id source;
  std::uint16_t tenant;
  std::uint16_t port;       // ingress
  std::uint8_t capability;  // 1: the destination is a capability id
};
struct PortLink {
  std::uint16_t port;
  std::uint8_t up;
  std::uint8_t reserved;
  std::uint32_t speed_mbps;
};
struct SourceDenied {
  Id source;
  IpAddress address;
  std::uint16_t udp_port;
  std::uint16_t port;
  std::uint16_t tenant;
};
struct Counted {  // kSyncDone, kSweepDone, kTraceDone (token in epoch_or_token), kTableFull
  std::uint64_t count;
  std::uint32_t epoch_or_token;
};

struct alignas(8) Event {
  EventKind kind;
  std::array<std::uint8_t, 7> reserved;
  union Body {
    std::array<std::uint8_t, 56> bytes;
    CommandRefused refused;
    UnknownDestination unknown_destination;
    PortLink port_link;
    SourceDenied source_denied;
    Counted counted;
    BaseLoaded base_loaded;
    BaseRefused base_refused;
    BaseDone base_done;
  } body;
};
static_assert(sizeof(Event) == 64 && std::is_trivially_copyable_v<Event>);
static_assert(sizeof(CommandRefused) == 32 && sizeof(UnknownDestination) == 38);
static_assert(sizeof(SourceDenied) == 38 && sizeof(Counted) == 16);

// Punt and inject: messages to and from the control plane, and trace records, in 2 KiB slots.
enum class SlotKind : std::uint8_t { kMessage = 1, kTrace = 2 };

struct SlotHeader {
  std::uint32_t bytes;  // of data
  SlotKind kind;
  Family family;
  std::uint16_t port;  // punt: ingress; inject: egress
  std::uint16_t vlan;
  MacAddress mac;  // of the neighbour: who sent it (punt), who gets it (inject)
  std::uint16_t local_udp_port;
  std::uint16_t remote_udp_port;
  std::uint32_t reserved;
  std::uint64_t received_ns;  // realtime, punt only
  IpAddress local;            // the router's address
  IpAddress remote;
};
static_assert(sizeof(SlotHeader) == 64 && offsetof(SlotHeader, local) == 32);

inline constexpr std::size_t kSlotBytes = 2048;
struct alignas(kCacheLineBytes) Slot {
  SlotHeader header;
  std::array<std::uint8_t, kSlotBytes - sizeof(SlotHeader)> data;  // from the envelope on
};
static_assert(sizeof(Slot) == kSlotBytes && std::is_trivially_copyable_v<Slot>);

// One traced message (Slot::data of a kTrace slot).
enum class TraceStage : std::uint8_t {
  kClassify = 1,
  kResolve = 2,
  kPolice = 3,
  kRewrite = 4,
  kEgress = 5
};
inline constexpr std::uint8_t kMaxTraceStage = 5;
enum class Verdict : std::uint8_t {
  kForward = 0,
  kDeliverSeveral = 1,
  kHold = 2,
  kPunt = 3,
  kAnswer = 4,  // turned around by this router: echo reply
  kHost = 5,    // not a message: to the kernel
  kDrop = 6,
};
inline constexpr std::uint8_t kMaxVerdict = 6;

struct TraceStep {
  TraceStage stage;
  Verdict verdict;
  std::uint8_t drop_reason;  // DropReason when verdict is kDrop
  std::uint8_t reserved;
  std::uint32_t detail;  // classify: header offset; resolve: adjacency or group index; egress: port
  std::uint64_t action;  // resolve: Action bits
};
static_assert(sizeof(TraceStep) == 16);

inline constexpr std::size_t kTraceBytes = 192;
inline constexpr std::size_t kMaxTraceSteps = 8;
struct TraceRecord {
  std::uint64_t received_ns;  // realtime
  std::uint32_t token;
  std::uint16_t ingress_port;
  std::uint16_t egress_port;  // 0xffff: none
  std::uint16_t worker;
  std::uint16_t frame_bytes;
  std::uint16_t before_bytes;  // valid in `before`
  std::uint16_t after_bytes;   // valid in `after`; 0 when not forwarded
  std::uint8_t steps;
  std::uint8_t final_verdict;
  std::uint8_t final_reason;
  std::uint8_t reserved[5];
  std::array<TraceStep, kMaxTraceSteps> step;
  std::array<std::uint8_t, kTraceBytes> before;
  std::array<std::uint8_t, kTraceBytes> after;
};
static_assert(sizeof(TraceRecord) == 32 + 128 + 2 * kTraceBytes);
static_assert(std::is_trivially_copyable_v<TraceRecord>);

}  // namespace sluice::link
