// ping, send and listen against a router made of one UDP socket on loopback that forwards between
// whoever registered.
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "fixture.hpp"
#include "sluice/agent/agent.hpp"

namespace sluice::cli {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Words = std::vector<std::string>;

class FakeSwitch {
 public:
  FakeSwitch() {
    fd_ = ::socket(AF_INET, SOCK_DGRAM, 0);
    const int size = 8 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t length = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    endpoint_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~FakeSwitch() {
    thread_.request_stop();
    thread_.join();
    ::close(fd_);
  }
  const std::string& endpoint() const noexcept { return endpoint_; }

  std::atomic<std::uint64_t> lose_every = 0;  // of data; 0: none
  std::atomic<std::uint64_t> registered = 0;
  std::atomic<std::uint64_t> unregistered = 0;
  std::atomic<unsigned> refusals = 0;           // of the next renewals; with a heartbeat of 1 s
  std::atomic<std::uint8_t> traffic_class = 0;  // of the last data message
  std::atomic<std::uint8_t> lifetime = 0;

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd poll{fd_, POLLIN, 0};
      if (::poll(&poll, 1, 20) <= 0) continue;
      char bytes[2048];
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const auto n =
          ::recvfrom(fd_, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n >= 64) handle(load<Envelope>(bytes), {bytes, static_cast<std::size_t>(n)}, from);
    }
  }

  void handle(Envelope e, std::string_view datagram, const sockaddr_in& from) {
    switch (static_cast<MessageType>(e.type)) {
      case MessageType::kRegister:
        return enroll(e, datagram.substr(64), from);
      case MessageType::kUnregister:
        ++unregistered;
        agents_.erase(e.source);
        return answer(e, from);
      case MessageType::kData:
        traffic_class = e.traffic_class();
        lifetime = e.lifetime_code();
        if (lose_every != 0 && ++data_ % lose_every == 0) return;
        break;
      default:
        break;
    }
    const auto to = agents_.find(e.destination);
    if (to != agents_.end()) return send(datagram, to->second);
    if ((e.flags & message_flag::kNotify) == 0) return;
    std::string notice(datagram.substr(0, 64));
    e.type = static_cast<std::uint8_t>(MessageType::kNotice);
    e.reason = static_cast<std::uint8_t>(NoticeReason::kUnknownDestination);
    e.payload_length.set(64);
    send(std::string(reinterpret_cast<const char*>(&e), sizeof e) + notice, from);
  }

  void enroll(const Envelope& e, std::string_view payload, const sockaddr_in& from) {
    agent::Signed request;
    agent::Register body;
    if (!request.ParseFromString(std::string(payload)) || !body.ParseFromString(request.body()))
      return;
    if (agents_.contains(e.source) && refusals > 0) {
      --refusals;
      return answer(e, from, agent::BAD_TOKEN);
    }
    if (!agents_.contains(e.source)) ++registered;
    agents_[e.source] = from;
    for (const auto& capability : body.capabilities())
      agents_[id_of_name(capability)] = from;
    answer(e, from);
  }

  void answer(Envelope e, const sockaddr_in& to, agent::ReplyStatus status = agent::OK) {
    agent::RegisterReply reply;
    reply.set_status(status);
    reply.set_lease_s(30);
    reply.set_heartbeat_s(refusals > 0 ? 1 : 10);
    reply.set_router_id(std::string(16, 'r'));
    const std::string body = reply.SerializeAsString();
    e.type = static_cast<std::uint8_t>(MessageType::kRegisterReply);
    e.payload_length.set(static_cast<std::uint16_t>(body.size()));
    send(std::string(reinterpret_cast<const char*>(&e), sizeof e) + body, to);
  }

  void send(std::string_view bytes, const sockaddr_in& to) const {
    ::sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }

  int fd_ = -1;
  std::string endpoint_;
  std::uint64_t data_ = 0;
  std::map<Id, sockaddr_in> agents_;
  std::jthread thread_;
};

