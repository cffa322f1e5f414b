// The manager after a restart: the newest segment file that an earlier process left is checked,
// compared with the routes and taken over. And which files stay.
#include <fmt/format.h>

#include "controlplane/base_tier/base_manager.hpp"
#include "controlplane/base_tier/file_image.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint32_t kAdoptAtOnce = 32'768;

std::string hex(const link::SegmentId& segment) {
  std::string text;
  for (const auto byte : segment)
    text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

std::string BaseManager::path_of(const link::SegmentId& segment, std::string_view ending) const {
  return fmt::format("{}/{}{}", options_.directory, hex(segment), ending);
}

void BaseManager::start(std::function<bool(const Id&)> keep) {
  if (step_ != Step::kNew) return;
  keep_ = std::move(keep);
  step_ = Step::kIdle;
  if (!options_.enabled) return tidy_files();
  if (auto ok = fs_.make_dir(options_.directory); !ok) {
    options_.enabled = false;
    info_.last_error = ok.error().message();
    return log(fmt::format("event=base_off error=\"{}\"", ok.error().message()), true);
  }
  if (auto image = find_newest()) return check(std::move(image));
  tidy_files();
}

std::shared_ptr<const FileImage> BaseManager::find_newest() {
  std::shared_ptr<const FileImage> newest;
  const auto names = fs_.list(options_.directory);
  if (!names) return nullptr;
  for (const auto& name : *names) {
    if (!name.ends_with(kSegment)) continue;
    auto image = FileImage::open(fs_, options_.directory + "/" + name, number_ + 1);
    if (!image) {
      log(fmt::format("event=base_unusable error=\"{}\"", image.error().message()), true);
      continue;
    }
    const auto& header = (*image)->view.header();
    if (header.key_check != index::base_key_check(hasher_)) continue;  // of another hash key
    if (newest && newest->view.header().created_unix_s >= header.created_unix_s) continue;
    newest = std::move(*image);
    ++number_;
  }
  return newest;
}

// Every byte is read before any is believed; the dataplane does the same with its own copy.
void BaseManager::check(std::shared_ptr<const FileImage> image) {
  step_ = Step::kAdopting;
  checker_ = std::thread([this, image, run = ++run_] {
    auto ok = image->file.verify([this](auto, auto) { return !stopping_.load(); });
    loop_.post([this, image, run, ok = std::move(ok)] {
      if (run == run_) adopt(image, ok);
    });
  });
}

void BaseManager::adopt(std::shared_ptr<const FileImage> image, const Status& checked) {
  if (checker_.joinable()) checker_.join();
  if (!checked) {
    log(fmt::format("event=base_unusable error=\"{}\" remedy=\"none needed, another is built\"",
                    checked.error().message()),
        true);
    return end_adopting();
  }
  routes_.begin_adopt(std::move(image), hasher_);
  built_.reset();
  adopt_more(run_);
}

void BaseManager::adopt_more(std::uint64_t run) {
  if (run != run_) return;
  if (routes_.adopt(kAdoptAtOnce)) return loop_.post([this, run] { adopt_more(run); });
  if (routes_.adopt_unknown() > 0) return adopt_unknown(run);
  finish_adopting();
}

// Its routes that nobody has any more have to be deleted, each by its id.
void BaseManager::adopt_unknown(std::uint64_t run) {
  const auto& view = routes_.adopting()->view;
  const auto& segment = view.header().id;
  auto ids = IdsReader::open(fs_, path_of(segment, kIds), segment, view.entries());
  if (!ids) return abort_adopting(ids.error());
  ids_ = std::move(*ids);
  checker_ = std::thread([this, run] {
    auto ok = ids_->verify([this] { return !stopping_.load(); });
    loop_.post([this, run, ok = std::move(ok)] {
      if (run != run_) return;
      checker_.join();
      ok ? adopt_ids(run) : abort_adopting(ok.error());
    });
  });
}

void BaseManager::adopt_ids(std::uint64_t run) {
  if (run != run_) return;
  const auto ids = ids_->next(kAdoptAtOnce);
  if (ids.empty()) return finish_adopting();
  routes_.adopt_missing(ids, keep_);
  loop_.post([this, run] { adopt_ids(run); });
}

// Without the ids nobody could tell the dataplane which of its routes are outdated.
void BaseManager::abort_adopting(const Error& error) {
  log(fmt::format("event=base_unusable error=\"{}\"", error.message()), true);
  routes_.abort();
  end_adopting();
}

void BaseManager::finish_adopting() {
  info_.adopted = routes_.adopting()->view.entries() - routes_.adopt_unknown();
  routes_.finish_adopt();
  const auto counts = routes_.counts();
  log(fmt::format("event=base_adopted entries={} known={} uncovered={} deleted={}",
                  routes_.current()->view.entries(), info_.adopted, counts.uncovered,
                  counts.deleted));
  end_adopting();
}

void BaseManager::end_adopting() {
  ids_.reset();
  step_ = Step::kIdle;
  tidy_files();
}

// Only the files of the base in use stay, and those of the one that is to follow it.
void BaseManager::tidy_files() {
  const auto names = fs_.list(options_.directory);
  if (!names) return;
  const auto current = routes_.current() ? hex(routes_.current()->id()) : std::string();
  const auto next = making_ ? hex(*making_) : std::string();
  for (const auto& name : *names) {
    const bool ours = name.ends_with(kSegment) || name.ends_with(kIds) || name.ends_with(".new");
    const bool in_use = !current.empty() && name.starts_with(current) && !name.ends_with(".new");
    const bool in_making = !next.empty() && name.starts_with(next);
    if (!ours || in_use || in_making) continue;
    [[maybe_unused]] const auto removed = fs_.remove(options_.directory + "/" + name);
  }
}

}  // namespace sluice::controlplane
