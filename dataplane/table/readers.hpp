// Who reads the tables, and when a reader can no longer hold what it read: one quiescent-state
// variable (rte_rcu_qsbr, RCU) for all tables. A worker adds itself once under its own index, goes
// online before it touches a table, reports quiescent between bursts (at least every 256 loops) and
// goes offline before it sleeps. The manager thread takes a token after it unlinked something and
// frees it when the token has passed. Needs no EAL.
#pragma once

#include <rte_rcu_qsbr.h>

#include <cstdint>
#include <memory>

#include "sluice/route/limits.hpp"

namespace sluice::dataplane {

class Readers {
 public:
  using Token = std::uint64_t;
  static constexpr unsigned kMax = kMaxWorkers;

  Readers();
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // By reader `index` (its worker index, below kMax) in its own thread. add() leaves it offline.
  void add(unsigned index) noexcept { rte_rcu_qsbr_thread_register(state_.get(), index); }
  void remove(unsigned index) noexcept { rte_rcu_qsbr_thread_unregister(state_.get(), index); }
  void online(unsigned index) noexcept { rte_rcu_qsbr_thread_online(state_.get(), index); }
  void offline(unsigned index) noexcept { rte_rcu_qsbr_thread_offline(state_.get(), index); }
  // Nothing read before this call is used after it.
  void quiescent(unsigned index) noexcept { rte_rcu_qsbr_quiescent(state_.get(), index); }

  // By the writer. passed() never waits; synchronize() waits until every reader that is online now
  // has been quiescent or offline once: about one burst of the slowest worker.
  Token start() noexcept { return rte_rcu_qsbr_start(state_.get()); }
  bool passed(Token token) noexcept { return rte_rcu_qsbr_check(state_.get(), token, false) == 1; }
  void synchronize() noexcept;

 private:
  struct Free {
    void operator()(rte_rcu_qsbr* state) const noexcept;
  };
  std::unique_ptr<rte_rcu_qsbr, Free> state_;
};

}  // namespace sluice::dataplane
