#!/usr/bin/python3
"""Counts what one `meson test --logbase NAME` run did, case by case.

    test_totals.py BUILD NAME

Cases come from gtest's and TAP's own reports; a program without such a report is one case. Whatever did not
clearly pass has failed: a skipped or disabled case, a program that crashed after its last case, one that ran no
case. Prints a line per failure, then 'PASSED FAILED' as the last line.
"""

import json
import pathlib
import sys
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


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    logs = pathlib.Path(sys.argv[1]) / "meson-logs"
    log_name = sys.argv[2]
    programs = cases_by_program(logs / f"{log_name}.junit.xml")

    passed = failed = 0
    with open(logs / f"{log_name}.json", encoding="utf-8") as lines:
        runs = [json.loads(line) for line in lines]
    for run in runs:
        program = plain(run["name"])
        cases = programs.get(program, [])
        if run["result"] != "OK" and cases == [(program, None)]:
            cases = []  # meson's report of a single-case program knows no timeouts
        bad = [(name, problem) for name, problem in cases if problem]
        passed += len(cases) - len(bad)
        failed += len(bad)
        for name, problem in bad:
            print(f"  {problem}: {program}: {name}")
        if not bad and (run["result"] != "OK" or not cases):
            failed += 1
            what = run["result"] if run["result"] != "OK" else "ran no case"
            print(f"  {what}: {program} (status {run['returncode']})")
    print(passed, failed)


if __name__ == "__main__":
    main()
