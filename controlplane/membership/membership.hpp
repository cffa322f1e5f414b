// Membership as the rest of the control plane sees it: one member of the cluster, running on a
// thread of its own, so that nothing the control thread is busy with looks like a failure to
// others. All methods may be called from any thread but that one, and wait for it for as long as
// its event loop takes; events are kept for a while and fetched by number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/membership/driver.hpp"
#include "controlplane/membership/key_order.hpp"
#include "controlplane/membership/key_tags.hpp"
#include "sluice/base/result.hpp"

namespace sluice::membership {

struct MembershipOptions {
  DriverOptions driver;
  std::string keys_file;   // of the keys that driver.wire has; empty: none
  std::string state_file;  // empty: nothing is kept
  Driver::OnLog on_log;    // on the thread of the member
};

struct ClusterMember {
  std::string name;
  Endpoint address;
  MemberState state = MemberState::kAlive;
  std::uint32_t incarnation = 0;
  Tags tags;
  Vsn vsn;
  std::uint64_t state_age_ns = 0;
  std::uint64_t answered_age_ns = 0;  // UINT64_MAX: never
  bool self = false;
  bool router = false;
};

struct ClusterStatus {
  std::string name;
  Endpoint bind;
  Endpoint advertise;
  std::string label;
  bool encrypted = false;
  std::array<std::size_t, 4> members{};  // by state
  std::size_t lost_peers = 0;
  int health = 0;  // 0: good
  std::size_t queued = 0;
  std::size_t queued_user = 0;
  std::size_t streams = 0;
  std::size_t stream_bytes = 0;  // held for them
  CoreStats core;
  DriverStats driver;
};

struct ClusterEvent {
  std::uint64_t sequence = 0;
  std::uint64_t time_ns = 0;  // since the Unix epoch
  MemberEvent event;
};

// What is known of one key over the whole cluster: routers tell which they have.
struct ClusterKey {
  std::string fingerprint;
  bool here = false;
  bool primary_here = false;
  std::size_t routers = 0;  // reachable ones that have it, this one included
  std::size_t primary = 0;  // ... and use it
};
struct ClusterKeys {
  std::vector<ClusterKey> keys;
  std::size_t routers = 0;  // reachable ones, this one included
  std::size_t others = 0;   // reachable members that do not tell, such as serf agents
  std::size_t away = 0;     // failed ones, which may come back
};

class Membership {
 public:
  static Result<std::unique_ptr<Membership>> create(MembershipOptions options);
  ~Membership();
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  void start();
  // Takes leave of the cluster and waits until it is told, a few seconds.
  void leave();

  std::vector<ClusterMember> members();
  ClusterStatus status();
  // kNotFound: nobody of the name; kInvalidArgument: it is alive.
  Status force_leave(const std::string& name);

  ClusterKeys keys();
  // One step of a rotation on all routers. Refused while it would cut anybody off: a key is used
  // only when all have it, removed only when none uses it, and neither while members are away that
  // may come back. others_too: members that do not tell, or are away, have been seen to by other
  // means.
  Status key_step(KeyStep step, const Key& key, bool others_too);
  // A key of this member by its fingerprint or the beginning of it; to be removed, also one that an
  // order given here was about lately.
  Result<Key> find_key(const std::string& fingerprint, KeyStep step);

  // Those after the given number; waits for one up to the time. The oldest are given up first.
  std::vector<ClusterEvent> events_after(std::uint64_t sequence, std::uint64_t wait_ns);
  std::uint64_t last_event() const;

 private:
  struct Impl;
  explicit Membership(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::membership
