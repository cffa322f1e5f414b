// Turns the join list of the configuration into addresses: those are there at once, names are asked
// for again and again, for ever, because the name service may come up after us and because what a
// name means changes. On the thread of the io_context.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/result.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::membership {

struct JoinTarget {
  std::string host;  // a name or an address
  std::uint16_t port = 0;
};
// "host", "host:port", "10.0.0.1", "fd00::1", "[fd00::1]:port".
Result<JoinTarget> parse_join_target(const std::string& text, std::uint16_t default_port);

class SeedResolver {
 public:
  // All addresses of all targets, when they are not the same as before.
  using OnSeeds = std::function<void(const std::vector<Endpoint>&)>;
  // A name that could not be resolved: once, until it could.
  using OnProblem = std::function<void(const std::string& host, const std::string& why)>;

  SeedResolver(asio::io_context& io, std::vector<JoinTarget> targets, OnSeeds on_seeds,
               OnProblem on_problem);
  ~SeedResolver();

  void start();
  void stop();

 private:
  struct Name {
    JoinTarget target;
    std::vector<Endpoint> addresses;  // of the last good answer
    bool failing = false;
  };

  void ask();
  void answered(std::size_t which, const asio::error_code& error,
                const asio::ip::tcp::resolver::results_type& results);
  void finish_round();

  asio::ip::tcp::resolver resolver_;
  asio::steady_timer timer_;
  OnSeeds on_seeds_;
  OnProblem on_problem_;
  std::vector<Endpoint> fixed_;
  std::vector<Name> names_;
  std::vector<Endpoint> told_;
  std::size_t pending_ = 0;
  bool started_ = false;
  std::uint32_t wait_s_ = 1;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::membership
