// One running dataplane: everything is made in the order of one list, run, and taken down in the
// opposite order. Main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "dataplane/app/eal.hpp"
#include "dataplane/app/machine.hpp"
#include "dataplane/app/manager.hpp"
#include "dataplane/app/memory_plan.hpp"
#include "dataplane/app/notify.hpp"
#include "dataplane/app/wiring.hpp"
#include "dataplane/apply/apply.hpp"
#include "dataplane/apply/status_memory.hpp"
#include "dataplane/io/host_link.hpp"
#include "dataplane/io/mempools.hpp"
#include "dataplane/io/ports.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/worker/worker.hpp"
#include "sluice/base/result.hpp"

namespace sluice::dataplane {

class Router {
 public:
  // The preflight has passed.
  Router(const config::Config& config, const Machine& machine);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  Status start();
  // Until SIGTERM or SIGINT, then stops everything in order.
  void run();

 private:
  struct Step;
  Status block_signals();
  Status make_run_dir();
  Status start_dpdk();
  Status make_status();
  Status make_mempools();
  Status make_ports();
  Status make_host_interfaces();
  Status make_tables();
  Status make_wiring();
  Status make_workers();
  Status start_ports();
  Status report_placement();
  Status make_host_link();
  Status start_link();
  Status make_manager();
  Status start_workers();
  void stop();
  void stop_workers();

  const config::Config& config_;
  const Machine& machine_;
  MemoryPlan memory_;
  std::vector<int> worker_nodes_;
  ServiceManager service_;
  int signal_fd_ = -1;

  std::unique_ptr<Eal> eal_;
  std::unique_ptr<StatusMemory> status_;
  std::unique_ptr<Mempools> mempools_;
  std::unique_ptr<Ports> ports_;
  std::vector<HostInterface> interfaces_;  // until host_ takes them
  std::unique_ptr<Tables> tables_;
  std::unique_ptr<Wiring> wiring_;
  std::vector<std::unique_ptr<Worker>> workers_;
  bool workers_running_ = false;
  std::unique_ptr<HostLink> host_;
  std::unique_ptr<Apply> apply_;
  std::unique_ptr<Manager> manager_;
};

}  // namespace sluice::dataplane
