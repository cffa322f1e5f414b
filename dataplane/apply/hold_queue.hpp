// Messages that wait for their destination: bounded per id and in all, released in order of
// arrival, dropped at their deadline. All memory is taken at creation. Manager thread only. Knows
// nothing of mbufs: a message is an opaque pointer, and what happens to it is up to the sink.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "sluice/base/ids.hpp"

namespace sluice::dataplane {

enum class HoldDrop : std::uint8_t { kExpired, kFull, kShutdown };

class HoldSink {
 public:
  virtual ~HoldSink() = default;
  // Back into the pipeline of the worker it came from. False: no room now, ask again later.
  virtual bool release(void* message, std::uint16_t worker) = 0;
  // The sink owns the message from here on: counts it, tells the sender if it asked, frees it.
  virtual void drop(void* message, std::uint16_t worker, HoldDrop why) = 0;
  // The first message for an id that nobody asked about yet. False: over the rate, ask again with
  // the next one.
  virtual bool discover(const Id& destination, void* message) = 0;
  // Whether it would only be held for its next hop once more.
  virtual bool waits_on(void* message) = 0;
};

struct HoldLimits {
  std::uint32_t per_id = 8;
  std::uint32_t total = 65536;  // cut to the capacity
};

class HoldQueue {
 public:
  HoldQueue(std::uint32_t capacity, HoldSink& sink);
  ~HoldQueue();
  HoldQueue(const HoldQueue&) = delete;
  HoldQueue& operator=(const HoldQueue&) = delete;

  void set_limits(const HoldLimits& limits);

  // Takes the message. It is dropped (kFull) when its id or the whole queue has no room, or when
  // its tenant has half of the queue: one that sends to unknown ids leaves room for the others.
  // `deadline_ns`: when it is dropped, on the clock of now_ns; past is as good as now. `adjacency`:
  // it has a route but the next hop is unresolved, so nobody is asked about it.
  void hold(const Id& destination, std::uint16_t tenant, void* message, std::uint16_t worker,
            std::uint64_t now_ns, std::uint64_t deadline_ns, bool adjacency);

  bool holds(const Id& destination) const noexcept;
  // A route for the id is there: its messages go, oldest first.
  void release(const Id& destination);
  // Next hops changed: the ids held for one are looked at by advance(), and go unless they still
  // wait. Costs nothing here, however many are held.
  void release_unresolved() noexcept;
  // Many routes changed: as release() for each id that `known` says yes to.
  void release_known(const std::function<bool(const Id&)>& known);

  // Looks at unresolved ids again, goes on with releases that found no room, drops what is over its
  // deadline: at most `budget` messages of each. True when there is more to do now.
  bool advance(std::uint64_t now_ns, std::uint32_t budget);
  // When advance() must be called at the latest; UINT64_MAX: nothing is held.
  std::uint64_t next_deadline_ns() const noexcept;

  void drop_all(HoldDrop why);

  std::uint32_t size() const noexcept;
  std::uint32_t capacity() const noexcept;
  std::uint64_t released() const noexcept;
  std::uint64_t expired() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::dataplane
