#include "controlplane/cli/rates.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>

namespace sluice::cli {
namespace {

// Subtracts all unsigned 64-bit fields of a message; false: one went back.
bool subtract(const google::protobuf::Message& before, google::protobuf::Message& now) {
  using Field = google::protobuf::FieldDescriptor;
  const auto& type = *now.GetDescriptor();
  const auto& reflection = *now.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const Field* field = type.field(i);
    if (field->is_repeated() || field->cpp_type() != Field::CPPTYPE_UINT64) continue;
    const std::uint64_t old = reflection.GetUInt64(before, field);
    const std::uint64_t value = reflection.GetUInt64(now, field);
    if (value < old) return false;
    reflection.SetUInt64(&now, field, value - old);
  }
  return true;
}

const api::PortStats* find_port(const api::StatsReply& reply, std::string_view port) {
  const auto found = std::ranges::find(reply.ports(), port, &api::PortStats::port);
  return found == reply.ports().end() ? nullptr : &*found;
}

const api::WorkerStats* find_worker(const api::StatsReply& reply, std::uint32_t index) {
  const auto found = std::ranges::find(reply.workers(), index, &api::WorkerStats::index);
  return found == reply.workers().end() ? nullptr : &*found;
}

}  // namespace

std::optional<api::PortCounters> counters_growth(const api::PortCounters& before,
                                                 const api::PortCounters& now) {
  api::PortCounters growth = now;
  if (!subtract(before, growth)) return std::nullopt;
  for (auto& drop : *growth.mutable_drops()) {
    const auto old = std::ranges::find(before.drops(), drop.reason(), &api::DropCount::reason);
    if (old == before.drops().end()) continue;
    if (old->count() > drop.count()) return std::nullopt;
    drop.set_count(drop.count() - old->count());
  }
  return growth;
}

bool Rates::next(const api::StatsReply& now) {
  const auto before = std::exchange(before_, now);
  growth_.Clear();
  restarted_ = before && before->dataplane_instance() != now.dataplane_instance();
  if (!before || restarted_ || now.taken_ns() <= before->taken_ns()) return false;
  seconds_ = static_cast<double>(now.taken_ns() - before->taken_ns()) / 1e9;
  for (const auto& port : now.ports()) {
    const auto* old = find_port(*before, port.port());
    const auto growth =
        old == nullptr ? std::nullopt : counters_growth(old->counters(), port.counters());
    if (!growth) {
      restarted_ = restarted_ || old != nullptr;
      continue;
    }
    auto& to = *growth_.add_ports();
    to.set_port(port.port());
    *to.mutable_counters() = *growth;
  }
  growth_.set_tsc_hz(now.tsc_hz());
  for (const auto& worker : now.workers()) {
    const auto* old = find_worker(*before, worker.index());
    if (old == nullptr || old->busy_tsc() > worker.busy_tsc()) continue;
    auto& to = *growth_.add_workers();
    to.set_index(worker.index());
    to.set_busy_tsc(worker.busy_tsc() - old->busy_tsc());
  }
  return true;
}

const api::PortCounters* Rates::growth(std::string_view port) const {
  const auto* found = find_port(growth_, port);
  return found == nullptr ? nullptr : &found->counters();
}

std::optional<double> Rates::busy(std::uint32_t worker) const {
  const auto* found = find_worker(growth_, worker);
  if (found == nullptr || growth_.tsc_hz() == 0) return std::nullopt;
  const double cycles = seconds_ * static_cast<double>(growth_.tsc_hz());
  return std::min(1.0, static_cast<double>(found->busy_tsc()) / cycles);
}

}  // namespace sluice::cli
