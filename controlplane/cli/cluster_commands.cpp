// cluster init, join-token, events, keys
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "config/join_token.hpp"
#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "sluice/base/base64.hpp"
#include "sluice/base/random.hpp"

namespace sluice::cli {
namespace {

std::string new_key() {
  const auto bytes = random_bytes<32>();
  return to_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string_view what_is_there(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) {
    return " is a symbolic link that leads nowhere; name another with --keys-file";
  }
  if (S_ISDIR(about.st_mode)) return " is a folder; name a file in it with --keys-file";
  if (!S_ISREG(about.st_mode)) return " is no regular file; name another with --keys-file";
  return " is there already, with the keys of a cluster. To leave that cluster, move the file "
         "away; or name another with --keys-file";
}

// Never over one that is there: its cluster would be cut off.
Status write_keys(const std::string& path, const std::vector<std::string>& keys) {
  std::string text = "# Keys of the cluster, the one in use first. Keep them secret.\n";
  for (const auto& key : keys)
    text += key + "\n";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (errno == EEXIST)
      return fail(ErrorCode::kAlreadyExists, fmt::format("{}{}", path, what_is_there(path)));
    return fail(ErrorCode::kUnavailable,
                fmt::format("cannot make {}: {}", path, std::strerror(errno)));
  }
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (written) return {};
  ::unlink(path.c_str());
  return fail(ErrorCode::kUnavailable,
              fmt::format("cannot write {}: {}", path, std::strerror(error)));
}

// A configuration that nobody named may not be there yet, or not be finished.
Result<std::string> keys_file_of(const Context& c) {
  if (c.args.has("keys-file")) {
    // The configuration takes no other.
    std::error_code error;
    const auto path = std::filesystem::absolute(c.args.text("keys-file"), error);
    if (error) return wrong_usage("--keys-file: " + error.message());
    return path.lexically_normal().string();
  }
  const bool asked = c.args.has("config");
  const auto config = config::load(asked ? c.args.text("config") : c.environment.default_config,
                                   config::Files::kSkip);
  if (config) return config->cluster.keys_file;
  if (asked) return fail(ErrorCode::kNotFound, config.error().message(), ErrorOrigin::kConfig);
  return "/var/lib/sluice/cluster.keys";
}

// As YAML reads it back, in quotes where it needs them. Without control characters.
std::string yaml_text(std::string_view text) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("/_.-").contains(c);
  };
  if (text.starts_with('/') && std::ranges::all_of(text, plain)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string section_of(const config::JoinToken& token, const std::string& path) {
  std::string text = "cluster:\n  bind: 0.0.0.0\n";
  if (!token.join.empty()) {
    text += "  join: [";
    for (std::size_t i = 0; i < token.join.size(); ++i)
      text += (i > 0 ? ", " : "") + yaml_text(printable(token.join[i]));
    text += "]\n";
  }
  if (!token.label.empty()) text += fmt::format("  label: {}\n", yaml_text(printable(token.label)));
  text += token.keys.empty() ? "  encryption: false\n"
                             : fmt::format("  keys-file: {}\n", yaml_text(path));
  return text;
}

std::string render_keys(const api::ListKeysReply& r, const Paint& paint) {
  Table table({"KEY", "HERE", ">ROUTERS", ">IN USE BY"});
  for (const auto& k : r.keys()) {
    const auto all = k.routers() == r.routers();
    const auto have = fmt::format("{} of {}", k.routers(), r.routers());
    table.row({k.fingerprint(), k.primary_here() ? paint.good("in use") : yes_no(k.here()),
               all ? have : paint.warn(have), fmt::format("{}", k.primary())});
  }
  std::string text = table.text(paint);
  if (r.others() > 0) {
    text +=
        paint.warn(fmt::format("{} members do not tell which keys they have", r.others())) + "\n";
  }
  return text;
}

Outcome step_key(Context& c, api::KeyStep step, std::string_view done) {
  api::StepKeyRequest request;
  request.set_step(step);
  request.set_key(c.args.text("KEY"));
  request.set_others_done(c.args.has("others-done"));
  if (step != api::KEY_ADD && !c.args.has("KEY")) {
    return wrong_usage("which key? 'sluice cluster keys list' shows them");
  }
  const auto reply = c.client.call(request);
  if (!reply) return std::unexpected(reply.error());
  c.print(c.json ? JsonWriter().value(*reply).take()
                 : fmt::format("key {} {}, told to {} routers\n", reply->fingerprint(), done,
                               reply->routers()));
  return kDone;
}

std::string event_line(const api::ClusterEvent& e) {
  std::string text = fmt::format("{}  {:<11}", time_text(e.time_ns()), e.kind());
  if (!e.node().empty()) text += fmt::format(" {}", printable(e.node()));
  if (!e.address().empty()) text += " at " + e.address();
  if (!e.from().empty() && e.from() != e.node()) text += ", said by " + printable(e.from());
  if (!e.reason().empty()) text += ": " + printable(e.reason());
  text += '\n';
  return text;
}

}  // namespace

