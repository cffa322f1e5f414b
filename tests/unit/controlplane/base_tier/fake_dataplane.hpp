// A dataplane as far as routes and base segments go: applies what the programmer's feed writes, in
// order, as the real applier does (a delta before a base, deletions judged against the base at
// their time, pruning, sweeps), and says what a message for an id would meet. One thread.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "controlplane/base_tier/base_manager.hpp"
#include "controlplane/store/segment/base_file.hpp"

namespace sluice::controlplane {

struct Meaning {
  ActionKind kind = ActionKind::kNone;
  AdjacencyKey key;
  std::uint16_t udp_port = 0;
  std::uint16_t tenant = 0;

  friend bool operator==(const Meaning&, const Meaning&) = default;
};

class FakeDataplane final : public CommandWriter {
 public:
  explicit FakeDataplane(const HashKey& key) : hasher_(IdHasher::create(key)) {}

  std::uint32_t write(const link::Command* commands, std::uint32_t n) override {
    for (std::uint32_t i = 0; i < n; ++i)
      apply(commands[i]);
    return n;
  }

  // As when the control plane connects: a new epoch, old routes stay until a sweep.
  void connect(std::uint8_t epoch) {
    epoch_ = epoch;
    handles_.clear();
    begun_.reset();
    loaded_.clear();
    if (base_) loaded_[base_->header().id] = base_;
  }

  void load(const link::SegmentId& segment, store::BaseFile file) {
    files_.push_back(std::make_shared<store::BaseFile>(std::move(file)));
    loaded_[segment] =
        std::shared_ptr<const index::BaseSegmentView>(files_.back(), &files_.back()->view);
  }

  Meaning lookup(const Id& id) const {
    if (const auto at = delta_.find(id); at != delta_.end()) return at->second.meaning;
    return base_ ? in_base(id) : Meaning{};
  }
  std::size_t delta() const { return delta_.size(); }
  std::size_t sent() const { return routes_sent_; }
  bool has_base() const { return base_ != nullptr; }
  std::vector<link::Event> take_events() { return std::exchange(events_, {}); }

 private:
  struct Entry {
    Meaning meaning;  // kNone: deleted
    std::uint8_t epoch;
  };

  Meaning in_base(const Id& id) const {
    const Action action = Action::from_bits(base_->find(hasher_(id)));
    Meaning meaning{action.kind(), {}, action.udp_port(), action.tenant()};
    if (action.kind() == ActionKind::kNone) return {};
    if (action.kind() != ActionKind::kAdjacency) return meaning;
    if (const auto& key = translation_[action.index()]) {
      meaning.key = *key;
    } else {
      meaning.kind = ActionKind::kUnreachable;
    }
    return meaning;
  }

  void apply(const link::Command& command) {
    ASSERT_EQ(command.header.epoch, epoch_);
    const auto& body = command.body;
    switch (command.header.kind) {
      case link::CommandKind::kAdjacencySet: {
        index::BaseDestination destination{};
        destination.port = body.adjacency_set.port;
        destination.vlan = body.adjacency_set.vlan;
        destination.family = static_cast<std::uint8_t>(body.adjacency_set.family);
        destination.address = body.adjacency_set.destination;
        handles_[body.adjacency_set.handle] = key_of(destination);
        return;
      }
      case link::CommandKind::kAdjacencyDelete:
        EXPECT_EQ(handles_.erase(body.adjacency_delete.handle), 1u);
        return;
      case link::CommandKind::kRouteSet:
        return set_route(body.route_set);
      case link::CommandKind::kRouteDelete:
        ++routes_sent_;
        if (base_ && in_base(body.route_delete.id).kind != ActionKind::kNone) {
          delta_[body.route_delete.id] = {{}, epoch_};
        } else {
          delta_.erase(body.route_delete.id);
        }
        return;
      case link::CommandKind::kBaseBegin:
        ASSERT_TRUE(loaded_.contains(body.base_begin.segment)) << "begun before it was loaded";
        begun_ = loaded_[body.base_begin.segment];
        EXPECT_EQ(begun_->entries(), body.base_begin.entries);
        EXPECT_EQ(begun_->dictionary_size(), body.base_begin.dictionary);
        staged_.clear();
        return;
      case link::CommandKind::kBaseAdjacency: {
        const auto& adjacency = body.base_adjacency;
        ASSERT_EQ(adjacency.position, staged_.size());
        if (adjacency.handle == kNoIndex) {
          staged_.emplace_back();
        } else {
          ASSERT_TRUE(handles_.contains(adjacency.handle));
          staged_.emplace_back(handles_[adjacency.handle]);
        }
        return;
      }
      case link::CommandKind::kBaseCommit:
        ASSERT_TRUE(begun_);
        ASSERT_EQ(begun_->dictionary_size(), staged_.size());
        return commit();
      case link::CommandKind::kSweep:
        std::erase_if(delta_, [&](const auto& item) { return item.second.epoch != epoch_; });
        if (base_epoch_ != epoch_) base_.reset();
        return;
      default:
        return;
    }
  }

  void set_route(const link::RouteSet& route) {
    ++routes_sent_;
    Meaning meaning{route.kind, {}, route.udp_port, route.tenant};
    if (route.kind == ActionKind::kAdjacency) {
      ASSERT_TRUE(handles_.contains(route.handle));
      meaning.key = handles_[route.handle];
    }
    delta_[route.id] = {meaning, epoch_};
  }

  void commit() {
    base_ = begun_;
    base_epoch_ = epoch_;
    translation_ = staged_;
    const std::size_t before = delta_.size();
    std::erase_if(delta_, [&](const auto& item) {
      return item.second.epoch == epoch_ && in_base(item.first) == item.second.meaning;
    });
    link::Event event{};
    event.kind = link::EventKind::kBaseDone;
    event.body.base_done = {base_->header().id, before - delta_.size(), delta_.size()};
    events_.push_back(event);
  }

  IdHasher hasher_;
  std::uint8_t epoch_ = 0;
  std::map<std::uint32_t, AdjacencyKey> handles_;
  std::map<Id, Entry> delta_;
  std::vector<std::shared_ptr<store::BaseFile>> files_;
  std::map<link::SegmentId, std::shared_ptr<const index::BaseSegmentView>> loaded_;
  std::shared_ptr<const index::BaseSegmentView> begun_;
  std::shared_ptr<const index::BaseSegmentView> base_;
  std::vector<std::optional<AdjacencyKey>> staged_;
  std::vector<std::optional<AdjacencyKey>> translation_;
  std::uint8_t base_epoch_ = 0;
  std::vector<link::Event> events_;
  std::size_t routes_sent_ = 0;
};

}  // namespace sluice::controlplane
