#!/usr/bin/python3
"""Counts what one `meson test --logbase NAME` run did, case by case.

    test_totals.py BUILD NAME
    test_totals.py --self-test    proves on reports as meson writes them that nothing bad is counted as passed

Cases come from gtest's and TAP's own reports; a program without such a report is one case. Whatever did not
clearly pass has failed: a skipped or disabled case, a program that crashed after its last case, one that ran no
case. Prints a line per failure, then 'PASSED FAILED' as the last line.
"""

import json
import pathlib
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

PROJECT = "sluice"


def plain(name):
    """meson says 'sluice:unit / name', but 'name' alone when the project has a single suite."""
    return name.split(" / ")[-1]


def cases_by_program(path):
    """Program name -> list of (case name, problem or None), from meson's JUnit file."""
    programs = {}
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            if suite.get("name") == PROJECT:
                program = name = plain(case.get("name"))
            else:
                program = plain(suite.get("name").removeprefix(PROJECT + ".")).split(".")[0]
                name = plain(case.get("name"))
                if " / " not in (case.get("classname") or " / "):
                    name = f"{case.get('classname')}.{name}"
            problem = next((p for p in ("failure", "error", "skipped") if case.find(p) is not None), None)
            if problem is None and case.get("status") == "notrun":
                problem = "disabled"
            programs.setdefault(program, []).append((name, problem))
    return programs


def count(directory, log_name):
    """(passed, failed, lines about failures) of the reports log_name.* in a directory."""
    programs = cases_by_program(directory / f"{log_name}.junit.xml")
    passed = failed = 0
    messages = []
    for line in (directory / f"{log_name}.json").read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        program = plain(run["name"])
        cases = programs.get(program, [])
        if run["result"] != "OK" and cases == [(program, None)]:
            cases = []  # meson's report of a single-case program knows no timeouts
        bad = [(name, problem) for name, problem in cases if problem]
        passed += len(cases) - len(bad)
        failed += len(bad)
        messages += [f"  {problem}: {program}: {name}" for name, problem in bad]
        if not bad and (run["result"] != "OK" or not cases):
            failed += 1
            what = run["result"] if run["result"] != "OK" else "ran no case"
            messages.append(f"  {what}: {program} (status {run['returncode']})")
    return passed, failed, messages


def gtest(program, cases):
    return f'<testsuite name="sluice.sluice:unit / {program}.A">{cases}</testsuite>'


def single(program, inside=""):
    case = f'<testcase name="sluice:unit / {program}" classname="sluice">{inside}</testcase>'
    return f'<testsuite name="sluice">{case}</testsuite>'


GOOD_CASE = '<testcase name="b" status="run" classname="A"/>'
# What it is, suites as in meson's JUnit file, result and status as in its JSON file, passed, failed.
SELF_TEST = [
    ("two good cases", gtest("p", GOOD_CASE * 2), "OK", 0, 2, 0),
    ("a failed case", gtest("p", GOOD_CASE + '<testcase name="f" status="run" classname="A"><failure/></testcase>'),
     "FAIL", 1, 1, 1),
    ("a skipped case", gtest("p", GOOD_CASE + '<testcase name="s" status="run" classname="A"><skipped/></testcase>'),
     "OK", 0, 1, 1),
    ("a disabled case", gtest("p", GOOD_CASE + '<testcase name="d" status="notrun" classname="A"/>'), "OK", 0, 1, 1),
    ("no case", "", "OK", 0, 0, 1),
    ("a crash after the last case", gtest("p", GOOD_CASE), "FAIL", -11, 1, 1),
    ("a crash before any report", single("p", "<failure/>"), "FAIL", -11, 0, 1),
    ("a time-out of a single-case program", single("p"), "TIMEOUT", -15, 0, 1),
    ("a good single-case program", single("p"), "OK", 0, 1, 0),
    ("a skipped single-case program", single("p", "<skipped/>"), "SKIP", 77, 0, 1),
    ("TAP with one bad case", '<testsuite name="sluice.sluice:e2e / p"><testcase name="1 - a" '
     'classname="sluice.sluice:e2e / p"/><testcase name="2 - b" classname="sluice.sluice:e2e / p"><failure/>'
     "</testcase></testsuite>", "FAIL", 0, 1, 1),
    ("TAP that stopped short of its plan", '<testsuite name="sluice.sluice:e2e / p"><testcase name="1 - a" '
     'classname="sluice.sluice:e2e / p"/></testsuite>', "ERROR", 0, 1, 1),
]


def self_test():
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        for what, suites, result, status, *wanted in SELF_TEST:
            (directory / "x.junit.xml").write_text(f"<testsuites>{suites}</testsuites>", encoding="utf-8")
            run = {"name": "sluice:unit / p", "result": result, "returncode": status}
            (directory / "x.json").write_text(json.dumps(run) + "\n", encoding="utf-8")
            *got, messages = count(directory, "x")
            if got != wanted or len(messages) != wanted[1]:
                print(f"test_totals.py --self-test: {what}: expected {wanted}, got {got} {messages}")
                wrong += 1
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    passed, failed, messages = count(pathlib.Path(sys.argv[1]) / "meson-logs", sys.argv[2])
    for message in messages:
        print(message)
    print(passed, failed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
