// Up to some thousands of protocol cores in one process and in virtual time, with everything
// between and around them that can go wrong. Packets and streams are the real bytes through the
// real codec, so what is counted is what would be sent (before compression and encryption). A run
// is a function of its seed. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controlplane/membership/core.hpp"
#include "controlplane/membership/stream.hpp"
#include "tests/simulation/clockwork.hpp"
#include "tests/simulation/network.hpp"
#include "tests/simulation/truth.hpp"

namespace sluice::simulation {

struct SimulationConfig {
  std::size_t nodes = 100;
  std::uint64_t seed = 1;
  LinkQuality links;
  membership::Profile profile;
  membership::Lifeguard lifeguard;
  std::size_t meta_bytes = 60;  // about what a router's Meta takes
  bool rates = true;            // clocks run up to 100 ppm apart, from different zero points
};

// How a node does not keep up.
enum class Starved : std::uint8_t {
  kNo,
  kStopped,  // nothing runs, as after SIGSTOP: what comes in waits in the socket buffer
  kBlocked,  // timers run, but sending and receiving wait (the fault of the Lifeguard paper, §V)
};

struct Traffic {
  std::uint64_t packets = 0;
  std::uint64_t packet_bytes = 0;  // with IPv4 and UDP headers
  std::uint64_t streams = 0;
  std::uint64_t stream_bytes = 0;  // message bytes
};

class Simulation {
 public:
  explicit Simulation(const SimulationConfig& config);
  ~Simulation();

  std::size_t size() const noexcept { return nodes_.size(); }
  std::uint64_t now_ms() const noexcept { return clockwork_.now_ms(); }
  Network& network() noexcept { return network_; }
  Truth& truth() noexcept { return truth_; }

  // A process begins, alone or with somebody to ask; saved: with what its last life kept.
  void start(std::uint32_t node, const std::vector<std::uint32_t>& seeds, bool with_saved = false);
  // All of them at once, each knowing all: a cluster that has been up for long.
  void start_all_joined(std::uint32_t count);
  // Without a word. What it would find on its disk again is kept.
  void kill(std::uint32_t node);
  // Says so, and ends a second after it has been told.
  void leave(std::uint32_t node);
  void starve(std::uint32_t node, Starved how, std::uint64_t for_ms);
  void at(std::uint64_t ms, std::function<void()> action);
  void run_until(std::uint64_t ms);
  void run_for(std::uint64_t ms) { run_until(now_ms() + ms); }
  // Runs until all views agree with the truth, or until the time is up; how long it took, or -1.
  std::int64_t run_until_converged(std::uint64_t within_ms);

  // A datagram made up by an outsider.
  void inject(std::uint32_t to, const membership::PacketMessage& message);
  membership::Core* core(std::uint32_t node) noexcept { return nodes_[node]->core.get(); }
  const Traffic& traffic(std::uint32_t node) const noexcept { return nodes_[node]->traffic; }
  Traffic total_traffic() const;
  // Different user messages that have arrived; each is passed on once, as the layer above does it.
  std::size_t user_messages(std::uint32_t node) const noexcept {
    return nodes_[node]->heard.size();
  }
  void send_user(std::uint32_t node, std::string message);
  static std::string name_of(std::uint32_t node);
  static Endpoint address_of(std::uint32_t node);
  std::uint64_t handled() const noexcept { return handled_; }

  // Compares what the cores hold with what their events said, and the sizes of everything with
  // their bounds. Empty: all is well.
  std::string check();

 private:
  // Linux's default receive buffer, and what a small datagram is charged there.
  static constexpr std::size_t kSocketBuffer = 212'992;
  static constexpr std::size_t kSocketCharge = 768;
  static constexpr std::uint64_t kEnd = 1'000;

  struct Packet {
    Endpoint from;
    membership::Bytes bytes;
  };
  struct Exchange {  // a stream on its way
    std::uint32_t asker;
    std::uint32_t life;
    membership::StreamRequest request;
    membership::Bytes answer;
    bool failed = false;
  };
  struct Node : membership::Output {
    Simulation* world = nullptr;
    std::uint32_t index = 0;
    std::uint32_t life = 0;
    std::unique_ptr<membership::Core> core;
    std::unique_ptr<membership::SavedState> saved;
    Starved starved = Starved::kNo;
    std::uint64_t thaw_ms = 0;
    std::uint64_t wake_ms = 0;  // when it is to be woken next; 0 not at all
    std::int64_t clock_offset_ns = 0;
    double clock_rate = 1;
    std::deque<std::uint32_t> inbox;  // packets that came while it was starved
    std::deque<std::uint32_t> requests;
    std::size_t inbox_bytes = 0;
    Traffic traffic;
    std::set<std::string, std::less<>> heard;
    std::vector<std::string> to_pass_on;

    void packet(const Endpoint& to, membership::Bytes payload, bool crc) override;
    void open_stream(membership::StreamRequest request) override;
    void event(const membership::Event& event) override;
    std::uint64_t local_ns(std::uint64_t ms) const noexcept;
    std::uint64_t global_ms(std::uint64_t local) const noexcept;
  };

  void handle(const Occurrence& occurrence);
  void deliver(Node& node, std::uint32_t packet);
  void receive(Node& node, std::uint32_t packet);
  void wake(Node& node);
  void thaw(Node& node);
  void settle(Node& node);
  void request(Node& node, std::uint32_t exchange);
  void reply(Node& node, std::uint32_t exchange);
  void end(Node& node, bool keep);
  std::uint64_t sending_ms(const Node& node) const noexcept;
  std::uint32_t keep(Packet packet);
  void make_core(Node& node, bool with_saved);
  static std::uint32_t index_of(const Endpoint& endpoint) noexcept;
  static std::uint32_t index_of(std::string_view name) noexcept;

  SimulationConfig config_;
  Clockwork clockwork_;
  Network network_;
  Truth truth_;
  membership::InternPool pool_;
  membership::PacketDecoder decoder_;
  membership::WireSettings wire_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Packet> packets_;
  std::vector<std::uint32_t> free_packets_;
  std::deque<Exchange> exchanges_;  // handling one may begin another
  std::vector<std::uint32_t> free_exchanges_;
  std::vector<std::function<void()>> actions_;
  std::uint64_t handled_ = 0;
};

}  // namespace sluice::simulation
