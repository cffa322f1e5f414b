#include "controlplane/host/netlink.hpp"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>
#include <asio/post.hpp>

#include <cerrno>
#include <cstring>

namespace sluice::controlplane {

namespace {

constexpr std::size_t kReceiveBytes = 64 * 1024;
constexpr int kSocketBufferBytes = 8 << 20;
// Route lookups under way: their answers must fit the socket's buffer.
constexpr std::size_t kLookupsInFlight = 256;
constexpr std::size_t kSendBytes = 32 * 1024;

Result<int> open_socket(std::span<const int> groups) {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("opening a netlink socket: {}", std::strerror(errno)));
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  bool ok = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  for (const int group : groups) {
    ok = ok && ::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0;
  }
  if (!ok) {
    const int error = errno;
    ::close(fd);
    return fail(ErrorCode::kUnavailable,
                fmt::format("setting up a netlink socket: {}", std::strerror(error)));
  }
  // The privileged form goes beyond the system's limit; without the right to it the other will do.
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBufferBytes, sizeof(int)) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kSocketBufferBytes, sizeof(int));
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<Netlink>> Netlink::create(asio::io_context& io) {
  static constexpr int kGroups[] = {RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
                                    RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                                    RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE};
  const auto events = open_socket(kGroups);
  if (!events) return std::unexpected(events.error());
  const auto requests = open_socket({});
  if (!requests) {
    ::close(*events);
    return std::unexpected(requests.error());
  }
  return std::unique_ptr<Netlink>(new Netlink(io, *events, *requests));
}

Netlink::Netlink(asio::io_context& io, int events, int requests)
    : io_(io), events_(io, events), requests_(io, requests), receive_buffer_(kReceiveBytes) {}

void Netlink::start(KernelListener& listener) {
  listener_ = &listener;
  wait_events();
  wait_replies();
  dump_everything();
}

void Netlink::stop() {
  asio::error_code ignored;
  events_.close(ignored);
  requests_.close(ignored);
}

// ---- receiving ---------------------------------------------------------------------------------

void Netlink::wait_events() {
  events_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code error) {
    if (error) return;
    read_all(events_, true);
    wait_events();
  });
}

void Netlink::wait_replies() {
  requests_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code error) {
    if (error) return;
    read_all(requests_, false);
    send_waiting();
    wait_replies();
  });
}

void Netlink::read_all(asio::posix::stream_descriptor& socket, bool is_events) {
  // Bounded, so that a storm of changes does not keep the thread from everything else.
  for (int turn = 0; turn < 64; ++turn) {
    sockaddr_nl from{};
    socklen_t from_bytes = sizeof from;
    const auto got =
        ::recvfrom(socket.native_handle(), receive_buffer_.data(), receive_buffer_.size(),
                   MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &from_bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      // Answers are lost as well as changes: ask again for all of it.
      for (const auto& [sequence, destination] : lookups_sent_)
        lookups_.push_back(destination);
      lookups_sent_.clear();
      dump_everything();
      listener_->routes_changed();
      continue;
    }
    if (got < 0) return;
    if (from.nl_pid != 0) continue;  // only the kernel has anything to say here
    if (static_cast<std::size_t>(got) > receive_buffer_.size()) {
      dump_everything();
      continue;
    }
    int left = static_cast<int>(got);
    const auto* message = reinterpret_cast<const nlmsghdr*>(receive_buffer_.data());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
      handle(*message, is_events);
  }
}

void Netlink::handle(const nlmsghdr& message, bool is_event) {
  if (message.nlmsg_type == NLMSG_ERROR || message.nlmsg_type == NLMSG_DONE) {
    if (!is_event) handle_end(message);
    return;
  }
  const auto parsed = netlink::parse(message);
  if (is_event) {
    const bool is_route = std::holds_alternative<RouteFact>(parsed) ||
                          std::holds_alternative<netlink::RouteGone>(parsed);
    const bool is_rule = message.nlmsg_type == RTM_NEWRULE || message.nlmsg_type == RTM_DELRULE;
    if (is_route || is_rule) {
      listener_->routes_changed();
    } else {
      dispatch(parsed);
    }
    return;
  }
  if (message.nlmsg_seq == dump_sequence_ && !dumps_.empty()) {
    if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) dump_interrupted_ = true;
    dispatch(parsed);
    return;
  }
  const auto lookup = lookups_sent_.find(message.nlmsg_seq);
  if (lookup == lookups_sent_.end()) return;
  const IpAddress destination = lookup->second;
  lookups_sent_.erase(lookup);
  const auto* route = std::get_if<RouteFact>(&parsed);
  listener_->route_found(destination, route != nullptr ? *route : RouteFact{});
}

