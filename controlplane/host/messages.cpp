#include "controlplane/host/messages.hpp"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstring>

namespace sluice::controlplane::netlink {

namespace {

// Room for the largest request here, with every attribute it has.
constexpr std::size_t kMaxRequestBytes = 256;
constexpr std::size_t kMaxAttributes = 64;

class Request {
 public:
  Request(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence)
      : header_(mnl_nlmsg_put_header(bytes_.data())) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header_->nlmsg_seq = sequence;
  }
  template <class T>
  T& body() {
    return *static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
  }
  void put_address(std::uint16_t type, const IpAddress& ip) {
    if (ip.is_v4()) {
      mnl_attr_put(header_, type, 4, ip.bytes.data() + 12);
    } else {
      mnl_attr_put(header_, type, 16, ip.bytes.data());
    }
  }
  void put_u32(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(header_, type, value); }
  void append_to(Buffer& to) const {
    to.insert(to.end(), bytes_.begin(), bytes_.begin() + NLMSG_ALIGN(header_->nlmsg_len));
  }

 private:
  alignas(nlmsghdr) std::array<std::uint8_t, kMaxRequestBytes> bytes_{};
  nlmsghdr* header_;
};

std::uint8_t family_of(const IpAddress& ip) {
  return ip.is_v4() ? AF_INET : AF_INET6;
}
std::uint8_t bits_of(const IpAddress& ip) {
  return ip.is_v4() ? 32 : 128;
}

// The attributes of a message by type; those the kernel may add later are passed over.
class Attributes {
 public:
  Attributes(const nlmsghdr& message, std::size_t body_bytes) {
    const auto visit = [](const nlattr* attribute, void* data) -> int {
      auto* self = static_cast<Attributes*>(data);
      const std::uint16_t type = mnl_attr_get_type(attribute);
      if (type < kMaxAttributes) self->at_[type] = attribute;
      return MNL_CB_OK;
    };
    ok_ = mnl_attr_parse(&message, static_cast<unsigned>(body_bytes), visit, this) >= 0;
  }
  bool ok() const { return ok_; }
  std::optional<IpAddress> address(std::uint16_t type) const {
    const nlattr* attribute = at_[type];
    if (attribute == nullptr) return std::nullopt;
    const auto* payload = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
    if (mnl_attr_get_payload_len(attribute) == 4) return IpAddress::v4(load<Big32>(payload));
    if (mnl_attr_get_payload_len(attribute) == 16) {
      return IpAddress::v6(load<std::array<std::uint8_t, 16>>(payload));
    }
    return std::nullopt;
  }
  std::optional<MacAddress> mac(std::uint16_t type) const {
    const nlattr* attribute = at_[type];
    if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != 6) return std::nullopt;
    return load<MacAddress>(mnl_attr_get_payload(attribute));
  }
  std::uint32_t u32(std::uint16_t type) const {
    const nlattr* attribute = at_[type];
    if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != 4) return 0;
    return mnl_attr_get_u32(attribute);
  }
  std::string text(std::uint16_t type) const {
    const nlattr* attribute = at_[type];
    if (attribute == nullptr) return {};
    const auto* chars = static_cast<const char*>(mnl_attr_get_payload(attribute));
    return {chars, ::strnlen(chars, mnl_attr_get_payload_len(attribute))};
  }

 private:
  std::array<const nlattr*, kMaxAttributes> at_{};
  bool ok_ = false;
};

template <class Body>
const Body* body_of(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Body))) return nullptr;
  return static_cast<const Body*>(mnl_nlmsg_get_payload(&message));
}

Parsed parse_link(const nlmsghdr& message) {
  const auto* body = body_of<ifinfomsg>(message);
  if (body == nullptr || body->ifi_index <= 0) return {};
  const auto ifindex = static_cast<std::uint32_t>(body->ifi_index);
  if (message.nlmsg_type == RTM_DELLINK) return LinkGone{ifindex};
  const Attributes attributes(message, sizeof *body);
  if (!attributes.ok()) return {};
  return LinkFact{ifindex, attributes.text(IFLA_IFNAME), (body->ifi_flags & IFF_UP) != 0};
}

Parsed parse_address(const nlmsghdr& message) {
  const auto* body = body_of<ifaddrmsg>(message);
  if (body == nullptr) return {};
  const Attributes attributes(message, sizeof *body);
  if (!attributes.ok()) return {};
  // IPv4: the own address is the local one, on point-to-point links not the same as the other.
  auto address = attributes.address(IFA_LOCAL);
  if (!address) address = attributes.address(IFA_ADDRESS);
  if (!address) return {};
  const AddressFact fact{body->ifa_index, {*address, body->ifa_prefixlen}};
  if (message.nlmsg_type == RTM_DELADDR) return AddressGone{fact};
  return fact;
}

