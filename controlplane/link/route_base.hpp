// The base segments of the programmer: from its routes one is built, elsewhere and in pieces; then
// the dataplane takes most routes from there and is sent only what differs. What the programmer
// needs to know of a base is kept in the marks of its routes, so that changes cost the same as
// without one. Thread of the io_context only.
//
//   begin_snapshot, snapshot ...          -> routes to build the segment from
//   the dataplane says kBaseLoaded        -> install()
// After a restart of ours, before the link starts:
//   begin_adopt, adopt ..., adopt_missing ..., finish_adopt
// With each new connection the base is offered again; until loaded() or refused() the replay waits
// behind adjacencies and groups.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "controlplane/link/programmer.hpp"
#include "sluice/index/base_segment.hpp"
#include "sluice/link/base_messages.hpp"

namespace sluice::controlplane {

// A segment as the control plane sees it. The view's bytes belong to whoever made this.
struct BaseImage {
  virtual ~BaseImage() = default;

  index::BaseSegmentView view;
  std::uint32_t number = 0;  // counts up; for people

  const link::SegmentId& id() const noexcept { return view.header().id; }
};

// One route for a base: the action without epoch, whose index is that of an adjacency's handle.
struct BaseRoute {
  Id id;
  ActionKind kind;
  std::uint32_t handle;
  std::uint16_t udp_port;
  std::uint16_t tenant;
};

// How a destination is named in a segment's dictionary.
AdjacencyKey key_of(const index::BaseDestination& from);
index::BaseDestination destination_of(const AdjacencyKey& key);

class RouteBase {
 public:
  // ---- building a new one
  // A snapshot or adoption that was under way is forgotten.
  void begin_snapshot();
  // Appends the routes of the next `places` to `out`; false: there are no more. What changes
  // afterwards is known to differ from the segment.
  bool snapshot(std::uint32_t places, std::vector<BaseRoute>& out);
  // Key of a handle that a snapshot gave; valid until something else is called.
  const AdjacencyKey& adjacency(std::uint32_t handle) const;
  void abort();
  // The dataplane has loaded the segment that was built from the snapshot: takes it into use.
  void install(std::shared_ptr<const BaseImage> image);

  // ---- taking over one of an earlier process, while the link is down
  // `hasher`: under the key that the segment was built with.
  void begin_adopt(std::shared_ptr<const BaseImage> image, const IdHasher& hasher);
  // Compares the routes of the next `places` with it; false: there are no more.
  bool adopt(std::uint32_t places);
  const std::shared_ptr<const BaseImage>& adopting() const;
  // When adopt() has seen all: entries of the image that no route has; unless it is 0,
  // adopt_missing must be told all ids, in pieces of which routes may change in between.
  std::uint64_t adopt_unknown() const;
  // Ids that the image has. Those without a route are deleted, unless `keep` says that their route
  // is still to come.
  void adopt_missing(std::span<const Id> ids, const std::function<bool(const Id&)>& keep);
  void finish_adopt();

  // ---- the base in use
  const std::shared_ptr<const BaseImage>& current() const;  // null: none
  // Whether the replay of this connection waits for loaded() or refused().
  bool waiting() const;
  void loaded(const link::SegmentId& segment);
  // The dataplane does not take it, or lost it: all routes are sent one by one, there is no base.
  void refused();

  struct Counts {
    std::uint64_t routes = 0;     // that could be in a base
    std::uint64_t uncovered = 0;  // of them, not in the one in use, or otherwise
    std::uint64_t deleted = 0;    // ids of the base in use that are gone
    std::uint64_t others = 0;     // routes that no base can have
  };
  Counts counts() const;

 private:
  friend class Programmer;
  explicit RouteBase(Programmer::State& state) : state_(state) {}

  Programmer::State& state_;
};

}  // namespace sluice::controlplane
