// Puts the base manager (controlplane/base_tier) into this process: link, event loop, files, log,
// configuration. Control thread.
#pragma once

#include <asio/io_context.hpp>

#include <memory>

#include "controlplane/app/keeper.hpp"
#include "controlplane/base_tier/base_manager.hpp"

namespace sluice::controlplane {

class RoutesBase final : public BaseLink {
 public:
  RoutesBase(asio::io_context& io, Programmer& programmer, Link& link, Keeper& keeper,
             const config::Config& config);

  BaseManager& manager() { return *manager_; }
  void set_policy(const config::Config& config);  // on reload

  // BaseLink
  LinkState state() const override { return link_.info().state; }
  Status offer(const link::SegmentId& segment, int file) override {
    return link_.offer_base(segment, file);
  }
  std::uint64_t table_routes() const override;

 private:
  Link& link_;
  std::unique_ptr<BaseManager> manager_;
};

}  // namespace sluice::controlplane
