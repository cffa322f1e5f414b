// The kernel over rtnetlink on the event loop: one socket listens to changes, one asks. Requests
// are sent in batches; changes lost by an overrun lead to a new full dump. Control thread only.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "controlplane/host/kernel.hpp"
#include "controlplane/host/messages.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane {

class Netlink final : public Kernel {
 public:
  static Result<std::unique_ptr<Netlink>> create(asio::io_context& io);

  // Begins with dumps of links, addresses and neighbours.
  void start(KernelListener& listener);
  void stop();

  void find_route(const IpAddress& destination) override;
  void ask_neighbor(std::uint32_t ifindex, const IpAddress& address) override;
  void set_up(std::uint32_t ifindex) override;
  void add_address(std::uint32_t ifindex, const InterfaceAddress& address) override;
  void remove_address(std::uint32_t ifindex, const InterfaceAddress& address) override;

 private:
  Netlink(asio::io_context& io, int events, int requests);

  void wait_events();
  void wait_replies();
  void read_all(asio::posix::stream_descriptor& socket, bool is_events);
  void handle(const nlmsghdr& message, bool is_event);
  void handle_end(const nlmsghdr& message);
  void dispatch(const netlink::Parsed& parsed);
  void dump_everything();
  void next_dump();
  void schedule_send();
  void send_waiting();
  std::uint32_t next_sequence() { return ++sequence_ == 0 ? ++sequence_ : sequence_; }
  void acknowledged(std::string what, const netlink::Buffer& request, std::uint32_t sequence);

  asio::io_context& io_;
  asio::posix::stream_descriptor events_;
  asio::posix::stream_descriptor requests_;
  KernelListener* listener_ = nullptr;
  std::vector<std::uint8_t> receive_buffer_;
  std::uint32_t sequence_ = 0;

  std::deque<IpAddress> lookups_;                              // not sent yet
  std::unordered_map<std::uint32_t, IpAddress> lookups_sent_;  // by sequence
  std::deque<netlink::Buffer> waiting_;                        // other requests, not sent yet
  std::unordered_map<std::uint32_t, std::string> acknowledgements_;
  std::deque<Dump> dumps_;  // the first one is running
  std::uint32_t dump_sequence_ = 0;
  bool dump_interrupted_ = false;
  bool send_scheduled_ = false;
};

}  // namespace sluice::controlplane