// As the process runs it: with real sleeps. `listening` is set when it says that it listens.
Ran run_real(const Words& words, std::atomic<bool>* listening = nullptr) {
  Ran ran;
  Environment environment;
  const auto into = [listening](std::string& stream) {
    return [listening, &stream](std::string_view text) {
      stream += text;
      if (listening != nullptr && text.starts_with("listening")) *listening = true;
    };
  };
  environment.out = [take = into(ran.out)](std::string_view text) {
    take(text);
    return 0;
  };
  environment.err = into(ran.err);
  // lint: allow sleep: the pauses of the product; the test itself waits for nothing here
  environment.sleep = [](std::chrono::nanoseconds time) { std::this_thread::sleep_for(time); };
  environment.default_config = "/nowhere/sluice.yaml";
  ran.status = run(words, environment);
  return ran;
}

class Traffic : public testing::Test {
 protected:
  Words words(Words command, const std::string& name) const {
    command.insert(command.end(),
                   {"--router", switch_.endpoint(), "--name", name, "--tenant", "1"});
    return command;
  }
  // Runs `listen` beside the test; returns when it listens.
  std::thread start_listener(Words command, Ran& heard) {
    std::thread thread([this, command = std::move(command), &heard] {
      heard = run_real(words(command, "t/t/in/1"), &listening_);
    });
    const auto deadline = monotonic_ns() + 10 * kNsPerSecond;
    while (!listening_ && monotonic_ns() < deadline)
      std::this_thread::yield();
    EXPECT_TRUE(listening_);
    return thread;
  }

  std::atomic<bool> listening_ = false;
  FakeSwitch switch_;
};

TEST_F(Traffic, MessagesSentArePlayedBackByTheListener) {
  Ran heard;
  std::thread listener =
      start_listener({"listen", "--count", "5000", "--timeout", "20", "--json"}, heard);
  const auto sent = run_real(words({"send", "t/t/in/1", "--count", "5k", "--rate", "50k", "--size",
                                    "100", "--class", "6", "--lifetime", "1", "--json"},
                                   "t/t/out/1"));
  listener.join();
  ASSERT_EQ(sent.status, kDone) << sent.err;
  ASSERT_EQ(heard.status, kDone) << heard.err;
  EXPECT_EQ(heard.err, "listening\n");
  const auto s = json::parse(sent.out);
  EXPECT_EQ(s["sent"], 5000);
  EXPECT_EQ(s["errors"], 0);
  EXPECT_GT(s["duration_ns"], 90'000'000);  // 4999 gaps of 20 us are 99.98 ms
  const auto h = json::parse(heard.out);
  EXPECT_EQ(h["received"], 5000);
  EXPECT_EQ(h["lost"], 0);
  EXPECT_EQ(h["reordered"], 0);
  EXPECT_EQ(h["payload_bytes"], 500'000);
  EXPECT_EQ(h["senders"], 1);
  EXPECT_EQ(h["one_way"]["count"], 5000);
  EXPECT_LE(h["one_way"]["p50_ns"], h["one_way"]["p999_ns"]);
  EXPECT_EQ(switch_.traffic_class, 6);
  EXPECT_EQ(switch_.lifetime, 11);
  EXPECT_EQ(switch_.registered, 2u);
  EXPECT_EQ(switch_.unregistered, 2u);
}

TEST_F(Traffic, LossesAreCountedBySequence) {
  switch_.lose_every = 10;
  Ran heard;
  std::thread listener = start_listener({"listen", "--count", "181", "--timeout", "20"}, heard);
  // 202 messages, of which 20 are lost; the last one seen is number 201 of them.
  const auto sent = run_real(words({"send", "t/t/in/1", "--count", "202"}, "t/t/out/1"));
  listener.join();
  EXPECT_EQ(sent.status, kDone) << sent.err;
  EXPECT_EQ(heard.status, kDone) << heard.out << heard.err;
  EXPECT_NE(heard.out.find("20 (9.95 %)"), std::string::npos) << heard.out;
}

TEST_F(Traffic, ALatecomerIsAFailureOfTheListener) {
  const auto ran = run_real(words({"listen", "--count", "1", "--timeout", "50ms"}, "t/t/in/1"));
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.out.find("0 messages of 0 senders"), std::string::npos) << ran.out;
}

