// The SDK against a router made of one UDP socket on loopback: what it sends, and how it takes
// answers.
#include "sluice/agent/agent.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::agent {
namespace {

using namespace std::chrono_literals;

// Answers each datagram with what `answer` makes of it, until stopped.
class FakeRouter {
 public:
  using Answer = std::function<std::vector<std::string>(const Envelope&, std::string_view payload)>;

  explicit FakeRouter(Answer answer) : answer_(std::move(answer)) {
    fd_ = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_storage address{};
    detail::to_sockaddr(*parse_endpoint("127.0.0.1:1"), address);
    reinterpret_cast<sockaddr_in&>(address).sin_port = 0;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(sockaddr_in)), 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = host_to_network(reinterpret_cast<sockaddr_in&>(address).sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~FakeRouter() {
    thread_.request_stop();
    thread_.join();
    ::close(fd_);
  }
  Endpoint endpoint() const { return {*parse_ip("127.0.0.1"), port_}; }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd poll{fd_, POLLIN, 0};
      if (::poll(&poll, 1, 20) <= 0) continue;
      char bytes[4096];
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const auto n =
          ::recvfrom(fd_, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < static_cast<ssize_t>(kEnvelopeBytes)) continue;
      const std::string_view payload(bytes + kEnvelopeBytes, static_cast<std::size_t>(n) - 64);
      for (const auto& reply : answer_(load<Envelope>(bytes), payload)) {
        ::sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
      }
    }
  }

  Answer answer_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::jthread thread_;
};

std::string message(Envelope e, std::string_view payload) {
  e.payload_length.set(static_cast<std::uint16_t>(payload.size()));
  std::string bytes(reinterpret_cast<const char*>(&e), sizeof e);
  return bytes.append(payload);
}

std::string register_reply(const Envelope& request, ReplyStatus status,
                           std::string_view text = "") {
  Envelope e = request;
  e.type = static_cast<std::uint8_t>(MessageType::kRegisterReply);
  RegisterReply reply;
  reply.set_status(status);
  reply.set_message(std::string(text));
  reply.set_lease_s(30);
  reply.set_heartbeat_s(10);
  reply.set_router_id(std::string(16, 'r'));
  reply.set_router_name("r1");
  return message(e, reply.SerializeAsString());
}

Options options(const FakeRouter& router) {
  Options o;
  o.name = "acme/test/echo/1";
  o.tenant = 7;
  o.router = router.endpoint();
  o.capabilities = {"echo"};
  return o;
}

TEST(Agent, RegistersWithAProofThatTheRouterCanCheck) {
  const Token token =
      make_token(std::vector<std::uint8_t>(32, 9), 7, id_of_name("acme/test/echo/1"));
  std::atomic<bool> verified = false;
  FakeRouter router([&](const Envelope& e, std::string_view payload) {
    Signed request;
    Register body;
    verified = e.type == 1 && e.tenant.get() == 7 &&
               request.ParseFromString(std::string(payload)) &&
               verify_mac(token, e, request.body(), request.mac()) &&
               body.ParseFromString(request.body()) && body.name() == "acme/test/echo/1" &&
               body.capabilities_size() == 1;
    return std::vector{register_reply(e, OK)};
  });
  auto o = options(router);
  o.token = token;
  auto agent = Agent::create(o);
  ASSERT_TRUE(agent) << agent.error().message();
  const auto granted = agent->register_with_router(5s);
  ASSERT_TRUE(granted) << granted.error().message();
  EXPECT_TRUE(verified);
  EXPECT_EQ(granted->lease, 30s);
  EXPECT_EQ(granted->router_name, "r1");
}

TEST(Agent, MessagesBehindTheAnswerAreReceived) {
  FakeRouter router([](const Envelope& e, std::string_view) {
    Envelope data = e;
    data.type = static_cast<std::uint8_t>(MessageType::kData);
    return std::vector{register_reply(e, OK), message(data, "one"), message(data, "two")};
  });
  auto agent = Agent::create(options(router));
  ASSERT_TRUE(agent->register_with_router(5s));
  std::string received;
  for (int i = 0; i < 100 && received.size() < 6; ++i) {
    const auto messages = agent->receive(20ms);
    ASSERT_TRUE(messages);
    for (const auto& m : *messages)
      received.append(reinterpret_cast<const char*>(m.payload.data()), m.payload.size());
  }
  EXPECT_EQ(received, "onetwo");
}

