// Everything that one process reads from the shared region: commands of any bytes through the real
// applier and tables, slots, events and trace records through their checks. Nothing crashes,
// nothing outside the tables' limits gets in, every command is accounted for.
//
// Input: any number of commands of 64 bytes. A first command makes an epoch, so that more gets past
// the epoch check.
#include <spdlog/spdlog.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "controlplane/link/validate.hpp"
#include "dataplane/apply/applier.hpp"
#include "dataplane/apply/frames.hpp"
#include "dataplane/table/tables.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::uint16_t kPorts = 3;
constexpr std::size_t kSlots = 64;

struct Nobody final : ApplyObserver {
  void route_appeared(const Id&) override {}
  void base_changed() override {}
  void adjacencies_changed() override {}
  void settings_changed(const link::Settings& settings) override {
    FUZZ_REQUIRE(settings.message_port != 0);
  }
  void trace_changed(std::uint32_t, std::uint32_t count) override { FUZZ_REQUIRE(count <= 10'000); }
};

struct Region {
  Region() : at(static_cast<link::Region*>(std::aligned_alloc(4096, sizeof(link::Region)))) {
    std::memset(static_cast<void*>(at), 0, sizeof *at);
  }
  ~Region() { std::free(at); }
  link::Region* at;
};

// Without DPDK's environment there is no route table: routes end at kNoHashKey.
void apply(const std::vector<link::Command>& commands) {
  static const auto status = std::make_unique<link::StatusSegment>();
  static const Region region;
  std::memset(&region.at->commands, 0, 3 * sizeof(std::uint64_t) * 8);
  PortTable ports;
  ports.count = kPorts;
  auto tables = Tables::create({.routes = 16, .adjacencies = kSlots, .groups = kSlots});
  FUZZ_REQUIRE(tables.has_value());
  EventSender events;
  Nobody nobody;
  Applier applier(**tables, ports, *status, events, nobody);
  applier.attach(*region.at);
  link::RingProducer<link::Command, link::CommandRing::capacity> producer(region.at->commands);
  bool ok = true;
  const auto n = static_cast<std::uint32_t>(commands.size());
  FUZZ_REQUIRE(producer.push(commands.data(), n, ok) == n);
  while (applier.run(4096) == Applier::Progress::kMore) {
  }
  FUZZ_REQUIRE(region.at->applied_sequence == n);
  FUZZ_REQUIRE((*tables)->adjacencies.size() <= kSlots && (*tables)->groups.size() <= kSlots);
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    const Adjacency& line = (*tables)->adjacencies.at(i);
    if (line.state == AdjacencyState::kFree) continue;
    FUZZ_REQUIRE(line.port < kPorts && (line.l2_bytes == 14 || line.l2_bytes == 18));
    FUZZ_REQUIRE(line.backup == kNoIndex || line.backup < kSlots);
    const Group* group = (*tables)->groups.at(i);
    FUZZ_REQUIRE(group == nullptr || group->members().size() <= kMaxGroupMembers);
  }
  applier.detach();
}

void check_slots(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> bytes(sizeof(link::TraceRecord) + sizeof(link::SlotHeader));
  std::memcpy(bytes.data(), data, std::min(size, bytes.size()));
  const auto header = load<link::SlotHeader>(bytes.data());
  if (valid_inject(header, kPorts, 1500)) {
    std::vector<std::uint8_t> frame(inject_header_bytes(header) + header.bytes);
    FUZZ_REQUIRE(frame.size() <= 1500 + kMaxL2Bytes);
    write_inject_headers(header, {2, 0, 0, 0, 0, 1}, frame.data());
    const std::size_t l2 = header.vlan == 0 ? 14 : 18;
    const std::size_t l3 = header.family == Family::kIpv4 ? 20 : 40;
    const auto view = view_message(frame.data(), frame.size(), l2, l3);
    FUZZ_REQUIRE(view && view->bytes == header.bytes);
    FUZZ_REQUIRE(punt_header(frame.data(), l2, l3, *view, 0, 0).local == header.remote);
  }
  for (const std::size_t l2 : {14, 18}) {
    for (const std::size_t l3 : {20, 40}) {
      if (const auto view = view_message(data, size, l2, l3)) {
        FUZZ_REQUIRE(view->offset + view->bytes <= size);
        const auto punted = punt_header(data, l2, l3, *view, 0, 0);
        FUZZ_REQUIRE(punted.bytes == view->bytes);
      }
    }
  }
  if (controlplane::valid_punt(header)) FUZZ_REQUIRE(header.bytes <= sizeof(link::Slot::data));
  const auto record = load<link::TraceRecord>(bytes.data());
  if (controlplane::valid_trace(record)) FUZZ_REQUIRE(record.steps <= link::kMaxTraceSteps);
  link::Event event{};
  std::memcpy(static_cast<void*>(&event), bytes.data(), sizeof event);
  if (controlplane::valid_event(event)) FUZZ_REQUIRE(event.kind != link::EventKind{});
}

void run(const std::uint8_t* data, std::size_t size) {
  spdlog::set_level(spdlog::level::off);
  check_slots(data, size);
  std::vector<link::Command> commands{link::Command{}};
  commands[0].header.kind = link::CommandKind::kBeginSync;
  commands[0].header.epoch = 1;
  for (; size >= sizeof(link::Command);
       size -= sizeof(link::Command), data += sizeof(link::Command)) {
    link::Command command{};
    std::memcpy(static_cast<void*>(&command), data, sizeof command);
    commands.push_back(command);
  }
  apply(commands);
}

}  // namespace
}  // namespace sluice::dataplane

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::dataplane::run(data, size);
  return 0;
}
