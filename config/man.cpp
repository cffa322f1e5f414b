// sluice.yaml(5), made from the table, so that it cannot say anything else than the reader does.
#include <fmt/format.h>

#include "config/roff.hpp"
#include "config/table.hpp"

namespace sluice::config {
namespace {

std::string flat(const Value& value) {
  if (value.kind != Value::Kind::kList) return value.text.empty() ? "\"\"" : value.text;
  return value.children.empty() ? "[]" : "a list";
}

template <class T>
std::string default_of(const Rule& rule, const T& value) {
  if (rule.required) return {};
  if (!rule.fallback.empty()) return std::string(rule.fallback);
  if (rule.omit_empty) return "none";
  return flat(write(rule, value));
}

template <class S, class Keys>
void keys_of(std::string& out, const std::string& prefix, const Keys& keys);

template <class S, class T>
void describe(std::string& out, const std::string& prefix, const Key<S, T>& key) {
  static const S kDefaults{};
  const T& value = kDefaults.*key.member;
  const auto fallback = default_of(key.rule, value);
  out += fmt::format(".TP\n.B {}\n{}\n.br\n", roff(prefix + std::string(key.name)),
                     roff(key.rule.help));
  out += roff(fmt::format("Value: {}.", allowed(key.rule, value))) + "\n.br\n";
  out += fallback.empty() ? "Required.\n" : roff(fmt::format("Default: {}.", fallback)) + "\n";
  out += key.rule.change == Change::kLive ? "Changes live.\n" : "Changes at start only.\n";
}

template <class S, class T, class Keys>
void describe(std::string& out, const std::string& prefix, const Section<S, T, Keys>& section) {
  out += fmt::format(".SS {}\n{}\n", roff(prefix + std::string(section.name)), roff(section.help));
  keys_of<T>(out, prefix + std::string(section.name) + ".", section.keys);
}

template <class S, class T, class Keys>
void describe(std::string& out, const std::string& prefix, const List<S, T, Keys>& list) {
  const std::string name = prefix + std::string(list.name) + "[]";
  // A list within a list's items stays within their heading.
  if (prefix.empty()) {
    out += fmt::format(".SS {}\nA list. {}\n", roff(name), roff(list.help));
  } else {
    out += fmt::format(".TP\n.B {}\nA list. {}\n", roff(name), roff(list.help));
  }
  keys_of<T>(out, name + ".", list.keys);
}

template <class S, class Keys>
void keys_of(std::string& out, const std::string& prefix, const Keys& keys) {
  for_each(keys, [&](const auto& entry) { describe(out, prefix, entry); });
}

constexpr std::string_view kHead = R"(.TH SLUICE.YAML 5 "" "Sluice" "File formats"
.SH NAME
sluice.yaml \- configuration of a Sluice router
.SH DESCRIPTION
One YAML file configures both processes of a router, sluice\-dataplane and sluice\-controlplane.
Its usual place is /etc/sluice/sluice.yaml.
Unknown keys, keys given twice and values out of range are refused, with file, line and column.
.B sluice config check
.I FILE
names everything that is wrong with a file,
.B sluice config show
prints the configuration in effect with all defaults, and
.B sluice config reload
takes over a changed file.
Keys marked as changing live take effect then.
When any other key has changed, the reload is refused as a whole and names the keys
and the process to restart.
Anchors, aliases, tags and several documents in one file are not supported.
.SH KEYS
)";

constexpr std::string_view kTail = R"(.SH AGENTS FILES
Very many agents are kept in text files with one agent a line.
Columns are separated by blanks; # begins a comment.
.PP
.nf
<name or uuid> <tenant> <endpoint> [capability,capability...]
.fi
.PP
In the file of a peer there is no endpoint:
.PP
.nf
<name or uuid> <tenant> [capability,capability...]
.fi
.PP
Relative paths are taken from the folder of the configuration file.
.SH EXAMPLE
.nf
dataplane:
  workers: [2, 3]
ports:
  \- name: agents
    device: 0000:3b:00.0
    addresses: [10.0.0.1/24]
  \- name: core
    device: 0000:3b:00.1
    role: trunk
    addresses: [192.0.2.1/30]
tenants:
  \- id: 1
    name: research
    token\-key\-file: research.key
.fi
.SH SEE ALSO
.BR sluice (1)
)";

}  // namespace

std::string man_page() {
  std::string out(kHead);
  keys_of<Config>(out, {}, kConfigKeys);
  return out += kTail;
}

}  // namespace sluice::config
