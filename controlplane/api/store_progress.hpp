// What the store's services have in common: how they tell how far they are, and what they say where
// there is no store. Threads of gRPC; no state.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>

#include "controlplane/api/stream_watch.hpp"
#include "controlplane/store/maintenance.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

inline constexpr std::uint64_t kProgressEveryNs = 100 * kNsPerMs;

inline grpc::Status no_store() {
  return {grpc::StatusCode::FAILED_PRECONDITION, "this control plane has no store"};
}

// Tells the caller how far it is, ten times a second at most; ends the work when nobody listens.
template <class Reply>
store::Progress progress_to(grpc::ServerContext& context, grpc::ServerWriter<Reply>& writer,
                            StreamWatch& streams, const std::atomic<bool>& stopping) {
  return [&context, &writer, &streams, &stopping, last_ns = std::uint64_t{0}](
             std::uint64_t done, std::uint64_t total) mutable {
    if (context.IsCancelled() || stopping.load()) return false;
    const auto now_ns = monotonic_ns();
    if (now_ns - last_ns < kProgressEveryNs) return true;
    last_ns = now_ns;
    Reply reply;
    reply.mutable_progress()->set_done(done);
    reply.mutable_progress()->set_total(total);
    return streams.write(context, writer, reply);
  };
}

}  // namespace sluice::controlplane