Outcome cluster_init(Context& c) {
  const auto path = keys_file_of(c);
  if (!path) return std::unexpected(path.error());
  config::JoinToken token;
  if (c.args.has("token")) {
    auto parsed = config::parse_join_token(c.args.text("token"));
    if (!parsed) return wrong_usage("--token: " + parsed.error().message());
    token = *std::move(parsed);
  } else {
    token.keys.push_back(new_key());
  }
  if (!token.keys.empty()) {
    if (auto ok = write_keys(*path, token.keys); !ok) return std::unexpected(ok.error());
  }
  const auto section = section_of(token, *path);
  if (c.json) {
    JsonWriter json;
    json.begin_object().member("keys_file", *path).member("section", section).end_object();
    c.print(json.take());
    return kDone;
  }
  if (!token.keys.empty()) c.print(fmt::format("made {}\n", *path));
  c.print("Put into the configuration, then restart sluice-controlplane:\n\n" + section);
  return kDone;
}

Outcome cluster_join_token(Context& c) {
  const auto reply = c.client.call(api::JoinTokenRequest{});
  if (!reply) return std::unexpected(reply.error());
  c.print(c.json ? JsonWriter().value(*reply).take() : reply->token() + "\n");
  return kDone;
}

Outcome cluster_keys(Context& c) {
  const auto action = c.args.text("ACTION");
  if (action == "add") return step_key(c, api::KEY_ADD, "added");
  if (action == "use") return step_key(c, api::KEY_USE, "in use");
  if (action == "remove") return step_key(c, api::KEY_REMOVE, "removed");
  if (c.args.has("KEY")) return wrong_usage("list takes no key");
  return show(c, c.client.call(api::ListKeysRequest{}), render_keys);
}

Outcome cluster_events(Context& c) {
  constexpr auto kGrace = std::chrono::seconds(5);  // the control plane ends the stream first
  constexpr auto kForEver = std::chrono::hours(24 * 365);
  api::ClusterEventsRequest request;
  request.set_from_start(c.args.has("all"));
  if (c.args.has("count")) request.set_count(static_cast<std::uint32_t>(c.args.number("count")));
  c.client.set_timeout(kForEver);
  if (c.args.has("for")) {
    const auto time = std::chrono::ceil<std::chrono::seconds>(c.args.duration("for"));
    request.set_timeout_s(static_cast<std::uint32_t>(time.count()));
    c.client.set_timeout(time + kGrace);
  }
  const auto done = c.client.call(request, [&](const api::ClusterEvent& event) {
    return c.print(c.json ? JsonWriter(false).value(event).take() : event_line(event));
  });
  if (!done) return std::unexpected(done.error());
  return kDone;
}

}  // namespace sluice::cli
