// What lies between the nodes: loss, delay, duplication, reordering, and per node whatever a
// scenario wants cut. All chance comes from one seed. Decides only; the simulation carries. One
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "controlplane/membership/random.hpp"

namespace sluice::simulation {

struct LinkQuality {
  double loss = 0;       // of datagrams, each way
  double duplicate = 0;  // datagrams that arrive twice
  double reorder = 0;    // datagrams held back by up to reorder_ms
  std::uint32_t delay_min_ms = 1;
  std::uint32_t delay_max_ms = 3;
  std::uint32_t reorder_ms = 50;
};

class Network {
 public:
  Network(std::size_t nodes, std::uint64_t seed, const LinkQuality& quality)
      : quality_(quality), random_(seed), extra_loss_out_(nodes), extra_loss_in_(nodes) {}

  LinkQuality& quality() noexcept { return quality_; }
  // True while nothing from one to the other arrives; asymmetric, flapping links and partitions are
  // such functions. Empty: everything does.
  void cut(std::function<bool(std::uint32_t from, std::uint32_t to, std::uint64_t now_ms)> f) {
    cut_ = std::move(f);
  }
  void extra_loss(std::uint32_t node, double out, double in) {
    extra_loss_out_[node] = out;
    extra_loss_in_[node] = in;
  }
  bool connected(std::uint32_t from, std::uint32_t to, std::uint64_t now_ms) const {
    return !cut_ || !cut_(from, to, now_ms);
  }

  // After how many milliseconds each copy of a datagram arrives: none, one or two.
  struct Delivery {
    int copies = 0;
    std::uint32_t delay_ms[2]{};
  };
  Delivery datagram(std::uint32_t from, std::uint32_t to, std::uint64_t now_ms) {
    Delivery delivery;
    if (!connected(from, to, now_ms)) return delivery;
    if (lost(quality_.loss) || lost(extra_loss_out_[from]) || lost(extra_loss_in_[to]))
      return delivery;
    delivery.copies = lost(quality_.duplicate) ? 2 : 1;
    for (int i = 0; i < delivery.copies; ++i) {
      delivery.delay_ms[i] = delay();
      if (lost(quality_.reorder))
        delivery.delay_ms[i] += static_cast<std::uint32_t>(random_.below(quality_.reorder_ms + 1));
    }
    return delivery;
  }
  // One message of a stream with its handshake or its end; each segment lost costs a retransmission
  // time of 200 ms (Linux's minimum).
  std::uint32_t stream_ms(std::uint32_t from, std::uint32_t to) {
    std::uint32_t ms = 2 * delay();
    while (lost(quality_.loss) || lost(extra_loss_out_[from]) || lost(extra_loss_in_[to]))
      ms += 200;
    return ms;
  }
  membership::Random& random() noexcept { return random_; }

 private:
  bool lost(double share) { return share > 0 && random_.unit() < share; }
  std::uint32_t delay() {
    return quality_.delay_min_ms + static_cast<std::uint32_t>(random_.below(
                                       quality_.delay_max_ms - quality_.delay_min_ms + 1));
  }

  LinkQuality quality_;
  membership::Random random_;
  std::function<bool(std::uint32_t, std::uint32_t, std::uint64_t)> cut_;
  std::vector<double> extra_loss_out_;
  std::vector<double> extra_loss_in_;
};

}  // namespace sluice::simulation
