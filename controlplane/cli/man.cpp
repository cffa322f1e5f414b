// man (hidden): sluice(1) in roff, made from the command table by the build.
#include <fmt/format.h>

#include "config/roff.hpp"
#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/help.hpp"

namespace sluice::cli {
namespace {

std::string item(std::string_view heading, std::string_view text) {
  return fmt::format(".TP\n.B {}\n{}\n", config::roff(heading), config::roff(text));
}

std::string of_command(const Command& command) {
  std::string text =
      fmt::format(".SS {}\n{}.\n", config::roff(synopsis(command)), config::roff(command.help));
  for (const auto& p : command.parameters)
    text += item(p.name, p.help);
  for (const auto& option : command.options)
    text += item(heading_of(option), option.help);
  return text;
}

constexpr std::string_view kHead = R"(.TH SLUICE 1 "" "Sluice" "User commands"
.SH NAME
sluice \- look at and steer a Sluice router; ping, send and listen as an agent
.SH SYNOPSIS
.B sluice
.I COMMAND
[arguments] [options]
.SH DESCRIPTION
The commands ping, send and listen are an agent's side and speak UDP to a router.
config check with a file, store restore, store salvage, store verify with a folder, store
estimate, completion and version need nothing but this machine; config check without a file checks
the one in use and compares it with what is in effect, or while no control plane runs checks the one
that it would read.
All others talk to the router's control plane on its unix socket.
.PP
Options may stand before or after a command and its arguments.
Counts and rates may end in k, M or G, times in ms, s, m or h; without a unit a time is in seconds.
Names that are near are suggested when there is none as given.
.SH COMMANDS
)";

constexpr std::string_view kTail = R"(.SH JSON
With \-\-json every command prints one JSON object; stats and drops with \-\-watch, trace, and store
export without a file, print one object a line. Keys are in snake_case and stay; new ones may be
added.
Ids are text, times are in nanoseconds where the key ends in _ns.
.SH DAMAGED STORES
A store whose log or manifest is damaged is not opened. With a backup: store restore. Without one:
store verify \-\-directory names every damaged place, and store salvage makes a new store of the
rest and tells what is lost; move the old folder away, the new one to its place, and start the
control plane. Agents that are missing register again. When the disk itself cannot be read, copy the
folder first with a tool that goes on after errors, such as ddrescue.
.SH TENANTS THAT ARE TAKEN OUT
The agents of a tenant that the configuration has no more are not served, but stay in the store:
store status and store usage show them, store export and store delete take the tenant's number. They
come back when the tenant does, under the same number and name: those that registered with what is
left of their leases, or not at all when these have ended. While they wait, no tenant of another
name can have the number; store delete makes it free.
.SH EXPORTS
store export writes one JSON object a line. The first is
{"format":"sluice\-tenant\-export","version":1,"tenant":N}, the last
{"end":true,"items":N,"sequence":N}; without the last one it is not complete.
Between them is an item each, with "table" and "kind":
"agent" with id, name, origin, endpoint, peer, capabilities, added_ns, lease_s, renewed_ns,
last_request_ns and moves; "departed" for an agent that has left within the last minute, with id,
last_request_ns and until_ns; "bytes" with key_hex, value_hex and error for what is not known or
damaged.
Agents of the configuration are not in the store, and so not in an export.
.SH ESTIMATES
store estimate prints a block of configuration: put its lines into the sections of the same names,
then check the file with config check. What each number is made of, margins included, stands beside
it. The more agents register themselves, the longer their leases must be for the router to answer
all renewals. The packet buffers that it counts on are those of \-\-mbufs, with an MTU of 2026 at
most; with \-\-ports and \-\-workers it says when they are too few for the queues. The lines that
begin with # are for sysctl: without huge pages for them, base segments are only loaded while 64 MiB
stay free beside them, and a kernel whose table of neighbours is full finds no further host.
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Failed: the reason is on standard error. Also when a route lookup finds no route, a checked
configuration is wrong, a fleet does not fit into the memory given, a ping got no answer, fewer
messages were sent or received than asked for, or standard output cannot be written.
.TP
.B 2
Wrong usage.
.SH EXAMPLES
.nf
sluice status \-\-wait 10
sluice agent list \-\-tenant 1 \-\-json
sluice agent token acme/prod/translate/7 \-\-tenant 1 > translate.token
sluice listen \-\-name acme/prod/translate/7 \-\-tenant 1 \-\-token\-file translate.token \e
    \-\-router 10.0.0.1
sluice send acme/prod/translate/7 \-\-name acme/test/sender/1 \-\-tenant 1 \e
    \-\-count 10k \-\-rate 1k \-\-token\-file sender.token \-\-router 10.0.0.1
sluice trace \-\-destination acme/prod/translate/7
sluice store estimate \-\-agents 10M \-\-capabilities 1000 \-\-hosts 5000 \-\-memory 24G
.fi
.SH FILES
.TP
.I /etc/sluice/sluice.yaml
the configuration
.TP
.I /run/sluice/api.sock
the control plane's socket
.SH SEE ALSO
.BR sluice.yaml (5)
)";

}  // namespace

Outcome man(Context& c) {
  std::string page(kHead);
  for (const auto& command : commands()) {
    if (!command.hidden) page += of_command(command);
  }
  page += ".SH OPTIONS OF ALL COMMANDS\n";
  for (const auto& option : global_options())
    page += item(heading_of(option), option.help);
  page += item("--help", "say how a command is used");
  page += kTail;
  c.print(page);
  return kDone;
}

}  // namespace sluice::cli
