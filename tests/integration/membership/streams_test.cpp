// Connections that do not behave: silent ones, too many, too much.
#include "controlplane/membership/streams.hpp"

#include <gtest/gtest.h>

#include <asio/write.hpp>
#include <chrono>

#include "sluice/base/clock.hpp"

namespace sluice::membership {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

class StreamsTest : public testing::Test {
 protected:
  void listen(StreamLimits limits) {
    streams_ = std::make_unique<Streams>(
        io_, wire_, limits,
        Streams::Handlers{.on_message =
                              [this](const Endpoint&, const StreamMessage& message) {
                                ++messages_;
                                if (stop_at_message_) streams_->stop();
                                Bytes answer;
                                if (const auto* ping = std::get_if<Ping>(&message)) {
                                  encode(Ack{ping->sequence, {}}, answer);
                                }
                                return answer;
                              },
                          .on_reply = [this](std::uint32_t, const StreamMessage&) { ++replies_; },
                          .on_failed =
                              [this](std::uint32_t, const std::string& why) {
                                ++failures_;
                                why_ = why;
                              },
                          .on_refused = [this](const Endpoint&, Malformed) { ++refused_; }});
    ASSERT_TRUE(streams_->listen({parse_ip("127.0.0.1").value(), 0}));
    streams_->start();
  }
  tcp::socket client() {
    tcp::socket socket(io_);
    socket.connect({asio::ip::address_v4::loopback(), streams_->local().port});
    return socket;
  }
  // A user message of so many bytes, about a tenth of it on the wire.
  Bytes growing(std::size_t size) {
    Bytes content(size);
    for (std::size_t i = 0; i < size; ++i)
      content[i] = static_cast<std::uint8_t>((i % 300) * (i % 300) >> 3);
    Bytes user;
    encode_stream(User{content}, user);
    return seal_stream(wire_, StreamRole::kDialer, CipherVersion::kPlain, user);
  }
  StreamRequest request(std::uint32_t id, std::uint16_t port, std::chrono::nanoseconds in = 2s) {
    Bytes message;
    encode(Ping{7, "", {}, ""}, message);
    return {id,
            StreamKind::kPing,
            {parse_ip("127.0.0.1").value(), port},
            message,
            monotonic_ns() + static_cast<std::uint64_t>(in.count())};
  }
  template <class Condition>
  bool within(std::chrono::milliseconds limit, Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.run_for(2ms);
    }
    return true;
  }

  asio::io_context io_;
  WireSettings wire_;
  std::unique_ptr<Streams> streams_;
  int messages_ = 0;
  bool stop_at_message_ = false;
  int replies_ = 0;
  int failures_ = 0;
  int refused_ = 0;
  std::string why_;
};

TEST_F(StreamsTest, AsksAndAnswers) {
  listen({});
  streams_->open(request(1, streams_->local().port));
  EXPECT_EQ(replies_ + failures_, 0);  // never before open() has returned
  ASSERT_TRUE(within(2s, [&] { return replies_ == 1; })) << why_;
  ASSERT_TRUE(within(2s, [&] { return streams_->active() == 0; }));
  EXPECT_EQ(failures_, 0);
}

TEST_F(StreamsTest, NobodyThere) {
  listen({});
  tcp::acceptor closed(io_, {asio::ip::address_v4::loopback(), 0});
  const auto port = closed.local_endpoint().port();
  closed.close();
  streams_->open(request(1, port));
  ASSERT_TRUE(within(2s, [&] { return failures_ == 1; }));
  auto six = request(2, port);
  six.to.address = parse_ip("::1").value();
  streams_->open(std::move(six));
  EXPECT_EQ(failures_, 1);
  ASSERT_TRUE(within(2s, [&] { return failures_ == 2; }));
  EXPECT_NE(why_.find("IPv6"), std::string::npos);
}

TEST_F(StreamsTest, SilentPeersHaveADeadline) {
  listen({.inbound_timeout_ns = 50'000'000});
  tcp::acceptor silent(io_, {asio::ip::address_v4::loopback(), 0});
  streams_->open(request(1, silent.local_endpoint().port(), 60ms));
  auto idle = client();
  ASSERT_TRUE(within(2s, [&] { return failures_ == 1 && streams_->active() == 0; }));
  EXPECT_EQ(streams_->stats().timed_out, 2U);
  EXPECT_EQ(why_, "timed out");
}