// The token was changed, or the name is somebody else's by now.
TEST_F(Traffic, AListenerSaysThatItIsNotRegisteredAnyMore) {
  switch_.refusals = 1;
  const auto back = run_real(words({"listen", "--timeout", "2600ms"}, "t/t/in/1"));
  EXPECT_NE(back.err.find("not registered any more: "), std::string::npos) << back.err;
  EXPECT_NE(back.err.find("registered again\n"), std::string::npos) << back.err;
  EXPECT_EQ(back.status, kDone);

  switch_.refusals = 100;
  const auto lost = run_real(words({"listen", "--timeout", "1300ms"}, "t/t/in/2"));
  EXPECT_NE(lost.err.find("not registered any more: "), std::string::npos) << lost.err;
  EXPECT_EQ(lost.status, kFailed);
}

TEST_F(Traffic, ListenShowsMessages) {
  Ran heard;
  std::thread listener = start_listener(
      {"listen", "--count", "1", "--timeout", "20", "--show", "--capability", "greet"}, heard);
  const auto sent = run_real(
      words({"send", "greet", "--capability", "--text", "hello\x1b", "--tag", "9"}, "t/t/out/1"));
  listener.join();
  EXPECT_EQ(sent.status, kDone) << sent.err;
  EXPECT_NE(heard.out.find("class 3 tag 9, 6 bytes: hello?\n"), std::string::npos) << heard.out;
}

TEST_F(Traffic, NoticesAreCountedByReason) {
  const auto ran = run_real(words({"send", "t/t/nobody/1", "--count", "30", "--rate", "10k",
                                   "--wait-notices", "300ms", "--json"},
                                  "t/t/out/1"));
  EXPECT_EQ(ran.status, kFailed) << ran.err;
  EXPECT_EQ(json::parse(ran.out)["notices"], (json{{"unknown destination", 30}}));
}

TEST_F(Traffic, PingMeasuresRoundTrips) {
  Ran heard;
  std::thread listener = start_listener({"listen", "--timeout", "1500ms"}, heard);
  const Words ping = {"ping", "t/t/in/1", "--count", "5", "--interval", "10ms", "--size", "32"};
  const auto text = run_real(words(ping, "t/t/ping/1"));
  Words as_json = ping;
  as_json.emplace_back("--json");
  const auto j = run_real(words(as_json, "t/t/ping/1"));
  listener.join();
  EXPECT_EQ(text.status, kDone) << text.err;
  EXPECT_NE(text.out.find("1: answer of " + to_string(id_of_name("t/t/in/1")) + ": 32 bytes in"),
            std::string::npos)
      << text.out;
  EXPECT_NE(text.out.find("5 sent, 5 answered, 0 % lost\nround trip p50 "), std::string::npos)
      << text.out;
  EXPECT_EQ(json::parse(j.out)["answered"], 5);
  EXPECT_EQ(json::parse(j.out)["round_trip"]["count"], 5);
}

TEST_F(Traffic, PingSaysWhyNobodyAnswers) {
  const auto nobody = run_real(words({"ping", "t/t/no/1", "--count", "1"}, "t/t/ping/1"));
  EXPECT_EQ(nobody.status, kFailed);
  EXPECT_NE(nobody.out.find("1: not delivered: unknown destination\n"), std::string::npos)
      << nobody.out;
  // A registered agent that never reads its socket.
  agent::Options silent;
  silent.name = "t/t/silent/1";
  silent.tenant = 1;
  silent.router = *parse_endpoint(switch_.endpoint());
  auto other = agent::Agent::create(silent);
  ASSERT_TRUE(other && other->register_with_router(5s));
  const auto lost = run_real(
      words({"ping", "t/t/silent/1", "--count", "2", "--interval", "1ms", "--timeout", "50ms"},
            "t/t/ping/1"));
  EXPECT_EQ(lost.status, kFailed);
  EXPECT_NE(lost.out.find("2 sent, 0 answered, 100 % lost"), std::string::npos) << lost.out;
}

