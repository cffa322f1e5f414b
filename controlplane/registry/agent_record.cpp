#include "controlplane/registry/agent_record.hpp"

#include <string>

#include "sluice/base/bytes.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kAgent = 1;
constexpr std::uint8_t kDeparted = 2;
constexpr std::size_t kDepartedBytes = 18;
constexpr std::size_t kAgentBytes = 52;
constexpr std::size_t kMaxPeerBytes = 255;

template <class T>
void put(std::vector<std::uint8_t>& out, T value) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}
void put_text(std::vector<std::uint8_t>& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

// Reads on only as long as there is something; `ok` is false from the first field that is cut off.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }
  template <class T>
  T get() {
    T value = 0;
    for (const auto byte : take(sizeof(T)))
      value = static_cast<T>(value << 8 | byte);
    return value;
  }
  std::string_view text(std::size_t size) {
    const auto bytes = take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::span<const std::uint8_t> take(std::size_t size) {
    ok_ = ok_ && size <= bytes_.size();
    if (!ok_) return {};
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool ok_ = true;
};

std::unexpected<Error> bad(const Id& id, std::string_view what) {
  return fail(ErrorCode::kCorrupt,
              "the stored record of agent " + to_string(id) + ": " + std::string(what),
              ErrorOrigin::kStore);
}

Status check_texts(const StoredAgent& agent) {
  if (!agent.name.empty()) {
    if (!check_agent_name(agent.name)) return bad(agent.id, "its name is none");
    // As it was when the name was accepted; a record under another's id must not be believed.
    thread_local IdMaker id_of;
    if (id_of(agent.name) != agent.id) return bad(agent.id, "its name belongs to another id");
  }
  for (const auto capability : agent.capabilities) {
    if (!check_capability_name(capability)) return bad(agent.id, "a capability's name is none");
  }
  return {};
}

Status check(const StoredAgent& agent) {
  const bool leased = agent.origin == Origin::kRegistered;
  const bool of_peer = agent.origin == Origin::kPeer;
  if (agent.id.is_nil()) return bad(agent.id, "the id is nil");
  if (agent.tenant == 0) return bad(agent.id, "it has no tenant");
  if (of_peer != !agent.peer.empty()) return bad(agent.id, "peer and origin contradict each other");
  if (!of_peer && (agent.endpoint.port == 0 || agent.endpoint.address.is_unspecified())) {
    return bad(agent.id, "it has no endpoint");
  }
  if (leased != (agent.granted_s != 0))
    return bad(agent.id, "lease and origin contradict each other");
  if (agent.granted_s > kMaxLeaseSeconds) return bad(agent.id, "its lease is longer than any");
  return check_texts(agent);
}

}  // namespace

void encode_agent(const StoredAgent& agent, std::vector<std::uint8_t>& out) {
  put(out, kVersion);
  put(out, kAgent);
  put(out, static_cast<std::uint8_t>(agent.origin));
  put(out, static_cast<std::uint8_t>(agent.capabilities.size()));
  put(out, static_cast<std::uint8_t>(agent.name.size()));
  put(out, static_cast<std::uint8_t>(agent.peer.size()));
  put(out, agent.endpoint.port);
  out.insert(out.end(), agent.endpoint.address.bytes.begin(), agent.endpoint.address.bytes.end());
  put(out, agent.added_s);
  put(out, agent.granted_s);
  put(out, agent.renewed_realtime_ns);
  put(out, agent.request_timestamp_ns);
  put(out, agent.moves);
  put_text(out, agent.name);
  put_text(out, agent.peer.substr(0, kMaxPeerBytes));
  for (const auto capability : agent.capabilities) {
    put(out, static_cast<std::uint8_t>(capability.size()));
    put_text(out, capability);
  }
}

void encode_departed(const StoredDeparted& departed, std::vector<std::uint8_t>& out) {
  put(out, kVersion);
  put(out, kDeparted);
  put(out, departed.request_timestamp_ns);
  put(out, departed.until_realtime_ns);
}

Result<std::variant<StoredAgent, StoredDeparted>> decode_agent(
    const Id& id, std::uint16_t tenant, std::span<const std::uint8_t> bytes) {
  Reader reader(bytes);
  const auto version = reader.get<std::uint8_t>();
  const auto kind = reader.get<std::uint8_t>();
  if (!reader.ok()) return bad(id, "it is cut off");
  if (version != kVersion) {
    return bad(id, "its version " + std::to_string(version) + " is not known to this program");
  }
  if (kind == kDeparted) {
    if (bytes.size() != kDepartedBytes) return bad(id, "it has a wrong size");
    const auto request = reader.get<std::uint64_t>();
    return StoredDeparted{id, tenant, request, reader.get<std::uint64_t>()};
  }
  if (kind != kAgent) return bad(id, "its kind is not known");
  if (bytes.size() < kAgentBytes) return bad(id, "it is cut off");
  StoredAgent agent{.id = id, .tenant = tenant};
  const auto origin = reader.get<std::uint8_t>();
  if (origin < 1 || origin > static_cast<std::uint8_t>(Origin::kPeer)) {
    return bad(id, "its origin is none");
  }
  agent.origin = static_cast<Origin>(origin);
  const auto capabilities = reader.get<std::uint8_t>();
  if (capabilities > kMaxCapabilitiesPerAgent) return bad(id, "it has too many capabilities");
  const auto name_bytes = reader.get<std::uint8_t>();
  const auto peer_bytes = reader.get<std::uint8_t>();
  agent.endpoint.port = reader.get<std::uint16_t>();
  const auto address = reader.take(agent.endpoint.address.bytes.size());
  std::copy(address.begin(), address.end(), agent.endpoint.address.bytes.begin());
  agent.added_s = reader.get<std::uint32_t>();
  agent.granted_s = reader.get<std::uint32_t>();
  agent.renewed_realtime_ns = reader.get<std::uint64_t>();
  agent.request_timestamp_ns = reader.get<std::uint64_t>();
  agent.moves = reader.get<std::uint32_t>();
  agent.name = reader.text(name_bytes);
  agent.peer = reader.text(peer_bytes);
  agent.capabilities.reserve(capabilities);
  for (unsigned i = 0; i < capabilities && reader.ok(); ++i)
    agent.capabilities.push_back(reader.text(reader.get<std::uint8_t>()));
  if (!reader.ok()) return bad(id, "it is cut off");
  if (!reader.at_end()) return bad(id, "bytes follow its end");
  if (auto ok = check(agent); !ok) return std::unexpected(ok.error());
  return agent;
}

}  // namespace sluice::controlplane
