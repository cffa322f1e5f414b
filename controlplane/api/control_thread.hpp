// The bridge from the threads of gRPC to the control thread, which owns all state. run() may be
// called from any thread but the control thread; it waits for as long as the event loop takes. The
// loop must run until the server has shut down.
#pragma once

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <future>
#include <type_traits>
#include <utility>

namespace sluice::controlplane {

class ControlThread {
 public:
  explicit ControlThread(asio::io_context& io) : io_(io) {}

  // Calls `work` on the control thread and gives back what it returns.
  template <class Work>
  auto run(Work&& work) -> std::invoke_result_t<Work&> {
    using Value = std::invoke_result_t<Work&>;
    std::promise<Value> promise;
    auto future = promise.get_future();
    asio::post(io_, [&promise, &work] {
      if constexpr (std::is_void_v<Value>) {
        work();
        promise.set_value();
      } else {
        promise.set_value(work());
      }
    });
    return future.get();
  }

 private:
  asio::io_context& io_;
};

}  // namespace sluice::controlplane
