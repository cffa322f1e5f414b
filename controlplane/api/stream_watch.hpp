// Ends streams of the API whose client does not read: a Write that waits for it holds one of the
// few threads of the server. Any thread. Must outlive all calls.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

namespace sluice::controlplane {

class StreamWatch {
 public:
  // How long a client may take for one message.
  explicit StreamWatch(std::chrono::milliseconds limit);
  StreamWatch(const StreamWatch&) = delete;
  StreamWatch& operator=(const StreamWatch&) = delete;

  // False: the client is gone, or took so long that the call was cancelled.
  template <class Reply>
  bool write(grpc::ServerContext& context, grpc::ServerWriter<Reply>& writer, const Reply& reply) {
    const Guard guard(*this, context);
    return writer.Write(reply);
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Writing {
    grpc::ServerContext* context;
    Clock::time_point since;
    bool ended = false;
  };
  class Guard {
   public:
    Guard(StreamWatch& watch, grpc::ServerContext& context);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    StreamWatch& watch_;
    std::list<Writing>::iterator at_;
  };

  void run(const std::stop_token& stop);

  const std::chrono::milliseconds limit_;
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::list<Writing> writing_;  // oldest first
  std::jthread thread_;         // the last member: it uses the others
};

}  // namespace sluice::controlplane
