// config show, check, reload
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"

namespace sluice::cli {
namespace {

std::string difference_lines(const auto& differences) {
  std::string text;
  for (const auto& d : differences) {
    text += d.live() ? fmt::format("  {}: live\n", printable(d.key()))
                     : fmt::format("  {}: only after a restart of {}\n", printable(d.key()),
                                   printable(d.restart()));
  }
  return text;
}

std::string render_check(const api::CheckConfigReply& r, const Paint& paint) {
  std::string text;
  for (const auto& d : r.diagnostics())
    text += printable(d.text()) + '\n';
  if (r.more() != 0) text += fmt::format("and {} more\n", r.more());
  if (!r.ok()) return text;  // first things first: warnings come with a good one
  for (const auto& d : r.warnings())
    text += fmt::format("{}: {}\n", paint.warn("warning"), printable(d.text()));
  text += fmt::format("{}: {}\n", printable(r.file()), paint.good("good"));
  if (r.differences().empty()) return text;
  return text + "differs from what is in effect:\n" + difference_lines(r.differences());
}

std::string render_reload(const api::ReloadConfigReply& r, const Paint& paint) {
  std::string text;
  if (!r.not_recorded().empty()) {
    text = fmt::format(
        "{}: the configuration is in effect, but the store has not recorded which tenants left or "
        "came; it will when it works again: {}\n",
        paint.warn("warning"), printable(r.not_recorded()));
  }
  if (r.applied().empty()) return text + fmt::format("{}: nothing changed\n", printable(r.file()));
  return text + fmt::format("{}: taken over\n", printable(r.file())) +
         difference_lines(r.applied());
}

void fill(const std::vector<config::Diagnostic>& from,
          google::protobuf::RepeatedPtrField<api::Diagnostic>& into) {
  for (const auto& d : from) {
    auto& to = *into.Add();
    to.set_file(d.file);
    to.set_line(d.line);
    to.set_column(d.column);
    to.set_key(d.key);
    to.set_message(d.message);
    to.set_text(to_string(d));
  }
}

// The library's own check, for files of routers that need not run.
api::CheckConfigReply check_here(const std::string& file) {
  const auto checked = config::check(file);
  api::CheckConfigReply reply;
  reply.set_ok(checked.ok());
  reply.set_file(file);
  reply.set_more(checked.more);
  fill(checked.diagnostics, *reply.mutable_diagnostics());
  fill(checked.warnings, *reply.mutable_warnings());
  return reply;
}

// The file that the daemons read, or would, when no control plane answers for the one in use.
// Whoever names a socket wants to hear from that one.
Outcome check_usual_file(Context& c, Error unreachable) {
  if (c.args.has("socket") || unreachable.code() != ErrorCode::kUnavailable) {
    return std::unexpected(std::move(unreachable));
  }
  const std::string file =
      c.args.has("config") ? c.args.text("config") : c.environment.default_config;
  if (!c.args.has("config") && ::access(file.c_str(), F_OK) != 0) {
    return fail(ErrorCode::kNotFound,
                fmt::format("cannot open {}: {}; a running control plane would say which file it "
                            "uses; name one: sluice config check FILE",
                            file, std::generic_category().message(errno)),
                ErrorOrigin::kConfig);
  }
  const Result<api::CheckConfigReply> reply = check_here(file);
  auto shown = show(c, reply, render_check);
  if (!shown || !reply->ok()) return shown ? Outcome(kFailed) : shown;
  if (!c.json) {
    c.print(fmt::format("not compared with what is in effect: {}\n", unreachable.message()));
  }
  return shown;
}

}  // namespace

Outcome config_show(Context& c) {
  api::ShowConfigRequest request;
  request.set_json(c.json);
  const auto reply = c.client.call(request);
  if (!reply) return std::unexpected(reply.error());
  c.print(reply->text());
  if (!reply->text().ends_with('\n')) c.print("\n");
  return kDone;
}

Outcome config_check(Context& c) {
  Result<api::CheckConfigReply> reply = c.args.has("FILE")
                                            ? check_here(c.args.text("FILE"))
                                            : c.client.call(api::CheckConfigRequest{});
  if (!reply) return check_usual_file(c, std::move(reply.error()));
  auto shown = show(c, reply, render_check);
  return shown && !reply->ok() ? Outcome(kFailed) : shown;
}

Outcome config_reload(Context& c) {
  return show(c, c.client.call(api::ReloadConfigRequest{}), render_reload);
}

}  // namespace sluice::cli
