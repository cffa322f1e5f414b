#!/usr/bin/python3
"""Rules that need no compiler: forbidden words by folder, file and line lengths, how a header begins.

    lint_text.py FILE...       paths relative to the tree; prints FILE:LINE: what and why; exits 1 when there is any
    lint_text.py --self-test   proves that each rule finds what it is for

Words are looked for outside comments and string literals. A line may be excused by a comment
'lint: allow RULE: REASON', on that line or alone on the line before.
"""

import re
import stat
import sys
import pathlib

PRODUCT = r"(include|dataplane|controlplane|config)/"
# The message path itself, where nothing may allocate, block, format or dispatch dynamically.
FAST = r"(dataplane/pipeline/|include/sluice/(wire|hash|route)/)"
# Its neighbours: built at start, read by workers.
NEAR = r"dataplane/(pipeline|table|worker|obs)/"
TESTS = r"tests/"
MAX_LINES = 600
MAX_COLUMNS = 100  # C++; scripts and build files get a little more
MAX_COLUMNS_ELSEWHERE = 120

# Rule, folders (regex at the start of the path), folders excepted, pattern, why.
RULES = [
    ("allocation", FAST, r"$^",
     r"\bnew\b|\b(m|c|re)alloc\s*\(|\brte_(m|z)alloc\w*\s*\(|make_(unique|shared)"
     r"|std::(vector|deque|list|map|set|unordered_\w+)\b",
     "the message path allocates nothing"),
    ("string", FAST, r"include/sluice/wire/inet", r"std::string\b|std::to_string|std::(o|i)?stringstream",
     "the message path makes no strings"),
    ("format", NEAR, r"$^", r"\b\w*printf\s*\(|\bspdlog\b|std::c(out|err)\b|RTE_LOG\s*\(",
     "workers do not print or log"),
    ("dispatch", NEAR, r"$^", r"std::function\b|\bvirtual\b|\bdynamic_cast\b",
     "workers make no indirect calls per message"),
    ("lock", NEAR, r"$^",
     r"std::(\w*mutex|lock_guard|unique_lock|scoped_lock|condition_variable)\b"
     r"|pthread_mutex|rte_spinlock|rte_rwlock",
     "workers take no locks; one writer, RCU readers"),
    # Throwing is the only way to stop yaml-cpp's parser from within its events.
    # Memory that is short ends there as it does in a container.
    ("throw", PRODUCT, r"config/node\.cpp|controlplane/store/overlay/zeroed_memory\.hpp", r"\bthrow\b",
     "errors are values (Result, verdict)"),
    ("catch", r"(include|dataplane)/", r"dataplane/(app/|main)|include/sluice/agent/",
     r"\b(try\s*\{|catch\s*\()",
     "the dataplane sees no exceptions; app/ may wrap third-party start-up code"),
    ("foreign", r"dataplane/", r"$^", r"\b(grpc|protobuf|nlohmann)::",
     "the dataplane sees no gRPC, protobuf or JSON"),
    ("dpdk", r"controlplane/", r"controlplane/link/", r"\brte_\w+",
     "DPDK stays out of the control plane, except rings under link"),
    ("shell", r".", r"$^", r"\b(std::)?system\s*\(|\bpopen\s*\(", "no shell from our programs"),
    ("unbounded", r".", r"$^", r"\b(strcpy|strcat|sprintf|vsprintf|gets)\s*\(", "no unbounded copies"),
    ("random", r".", r"$^", r"\b(std::)?s?rand\s*\(", "rand() is neither random nor seeded for replay"),
    ("volatile", r".", r"$^", r"(?<!asm )(?<!__asm__ )(?<!asm)\bvolatile\b",
     "volatile does not synchronise; use std::atomic"),
    ("sleep", r"tests/unit/", r"$^", r"\b(u|nano)?sleep(_for|_until)?\s*\(",
     "unit tests wait on conditions, never on time"),
    ("skip", TESTS, r"$^", r"\bGTEST_SKIP\b|\bDISABLED_\w+", "a skipped test is a failed test"),
    ("using-namespace", r".", r"$^",
     r"^using\s+namespace\s+(?!std::(literals|\w+_literals|literals::\w+)\s*;)",
     "no using-directive at file scope"),
]
RULES = [(rule, re.compile(where), re.compile(but), re.compile(what), why) for rule, where, but, what, why in RULES]
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
ALLOW = re.compile(r"lint: allow ([a-z-]+): \S")
CPP = (".cpp", ".hpp")
TEXT = (".cpp", ".hpp", ".py", ".sh", ".build", ".txt", ".yaml", ".yml", ".proto", ".md", ".service", ".json")

LITERAL_OR_COMMENT = re.compile(
    r'R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*.*?\*/', re.S)


def code_of(text):
    """The text with comments and literals emptied; lines stay where they are."""
    def blank(match):
        piece = match.group(0)
        filler = '""' if piece[0] in 'R"' else " "
        return filler + "\n" * piece.count("\n")

    # A digit separator is no quote.
    return LITERAL_OR_COMMENT.sub(blank, re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "", text))


def excused(lines, index, rule):
    for line in (lines[index], lines[index - 1] if index > 0 and lines[index - 1].lstrip().startswith("//") else ""):
        match = ALLOW.search(line)
        if match and match.group(1) == rule:
            return True
    return False


def check_cpp(name, text):
    lines = text.split("\n")
    for index, line in enumerate(code_of(text).split("\n")):
        for rule, where, but, what, why in RULES:
            if where.match(name) and not but.match(name) and what.search(line) and not excused(lines, index, rule):
                yield index + 1, f"{rule}: '{what.search(line).group(0).strip()}': {why}"
    if name.endswith(".hpp"):
        if not any(line == "#pragma once" for line in lines):
            yield 1, "header: no #pragma once"
        if not (lines[0].startswith("//") and len(lines) > 1 and lines[1].startswith("//")):
            yield 1, "header: must open with two to eight lines on what it is for, who may call it, what it promises"