TEST_F(Traffic, CtrlCEndsARunWithItsResultAndGivesTheLeaseBack) {
  Ran heard;
  // The signal goes to the thread that listens, as it would to a process of one thread.
  std::thread listener = start_listener({"listen"}, heard);
  ::pthread_kill(listener.native_handle(), SIGINT);
  listener.join();
  EXPECT_EQ(heard.status, kDone) << heard.err;
  EXPECT_NE(heard.out.find("received"), std::string::npos);
  EXPECT_EQ(switch_.unregistered, 1u);
}

TEST_F(Traffic, ANoRegisterAgentDoesNotAskTheRouter) {
  const auto ran = run_real(words({"send", "t/t/in/1", "--no-register"}, "t/t/out/1"));
  EXPECT_EQ(ran.status, kDone) << ran.err;
  EXPECT_EQ(switch_.registered, 0u);
}

TEST_F(Traffic, TokenFilesAreRead) {
  const std::string path = testing::TempDir() + "/sluice-cli-token";
  std::ofstream(path) << std::string(64, 'a') << "\n";
  EXPECT_EQ(run_real(words({"send", "t/t/in/1", "--token-file", path}, "t/t/out/1")).status, kDone);
  std::ofstream(path) << "nonsense\n";
  const auto bad = run_real(words({"send", "t/t/in/1", "--token-file", path}, "t/t/out/1"));
  EXPECT_EQ(bad.status, kFailed);
  EXPECT_NE(bad.err.find("holds no token"), std::string::npos) << bad.err;
  EXPECT_EQ(run_real(words({"send", "t/t/in/1", "--token-file", "/nowhere"}, "t/t/out/1")).status,
            kFailed);
  std::filesystem::remove(path);
}

TEST_F(Traffic, WrongUsageIsFoundBeforeAnythingIsSent) {
  const std::string router = switch_.endpoint();
  const std::vector<Words> wrong = {
      {"send", "t/t/in/1", "--router", router, "--tenant", "1"},        // who are we?
      {"send", "t/t/in/1", "--router", router, "--name", "t/t/out/1"},  // whose?
      words({"send", "short"}, "t/t/out/1"),                            // a capability?
      words({"send", "t/t/in/1", "--tag", "70000"}, "t/t/out/1"),
      words({"ping", "t/t/in/1", "--local", "x"}, "t/t/out/1"),
      words({"listen", "--register", "--no-register"}, "t/t/out/1"),
      words({"listen", "--id", "11111111-2222-3333-4444-555555555555"}, "t/t/o/1"),
  };
  for (const auto& command : wrong) {
    const auto ran = run_real(command);
    EXPECT_EQ(ran.status, kWrongUsage) << fmt::format("{}", fmt::join(command, " ")) << ran.err;
    EXPECT_NE(ran.err, "");
  }
  EXPECT_EQ(switch_.registered, 0u);
}

TEST(TrafficWithoutRouter, SaysWhereNobodyListens) {
  const auto ran = run_real(
      {"ping", "a/b/c/d", "--router", "127.0.0.1:9", "--name", "a/b/c/e", "--tenant", "1"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_NE(ran.err.find("registering: receiving from router 127.0.0.1:9: nobody listens there"),
            std::string::npos)
      << ran.err;
}

TEST(TrafficWithoutRouter, SaysWhyThereIsNoToken) {
  const auto ran = run_real({"ping", "a/b/c/d", "--router", "127.0.0.1:9", "--name", "a/b/c/e",
                             "--tenant", "1", "--token-file", "/nowhere/token"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(ran.err, "sluice: /nowhere/token cannot be read: No such file or directory\n");
}

}  // namespace
}  // namespace sluice::cli