void Netlink::handle_end(const nlmsghdr& message) {
  int error = 0;
  if (message.nlmsg_type == NLMSG_ERROR) {
    if (message.nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) return;
    error = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error;
  }
  if (message.nlmsg_seq == dump_sequence_ && !dumps_.empty()) {
    const Dump done = dumps_.front();
    dumps_.pop_front();
    if (error != 0) listener_->request_failed("dump", error);
    if (dump_interrupted_ || error != 0) {
      dumps_.push_back(done);
    } else {
      listener_->dump_ends(done);
    }
    next_dump();
    return;
  }
  if (const auto lookup = lookups_sent_.find(message.nlmsg_seq); lookup != lookups_sent_.end()) {
    const IpAddress destination = lookup->second;
    lookups_sent_.erase(lookup);
    listener_->route_found(destination, RouteFact{});  // ENETUNREACH and its like
    return;
  }
  const auto asked = acknowledgements_.find(message.nlmsg_seq);
  if (asked != acknowledgements_.end()) {
    const std::string what = std::move(asked->second);
    acknowledgements_.erase(asked);
    if (error != 0) listener_->request_failed(what, error);
  } else if (error != 0) {
    listener_->request_failed("ask-neighbor", error);  // the only request without one
  }
}

void Netlink::dispatch(const netlink::Parsed& parsed) {
  struct Visitor {
    KernelListener& to;
    void operator()(std::monostate) const {}
    void operator()(const LinkFact& fact) const { to.link_seen(fact); }
    void operator()(const netlink::LinkGone& gone) const { to.link_gone(gone.ifindex); }
    void operator()(const AddressFact& fact) const { to.address_seen(fact); }
    void operator()(const netlink::AddressGone& gone) const { to.address_gone(gone.address); }
    void operator()(const NeighborFact& fact) const { to.neighbor_seen(fact); }
    void operator()(const netlink::NeighborGone& gone) const { to.neighbor_gone(gone.neighbor); }
    void operator()(const RouteFact&) const {}
    void operator()(const netlink::RouteGone&) const {}
  };
  std::visit(Visitor{*listener_}, parsed);
}

// ---- asking ------------------------------------------------------------------------------------

void Netlink::dump_everything() {
  const bool running = !dumps_.empty();
  // Of one that runs the end is awaited, then it starts again.
  dump_interrupted_ = dump_interrupted_ || running;
  for (const Dump what : {Dump::kLinks, Dump::kAddresses, Dump::kNeighbors}) {
    if (std::find(dumps_.begin(), dumps_.end(), what) == dumps_.end()) dumps_.push_back(what);
  }
  if (!running) next_dump();
}

void Netlink::next_dump() {
  dump_interrupted_ = false;
  if (dumps_.empty()) return;
  dump_sequence_ = next_sequence();
  netlink::Buffer request;
  netlink::put_dump(request, dump_sequence_, dumps_.front());
  listener_->dump_begins(dumps_.front());
  waiting_.push_back(std::move(request));
  schedule_send();
}

void Netlink::find_route(const IpAddress& destination) {
  lookups_.push_back(destination);
  schedule_send();
}

void Netlink::ask_neighbor(std::uint32_t ifindex, const IpAddress& address) {
  netlink::Buffer request;
  netlink::put_ask_neighbor(request, next_sequence(), ifindex, address);
  waiting_.push_back(std::move(request));
  schedule_send();
}

void Netlink::acknowledged(std::string what, const netlink::Buffer& request,
                           std::uint32_t sequence) {
  acknowledgements_[sequence] = std::move(what);
  waiting_.push_back(request);
  schedule_send();
}

void Netlink::set_up(std::uint32_t ifindex) {
  netlink::Buffer request;
  const auto sequence = next_sequence();
  netlink::put_set_up(request, sequence, ifindex);
  acknowledged(fmt::format("set-up ifindex={}", ifindex), request, sequence);
}

void Netlink::add_address(std::uint32_t ifindex, const InterfaceAddress& address) {
  netlink::Buffer request;
  const auto sequence = next_sequence();
  netlink::put_address(request, sequence, ifindex, address, true);
  acknowledged(fmt::format("add-address ifindex={} address={}/{}", ifindex,
                           to_string(address.address), address.prefix_length),
               request, sequence);
}

void Netlink::remove_address(std::uint32_t ifindex, const InterfaceAddress& address) {
  netlink::Buffer request;
  const auto sequence = next_sequence();
  netlink::put_address(request, sequence, ifindex, address, false);
  acknowledged(fmt::format("remove-address ifindex={} address={}/{}", ifindex,
                           to_string(address.address), address.prefix_length),
               request, sequence);
}

void Netlink::schedule_send() {
  if (send_scheduled_) return;
  send_scheduled_ = true;
  asio::post(io_, [this] {
    send_scheduled_ = false;
    send_waiting();
  });
}

void Netlink::send_waiting() {
  netlink::Buffer batch;
  while (requests_.is_open()) {
    batch.clear();
    while (!waiting_.empty() && batch.size() < kSendBytes) {
      batch.insert(batch.end(), waiting_.front().begin(), waiting_.front().end());
      waiting_.pop_front();
    }
    while (!lookups_.empty() && lookups_sent_.size() < kLookupsInFlight &&
           batch.size() < kSendBytes) {
      const auto sequence = next_sequence();
      netlink::put_find_route(batch, sequence, lookups_.front());
      lookups_sent_.emplace(sequence, lookups_.front());
      lookups_.pop_front();
    }
    if (batch.empty()) return;
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    const auto sent = ::sendto(requests_.native_handle(), batch.data(), batch.size(), 0,
                               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
    if (sent >= 0) continue;
    const int error = errno;
    waiting_.push_front(batch);  // goes with the next request
    if (error == EINTR) continue;
    listener_->request_failed("send", error);
    return;
  }
}

}  // namespace sluice::controlplane