def check_text(name, text):
    lines = text.split("\n")
    columns = MAX_COLUMNS if name.endswith(CPP) else MAX_COLUMNS_ELSEWHERE
    if "\r" in text or "\t" in text and not name.endswith(".md"):
        yield 1, "form: tabs or carriage returns"
    if text and not text.endswith("\n") or text.endswith("\n\n"):
        yield len(lines), "form: must end with exactly one newline"
    if len(lines) - 1 > MAX_LINES and not name.endswith((".json", ".md")):
        yield MAX_LINES, f"length: {len(lines) - 1} lines; split it, {MAX_LINES} is the limit"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "form: white space at the end of the line"
        if len(line) > columns and not name.endswith((".json", ".md")) and "://" not in line:
            yield number, f"length: {len(line)} columns; {columns} is the limit"
        if UNFINISHED.search(line) and not name.endswith("lint_text.py"):
            yield number, "unfinished: finish it, or open an issue"


def is_text(name, text):
    return name.endswith(TEXT) or text.startswith(("#!", "# shellcheck"))


def check(name, text):
    if is_text(name, text):
        yield from check_text(name, text)
    if name.endswith(CPP):
        yield from check_cpp(name, text)


def check_file(name):
    path = pathlib.Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # packet captures, fuzz corpora
    yield from check(name, text)
    if text.startswith("#!") and not path.stat().st_mode & stat.S_IXUSR:
        yield 1, "form: has an interpreter line but may not be executed (chmod +x)"


HEADER = "// What it is for.\n// Who may call it.\n#pragma once\n"
# Path, text, rule expected (None: nothing).
CASES = [
    ("dataplane/pipeline/a.hpp", HEADER + "int* p = new int;\n", "allocation"),
    ("dataplane/pipeline/a.hpp", HEADER + "std::vector<int> v;\n", "allocation"),
    ("dataplane/pipeline/a.hpp", HEADER + "// a new one\nint x = 1'000'000; // std::string\n", None),
    ("dataplane/pipeline/a.hpp", HEADER + 'const char* s = "new // std::string";\n', None),
    ("include/sluice/wire/a.hpp", HEADER + "std::string s;\n", "string"),
    ("include/sluice/wire/a.hpp", HEADER + "std::string_view s;\n", None),
    ("dataplane/worker/a.cpp", "void f() { fprintf(stderr, 0); }\n", "format"),
    ("dataplane/table/a.cpp", "std::function<void()> f;\n", "dispatch"),
    ("dataplane/table/a.cpp", "std::lock_guard l(m);\n", "lock"),
    ("controlplane/registry/a.cpp", "void f() { throw 1; }\n", "throw"),
    ("dataplane/io/a.cpp", "void f() { try { g(); } catch (...) {} }\n", "catch"),
    ("dataplane/app/a.cpp", "void f() { try { g(); } catch (...) {} }\n", None),
    ("dataplane/app/a.cpp", "grpc::Server* s;\n", "foreign"),
    ("controlplane/registry/a.cpp", "int x = rte_lcore_id();\n", "dpdk"),
    ("controlplane/link/a.cpp", "int x = rte_ring_count(r);\n", None),
    ("perf/micro/a.cpp", "int x = system(c);\n", "shell"),
    ("perf/micro/a.cpp", "int x = file_system(c);\n", None),
    ("config/a.cpp", "void f() { strcpy(a, b); }\n", "unbounded"),
    ("tests/unit/a.cpp", "int x = rand();\n", "random"),
    ("dataplane/io/a.cpp", "volatile int x;\n", "volatile"),
    ("dataplane/io/a.cpp", 'void f() { asm volatile("" ::: "memory"); }\n', None),
    ("tests/unit/a.cpp", "void f() { std::this_thread::sleep_for(x); }\n", "sleep"),
    ("tests/unit/a.cpp", "TEST(A, DISABLED_x) {}\n", "skip"),
    ("controlplane/api/a.cpp", "using namespace sluice;\n", "using-namespace"),
    ("controlplane/api/a.cpp", "using namespace std::chrono_literals;\n", None),
    ("dataplane/io/a.cpp", "volatile int x;  // lint: allow volatile: a device register\n", None),
    ("dataplane/io/a.cpp", "// lint: allow volatile: a device register\nvolatile int x;\n", None),
    ("dataplane/io/a.cpp", "volatile int x;  // lint: allow volatile\n", "volatile"),
    ("dataplane/io/a.cpp", "// " + "TO" + "DO: later\n", "unfinished"),
    ("dataplane/io/a.hpp", "// One.\n// Two.\nint x;\n", "header"),
    ("dataplane/io/a.hpp", "#pragma once\nint x;\n", "header"),
    ("dataplane/io/a.cpp", "int x; \n", "form"),
    ("dataplane/io/a.cpp", "int x;", "form"),
    ("dataplane/io/a.cpp", "//" + "x" * 99 + "\n", "length"),
    ("dataplane/io/a.cpp", "int x;\n" * 601, "length"),
]


def self_test():
    wrong = 0
    for name, text, rule in CASES:
        found = [message for _, message in check(name, text)]
        if (rule is None and found) or (rule is not None and not any(m.startswith(rule + ":") for m in found)):
            print(f"lint_text.py --self-test: {name}: {text.strip()[-60:]!r}: expected {rule}, got {found}")
            wrong += 1
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    problems = 0
    for name in sys.argv[1:]:
        for number, message in check_file(name):
            print(f"{name}:{number}: {message}")
            problems += 1
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
