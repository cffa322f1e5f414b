// Decides when the dataplane's routes get a new base segment, has it built in the background, hands
// it over, and keeps its file, so that a restarted dataplane, or a restarted control plane, has
// most routes at once. Control thread only; threads of its own do what takes long.
//
//   start: newest file -> checked in a thread -> compared with the routes -> in use
//   later: too many routes differ -> snapshot in pieces -> built in a thread -> offered -> loaded
//          -> in use -> the dataplane is done -> the old file goes
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "controlplane/base_tier/build_job.hpp"
#include "controlplane/base_tier/ids_file.hpp"
#include "controlplane/link/link.hpp"
#include "controlplane/link/route_base.hpp"
#include "controlplane/store/segment/base_file.hpp"

namespace sluice::controlplane {

struct BaseManagerOptions {
  std::string directory;  // of the segment files
  HashKey key;
  bool enabled = true;
  std::uint64_t table_routes = 0;     // what the dataplane can have beside a base
  std::uint64_t delta_max = 100'000;  // at most half of that counts
  std::uint64_t interval_ns = 0;
  std::uint64_t bytes_per_second = 0;
  unsigned threads = 1;
};

struct BaseManagerInfo {
  enum class State : std::uint8_t { kOff, kIdle, kAdopting, kBuilding, kOffering, kPruning };

  State state = State::kOff;
  std::uint64_t entries = 0;  // of the base in use; 0: none
  std::uint64_t bytes = 0;
  std::uint64_t uncovered = 0;  // routes that are sent one by one
  std::uint64_t deleted = 0;
  std::uint64_t created_unix_s = 0;
  std::uint64_t built = 0;  // by this process
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;  // by the dataplane
  std::uint64_t adopted = 0;  // entries that were taken over at start
  std::uint64_t last_build_ns = 0;
  std::string last_error;
};
std::string_view to_string(BaseManagerInfo::State state) noexcept;

// What it needs of the link.
class BaseLink {
 public:
  virtual ~BaseLink() = default;
  virtual LinkState state() const = 0;
  virtual Status offer(const link::SegmentId& segment, int file) = 0;
  // What the dataplane's table holds, which was started by a configuration of its time; 0: not
  // known.
  virtual std::uint64_t table_routes() const = 0;
};

// What it needs of the event loop. `post` from any thread.
struct BaseLoop {
  std::function<void(std::function<void()>)> post;
  std::function<void(std::chrono::milliseconds, std::function<void()>)> after;
  std::function<std::uint64_t()> monotonic_ns;
};

class FileImage;

class BaseManager {
 public:
  BaseManager(Programmer& programmer, BaseLink& link, store::Fs& fs, BaseLoop loop,
              BaseManagerOptions options);
  ~BaseManager();
  BaseManager(const BaseManager&) = delete;
  BaseManager& operator=(const BaseManager&) = delete;

  // key=value lines.
  void on_log(std::function<void(const std::string&, bool warn)> log) { log_ = std::move(log); }
  // On reload.
  void set_policy(std::uint64_t delta_max, std::uint64_t interval_ns);
  // As soon as it may, when anything differs, though it be little: what was deleted for good shall
  // not stay in a file.
  void want_build() { wanted_ = true; }

  // Once, when the routes of the state before the restart are known, before the link starts.
  // `keep`: this id's route is still to come.
  void start(std::function<bool(const Id&)> keep);
  // The routes are known to the base, or fit the dataplane without one: the link may start.
  bool settled() const;

  void on_state(LinkState state);
  void on_event(const link::Event& event);
  void tick();
  // Threads end; nothing is posted any more.
  void stop();

  BaseManagerInfo info() const;

 private:
  enum class Step : std::uint8_t { kNew, kAdopting, kIdle, kBuilding, kBuilt, kPruning };

  static constexpr std::string_view kSegment = ".segment";
  static constexpr std::string_view kIds = ".ids";

  std::string path_of(const link::SegmentId& segment, std::string_view ending) const;
  std::shared_ptr<const FileImage> find_newest();
  void check(std::shared_ptr<const FileImage> image);
  void adopt(std::shared_ptr<const FileImage> image, const Status& checked);
  void adopt_more(std::uint64_t run);
  void end_adopting();
  void adopt_unknown(std::uint64_t run);
  void adopt_ids(std::uint64_t run);
  void abort_adopting(const Error& error);
  void finish_adopting();
  void tidy_files();

  std::uint64_t table_routes() const;
  void compare_tables();
  bool table_is_short() const;
  bool is_due() const;
  std::uint64_t most_different() const;
  void begin_build();
  void feed_build(std::uint64_t run);
  void fill(BuildJob::Piece& piece);
  void end_build(std::uint64_t run, Result<store::BaseInfo> built);
  void build_failed(const Error& error);
  void hand_over();
  void install_built();
  void offer(const std::shared_ptr<const BaseImage>& image);
  void offer_soon();
  void on_refused(const link::BaseRefused& refused);
  void log(const std::string& line, bool warn = false) const {
    if (log_) log_(line, warn);
  }

  Programmer& programmer_;
  RouteBase& routes_;
  BaseLink& link_;
  store::Fs& fs_;
  BaseLoop loop_;
  BaseManagerOptions options_;
  IdHasher hasher_;
  std::function<void(const std::string&, bool)> log_;
  std::function<bool(const Id&)> keep_;
  Step step_ = Step::kNew;
  BaseManagerInfo info_;
  std::uint64_t run_ = 0;  // what was posted for an earlier one does nothing
  std::uint32_t number_ = 0;
  std::unique_ptr<BuildJob> job_;
  std::unique_ptr<BuildJob::Piece> piece_;  // that the job had no room for
  std::vector<AdjacencyKey> told_;          // by handle, what the job knows
  std::optional<link::SegmentId> making_;   // of the job, or of built_: its files stay
  std::shared_ptr<const BaseImage> built_;  // not in use yet
  std::unique_ptr<IdsReader> ids_;          // of the base that is being adopted
  std::uint64_t build_began_ns_ = 0;
  std::uint64_t rested_ns_ = 0;     // when the interval after the last base is over
  std::uint64_t retry_ns_ = 0;      // not before, after a failure
  std::uint64_t answer_by_ns_ = 0;  // 0: no offer waits
  std::uint64_t links_ = 0;         // changes of the link's state
  std::uint64_t told_table_ = 0;    // size of a table that is smaller than configured
  bool wanted_ = false;
  std::thread checker_;
  std::atomic<bool> stopping_{false};
};

}  // namespace sluice::controlplane