Parsed parse_neighbor(const nlmsghdr& message) {
  const auto* body = body_of<ndmsg>(message);
  if (body == nullptr || body->ndm_ifindex <= 0) return {};
  if (body->ndm_family != AF_INET && body->ndm_family != AF_INET6) return {};
  const Attributes attributes(message, sizeof *body);
  const auto address = attributes.ok() ? attributes.address(NDA_DST) : std::nullopt;
  if (!address) return {};
  NeighborFact fact{static_cast<std::uint32_t>(body->ndm_ifindex), *address,
                    static_cast<NeighborState>(body->ndm_state), attributes.mac(NDA_LLADDR)};
  if (message.nlmsg_type == RTM_DELNEIGH) return NeighborGone{fact};
  return fact;
}

Parsed parse_route(const nlmsghdr& message) {
  if (message.nlmsg_type == RTM_DELROUTE) return RouteGone{};
  const auto* body = body_of<rtmsg>(message);
  if (body == nullptr) return {};
  const Attributes attributes(message, sizeof *body);
  if (!attributes.ok()) return {};
  return RouteFact{attributes.u32(RTA_OIF), body->rtm_type == RTN_UNICAST,
                   attributes.address(RTA_GATEWAY), attributes.address(RTA_PREFSRC)};
}

}  // namespace

void put_dump(Buffer& to, std::uint32_t sequence, Dump what) {
  switch (what) {
    case Dump::kLinks: {
      Request request(RTM_GETLINK, NLM_F_DUMP, sequence);
      request.body<ifinfomsg>().ifi_family = AF_UNSPEC;
      return request.append_to(to);
    }
    case Dump::kAddresses: {
      Request request(RTM_GETADDR, NLM_F_DUMP, sequence);
      request.body<ifaddrmsg>().ifa_family = AF_UNSPEC;
      return request.append_to(to);
    }
    case Dump::kNeighbors: {
      Request request(RTM_GETNEIGH, NLM_F_DUMP, sequence);
      request.body<ndmsg>().ndm_family = AF_UNSPEC;
      return request.append_to(to);
    }
  }
}

void put_find_route(Buffer& to, std::uint32_t sequence, const IpAddress& destination) {
  Request request(RTM_GETROUTE, 0, sequence);
  auto& body = request.body<rtmsg>();
  body.rtm_family = family_of(destination);
  body.rtm_dst_len = bits_of(destination);
  request.put_address(RTA_DST, destination);
  request.append_to(to);
}

void put_ask_neighbor(Buffer& to, std::uint32_t sequence, std::uint32_t ifindex,
                      const IpAddress& address) {
  Request request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sequence);
  auto& body = request.body<ndmsg>();
  body.ndm_family = family_of(address);
  body.ndm_ifindex = static_cast<std::int32_t>(ifindex);
  body.ndm_state = NUD_NONE;
  body.ndm_flags = NTF_USE;
  request.put_address(NDA_DST, address);
  request.append_to(to);
}

void put_set_up(Buffer& to, std::uint32_t sequence, std::uint32_t ifindex) {
  Request request(RTM_NEWLINK, NLM_F_ACK, sequence);
  auto& body = request.body<ifinfomsg>();
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = static_cast<std::int32_t>(ifindex);
  body.ifi_flags = IFF_UP;
  body.ifi_change = IFF_UP;
  request.append_to(to);
}

void put_address(Buffer& to, std::uint32_t sequence, std::uint32_t ifindex,
                 const InterfaceAddress& address, bool add) {
  Request request(add ? RTM_NEWADDR : RTM_DELADDR,
                  add ? NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE : NLM_F_ACK, sequence);
  auto& body = request.body<ifaddrmsg>();
  body.ifa_family = family_of(address.address);
  body.ifa_prefixlen = address.prefix_length;
  body.ifa_index = ifindex;
  // The operator has chosen the address: after a restart of the dataplane nobody waits the seconds
  // that looking for a duplicate takes (RFC 4862, 5.4).
  if (!address.address.is_v4()) body.ifa_flags = IFA_F_NODAD;
  request.put_address(IFA_LOCAL, address.address);
  request.put_address(IFA_ADDRESS, address.address);
  request.append_to(to);
}

Parsed parse(const nlmsghdr& message) {
  switch (message.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return parse_link(message);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return parse_address(message);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return parse_neighbor(message);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return parse_route(message);
    default:
      return {};
  }
}

}  // namespace sluice::controlplane::netlink
