// The commands of the store that take long: progress to people on standard error, again and again,
// and the report at the end as it was asked for. One thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/progress.hpp"

namespace sluice::cli {

// A large store takes hours; --timeout is for what is quick.
inline constexpr std::chrono::hours kLong{24 * 7};

struct Doing {
  std::string_view what;       // "copying"
  std::string_view unit = {};  // "entries"; none: bytes
};

// Calls `more` with what is neither progress nor report. Nothing came: the control plane went away.
template <class Report, class Reply, class Request, class More>
Result<Report> report_of(Context& c, const Request& request, const Doing& doing, const More& more) {
  c.client.set_timeout(kLong);
  ProgressLine progress(c, doing.what, doing.unit);
  std::optional<Report> report;
  Status going;
  const auto done = c.client.call(request, [&](const Reply& reply) {
    if (reply.has_progress()) progress.show(reply.progress().done(), reply.progress().total());
    if (reply.has_report()) report = reply.report();
    going = more(reply);
    return going.has_value();
  });
  progress.end();
  if (!going) return std::unexpected(going.error());
  if (!done) return std::unexpected(done.error());
  if (!report) {
    return fail(ErrorCode::kUnavailable, "the control plane ended without a report",
                ErrorOrigin::kPeer);
  }
  return *report;
}

template <class Reply, class Request, class Report>
Result<Report> follow(Context& c, const Request& request, const Doing& doing,
                      std::string (*render)(const Report&, const Paint&)) {
  auto report = report_of<Report, Reply>(c, request, doing, [](const Reply&) { return Status{}; });
  if (report) c.print(c.json ? JsonWriter().value(*report).take() : render(*report, c.paint));
  return report;
}

template <class Report>
Outcome outcome_of(const Result<Report>& report) {
  if (!report) return std::unexpected(report.error());
  return kDone;
}

}  // namespace sluice::cli
