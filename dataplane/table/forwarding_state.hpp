// Everything small that workers need besides routes: who this router is, its ports' addresses and
// roles, the peers, the tenants, the settings. An immutable snapshot: the applier fills a new one
// (usually a copy of the last), publishes it (tables.hpp) and never touches it again; a worker
// loads the pointer once per burst. Building one is the manager thread's; reading, anyone's. Needs
// no EAL.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "sluice/base/ids.hpp"
#include "sluice/link/messages.hpp"
#include "sluice/link/status.hpp"
#include "sluice/route/limits.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {

// A set of addresses with one or two cache lines per question. Open addressing, at most half full.
class AddressSet {
 public:
  AddressSet() = default;
  explicit AddressSet(std::span<const IpAddress> addresses);
  bool contains(const IpAddress& address) const noexcept {
    if (cells_.empty()) return false;
    for (std::size_t i = hash(address) & mask_;; i = (i + 1) & mask_) {
      if (!cells_[i].used) return false;
      if (cells_[i].address == address) return true;
    }
  }
  std::size_t size() const noexcept { return size_; }

 private:
  struct Cell {
    IpAddress address;
    bool used = false;
  };
  static std::size_t hash(const IpAddress& address) noexcept;

  std::vector<Cell> cells_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

struct TenantLimit {
  std::uint64_t rate_per_second = 0;  // messages; 0: no limit
  std::uint32_t burst = 0;            // messages

  friend bool operator==(const TenantLimit&, const TenantLimit&) = default;
};

// The tenants as the control plane described them. Each has a dense index below size(), so that a
// worker keeps its meters in an array. An index stays with its tenant in later versions made by
// with() and without(); one that becomes free is given to the next new tenant.
class Tenants {
 public:
  static constexpr std::uint16_t kNoTenant = 0xffff;  // index of a tenant that was never set

  Tenants();
  // Replaces what was known of the tenant's limit, keeps whom it may address.
  Tenants with(std::uint16_t tenant, TenantLimit limit) const;
  // One destination more or less that it may address besides itself. The tenant need not be known.
  Tenants with_allowed(std::uint16_t tenant, std::uint16_t destination, bool allowed) const;
  Tenants without(std::uint16_t tenant) const;

  std::uint16_t index_of(std::uint16_t tenant) const noexcept { return index_[tenant]; }
  const TenantLimit& limit(std::uint16_t index) const noexcept { return limits_[index]; }
  // A tenant may always address itself.
  bool allowed(std::uint16_t tenant, std::uint16_t destination) const noexcept {
    if (tenant == destination) return true;
    if (pairs_.empty()) return false;
    const std::uint32_t pair = pack(tenant, destination);
    for (std::size_t i = pair_hash(pair) & pair_mask_;; i = (i + 1) & pair_mask_) {
      if (pairs_[i] == pair) return true;
      if (pairs_[i] == kNoPair) return false;
    }
  }
  std::size_t allowed_by(std::uint16_t tenant) const noexcept;
  // One above the largest index in use.
  std::size_t size() const noexcept { return limits_.size(); }

 private:
  static constexpr std::uint32_t kNoPair = 0;  // (0, 0) is never stored: it is always allowed
  static std::uint32_t pack(std::uint16_t tenant, std::uint16_t destination) noexcept {
    return static_cast<std::uint32_t>(tenant) << 16 | destination;
  }
  static std::size_t pair_hash(std::uint32_t pair) noexcept {
    return static_cast<std::size_t>(pair * 0x9e3779b1u) >> 8;
  }
  std::vector<std::uint32_t> stored_pairs() const;
  void store_pairs(const std::vector<std::uint32_t>& pairs);

  std::vector<std::uint16_t> index_;  // by tenant, 65 536
  std::vector<TenantLimit> limits_;   // by index
  std::vector<std::uint16_t> free_;
  std::vector<std::uint32_t> pairs_;
  std::size_t pair_mask_ = 0;
};

struct PortForwarding {
  link::PortRole role = link::PortRole::kEdge;
  bool source_guard = true;
  std::uint8_t local_count = 0;
  std::array<IpAddress, kMaxLocalAddressesPerPort> local{};

  bool is_local(const IpAddress& address) const noexcept {
    for (std::size_t i = 0; i < local_count; ++i)
      if (local[i] == address) return true;
    return false;
  }
  // False when it was there already (add), was not there (remove), or there is no room.
  bool add_local(const IpAddress& address) noexcept;
  bool remove_local(const IpAddress& address) noexcept;
};

struct ForwardingState {
  Id router_id;
  std::uint16_t message_port = 7600;  // UDP, host order
  bool ready = false;                 // all state of one epoch has arrived
  bool control_plane_connected = false;
  std::uint8_t epoch = 0;
  link::Settings settings{};
  std::array<PortForwarding, kMaxPorts> port{};
  // Shared between snapshots that do not change them; only the manager thread copies the pointers.
  std::shared_ptr<const AddressSet> peers = std::make_shared<const AddressSet>();
  std::shared_ptr<const Tenants> tenants = std::make_shared<const Tenants>();
};

}  // namespace sluice::dataplane