TEST(Agent, RefusalIsTheRoutersOwnWords) {
  FakeRouter router([](const Envelope& e, std::string_view) {
    return std::vector{register_reply(e, BAD_TOKEN, "token does not fit tenant 7")};
  });
  auto agent = Agent::create(options(router));
  const auto granted = agent->register_with_router(5s);
  ASSERT_FALSE(granted);
  EXPECT_EQ(granted.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_NE(granted.error().message().find("token does not fit tenant 7"), std::string::npos);
}

TEST(Agent, AsksAgainWhenTheAnswerIsLost) {
  std::atomic<int> requests = 0;
  FakeRouter router([&](const Envelope& e, std::string_view) {
    return ++requests < 3 ? std::vector<std::string>{} : std::vector{register_reply(e, OK)};
  });
  auto agent = Agent::create(options(router));
  EXPECT_TRUE(agent->register_with_router(5s));
  EXPECT_EQ(requests, 3);
}

TEST(Agent, SilenceIsATimeoutThatNamesTheRouter) {
  FakeRouter router([](const Envelope&, std::string_view) { return std::vector<std::string>{}; });
  auto agent = Agent::create(options(router));
  const auto granted = agent->register_with_router(300ms);
  ASSERT_FALSE(granted);
  EXPECT_EQ(granted.error().code(), ErrorCode::kTimeout);
  EXPECT_NE(granted.error().message().find(to_string(router.endpoint())), std::string::npos);
}

TEST(Agent, NobodyListeningIsSaidSo) {
  Options o;
  o.name = "a/b/c/d";
  o.tenant = 1;
  {
    FakeRouter router([](const Envelope&, std::string_view) { return std::vector<std::string>{}; });
    o.router = router.endpoint();
  }
  auto agent = Agent::create(o);
  const auto granted = agent->register_with_router(500ms);
  ASSERT_FALSE(granted);
  EXPECT_EQ(granted.error().code(), ErrorCode::kUnavailable);
}

TEST(Agent, AnswersEchoRequestsWhileReceiving) {
  std::atomic<bool> answered = false;
  FakeRouter router([&](const Envelope& e, std::string_view payload) {
    if (e.type == static_cast<std::uint8_t>(MessageType::kEchoReply)) {
      answered = payload == "abc" && e.source == id_of_name("acme/test/echo/1") &&
                 e.destination == id_of_name("some/other/agent/1");
      return std::vector<std::string>{};
    }
    Envelope echo = e;
    echo.type = static_cast<std::uint8_t>(MessageType::kEcho);
    echo.destination = e.source;
    echo.source = id_of_name("some/other/agent/1");
    return std::vector{message(echo, "abc")};
  });
  auto agent = Agent::create(options(router));
  ASSERT_TRUE(agent->send(agent->message_to(Id{}), {}));
  for (int i = 0; i < 100 && !answered; ++i) {
    const auto received = agent->receive(20ms);
    ASSERT_TRUE(received);
    EXPECT_TRUE(received->empty());
  }
  EXPECT_TRUE(answered);
}

TEST(Agent, PingMeasuresOrSaysWhyNot) {
  std::atomic<bool> deliver = true;
  FakeRouter router([&](const Envelope& e, std::string_view) {
    Envelope reply = e;
    reply.type =
        static_cast<std::uint8_t>(deliver ? MessageType::kEchoReply : MessageType::kNotice);
    reply.reason = static_cast<std::uint8_t>(deliver ? 0 : 2);
    return std::vector{message(reply, std::string(64, '\0'))};
  });
  auto agent = Agent::create(options(router));
  EXPECT_GT(agent->ping(Id{}, 5s)->count(), 0);
  deliver = false;
  const auto failed = agent->ping(Id{}, 5s);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "not delivered: unreachable");
}

TEST(Agent, BatchesGoBothWaysInOrderAndMalformedOnesAreCounted) {
  FakeRouter router([](const Envelope& e, std::string_view payload) {
    return std::vector{message(e, payload), std::string(10, 'x')};
  });
  auto agent = Agent::create(options(router));
  std::vector<Outgoing> out;
  const std::string payload = "payload";
  for (int i = 0; i < 100; ++i) {
    out.push_back({agent->message_to(Id{}), std::as_bytes(std::span(payload))});
  }
  const std::uint32_t first = out[0].envelope.sequence.get();
  const auto sent = agent->send(out);
  ASSERT_TRUE(sent) << sent.error().message();
  ASSERT_EQ(*sent, 100u);
  std::uint32_t next = first;
  for (int i = 0; i < 200 && next != first + 100; ++i) {
    const auto received = agent->receive(20ms);
    ASSERT_TRUE(received);
    for (const auto& m : *received) {
      EXPECT_EQ(m.envelope.sequence.get(), next++);
      EXPECT_EQ(m.payload.size(), 7u);
    }
  }
  EXPECT_EQ(next, first + 100);
  EXPECT_GT(agent->malformed(), 0u);
}

TEST(Agent, RefusesWhatCannotWorkBeforeSending) {
  Options o;
  o.router = *parse_endpoint("127.0.0.1:1");
  o.name = "a/b/c/d";
  EXPECT_FALSE(Agent::create(o));  // no tenant
  o.tenant = 1;
  o.name.clear();
  EXPECT_FALSE(Agent::create(o));  // neither name nor id
  o.name = "not-a-name";
  EXPECT_FALSE(Agent::create(o));
  o.name = "a/b/c/d";
  o.id = Id{};
  EXPECT_FALSE(Agent::create(o));  // id of something else
  o.id.reset();
  o.local = parse_endpoint("[::1]:1");
  EXPECT_FALSE(Agent::create(o));  // families differ
  o.local.reset();
  auto agent = Agent::create(o);
  ASSERT_TRUE(agent);
  const std::vector<std::byte> large(70'000);
  EXPECT_FALSE(agent->send(agent->message_to(Id{}), large));
}

}  // namespace
}  // namespace sluice::agent