TEST_F(StreamsTest, ConnectionsAreBounded) {
  listen({.inbound = 2, .inbound_timeout_ns = 5'000'000'000});
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 4; ++i)
    clients.push_back(client());
  ASSERT_TRUE(within(2s, [&] { return streams_->stats().refused() == 2; }));
  EXPECT_EQ(streams_->active(), 2U);
  // One that ends makes room.
  clients[0].close();
  clients[1].close();
  ASSERT_TRUE(within(2s, [&] { return streams_->active() == 0; }));
  streams_->open(request(1, streams_->local().port));
  ASSERT_TRUE(within(2s, [&] { return replies_ == 1; }));
}

TEST_F(StreamsTest, TheRateOfConnectionsIsBounded) {
  listen({.accepts_at_once = 3, .accept_period_ns = 60'000'000'000});
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 5; ++i)
    clients.push_back(client());
  ASSERT_TRUE(within(2s, [&] { return streams_->stats().refused() == 2; }));
  EXPECT_EQ(streams_->stats().accepted, 3U);
}

TEST_F(StreamsTest, MemoryIsBounded) {
  listen({.held_bytes = 100'000});
  auto greedy = client();
  Bytes message{8};
  message.insert(message.end(), {0x81, 0xaa});
  for (const char c : std::string_view("UserMsgLen"))
    message.push_back(static_cast<std::uint8_t>(c));
  message.insert(message.end(), {0xce, 0x00, 0x10, 0x00, 0x00});  // a mebibyte
  message.resize(message.size() + 300'000);
  asio::async_write(greedy, asio::buffer(message), [](const asio::error_code&, std::size_t) {});
  ASSERT_TRUE(within(2s, [&] { return streams_->stats().refused() == 1; }));
  EXPECT_EQ(messages_, 0);
}

// A few bytes that decompress to megabytes count with what they become.
TEST_F(StreamsTest, MemoryOfWhatWasDecompressedIsBounded) {
  listen({.held_bytes = 2'000'000});
  auto bomber = client();
  const auto bomb = growing(4'000'000);
  ASSERT_LT(bomb.size(), 1'000'000U);
  asio::write(bomber, asio::buffer(bomb));
  ASSERT_TRUE(within(2s, [&] { return streams_->stats().refused() + messages_ > 0; }));
  EXPECT_EQ(messages_, 0);
  EXPECT_EQ(streams_->stats().refused(StreamRefusal::kMemory), 1U);
  ASSERT_TRUE(within(2s, [&] { return streams_->active() == 0; }));
  EXPECT_EQ(streams_->held_bytes(), 0U);
}

// What has been handled is let go, even while the peer takes its time with the answer.
TEST_F(StreamsTest, WhatWasHandledIsNotHeld) {
  listen({});
  auto slow = client();
  asio::write(slow, asio::buffer(growing(4'000'000)));
  auto pinging = client();
  Bytes ping;
  encode(Ping{7, "", {}, ""}, ping);
  asio::write(pinging, asio::buffer(ping));
  ASSERT_TRUE(within(2s, [&] { return messages_ == 2; }));
  ASSERT_TRUE(within(2s, [&] { return streams_->held_bytes() == 0; }));
  EXPECT_EQ(streams_->active(), 1U) << "waits for the peer to close";
}

// One address may not use up what others need.
TEST_F(StreamsTest, MemoryOfOneSourceIsBounded) {
  listen({.held_bytes = 10'000'000, .held_bytes_per_source = 1'000'000});
  const auto send = [&](tcp::socket& socket, std::size_t size) {
    Bytes part;
    encode_stream(User{Bytes(2 * size)}, part);
    part.resize(size);  // the rest never comes
    asio::write(socket, asio::buffer(part));
  };
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(client());
    send(clients.back(), 400'000);
  }
  ASSERT_TRUE(within(2s, [&] { return streams_->stats().refused(StreamRefusal::kMemory) > 0; }));
  tcp::socket other(io_, {asio::ip::make_address_v4("127.0.0.2"), 0});
  other.connect({asio::ip::address_v4::loopback(), streams_->local().port});
  asio::write(other, asio::buffer(growing(100'000)));
  ASSERT_TRUE(within(2s, [&] { return messages_ == 1; }));
}

// A handler may end everything.
TEST_F(StreamsTest, StopsWhileAMessageIsHandled) {
  listen({});
  stop_at_message_ = true;
  auto pinging = client();
  Bytes ping;
  encode(Ping{7, "", {}, ""}, ping);
  asio::write(pinging, asio::buffer(ping));
  ASSERT_TRUE(within(2s, [&] { return messages_ == 1; }));
  io_.run_for(20ms);
  EXPECT_EQ(streams_->active(), 0U);
}

TEST_F(StreamsTest, ConnectionsOfOneSourceAreBounded) {
  listen({});
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 40; ++i)
    clients.push_back(client());
  ASSERT_TRUE(within(2s, [&] {
    return streams_->stats().refused() + streams_->stats().accepted == clients.size();
  }));
  EXPECT_EQ(streams_->stats().refused(StreamRefusal::kSource), 24U);
  // Somebody else still gets in.
  const auto before = streams_->stats().accepted;
  tcp::socket other(io_, {asio::ip::make_address_v4("127.0.0.2"), 0});
  other.connect({asio::ip::address_v4::loopback(), streams_->local().port});
  ASSERT_TRUE(within(2s, [&] { return streams_->stats().accepted == before + 1; }));
}

TEST_F(StreamsTest, RubbishIsCountedAndClosed) {
  listen({});
  auto stranger = client();
  const std::string http = "GET / HTTP/1.1\r\n\r\n";
  asio::write(stranger, asio::buffer(http));
  ASSERT_TRUE(within(2s, [&] { return streams_->stats().malformed.total() == 1; }));
  EXPECT_EQ(streams_->stats().malformed[Malformed::kType], 1U);
  EXPECT_EQ(refused_, 1) << "and told";
  ASSERT_TRUE(within(2s, [&] { return streams_->active() == 0; }));
}

TEST_F(StreamsTest, StopsWithConnectionsUnderWay) {
  listen({});
  tcp::acceptor silent(io_, {asio::ip::address_v4::loopback(), 0});
  streams_->open(request(1, silent.local_endpoint().port()));
  auto idle = client();
  io_.run_for(20ms);
  streams_.reset();
  io_.run_for(20ms);
  EXPECT_EQ(failures_ + replies_, 0);
}

}  // namespace
}  // namespace sluice::membership
