#!/usr/bin/python3
"""Says which tests of a build directory to run, and which ninja targets that needs.

    test_select.py BUILD --suite unit [--suite golden] [--threads] [--without-grpc]

Prints one line per test: its name, a tab, its targets separated by blanks. Tests belong to suites by their
declaration (test(..., suite: 'unit')). The two filters look at what a test is made of, so that nobody has to label it:

--threads       keeps tests whose own sources start threads, and tests of suite 'threads'
--without-grpc  drops tests that link gRPC (its headers cost minutes in every instrumented build); their names go to
                stderr, so that a log says what was left out
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

STARTS_THREADS = re.compile(r"std::j?thread\b|\bpthread_create\b|std::async\b")


def introspect(build, kind):
    with open(build / "meson-info" / f"intro-{kind}.json", encoding="utf-8") as file:
        return json.load(file)


def suites_of(test):
    """'sluice:unit' is suite 'unit' of project 'sluice'."""
    return {suite.split(":")[-1] for suite in test["suite"]}


def starts_threads(targets):
    for target in targets:
        for group in target.get("target_sources", []):
            for source in group.get("sources", []):
                path = pathlib.Path(source)
                if path.is_file() and STARTS_THREADS.search(path.read_text(errors="replace")):
                    return True
    return False


def links_grpc(build, files):
    if not files:
        return False
    commands = subprocess.run(
        ["ninja", "-C", str(build), "-t", "commands", "-s", *files],
        capture_output=True, text=True, check=True).stdout
    return "grpc++" in commands


def main():
    parser = argparse.ArgumentParser(description="selects tests of a meson build directory")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--suite", action="append", required=True)
    parser.add_argument("--threads", action="store_true")
    parser.add_argument("--without-grpc", action="store_true")
    options = parser.parse_args()

    build = options.build.resolve()
    targets = {target["id"]: target for target in introspect(build, "targets")}
    wanted = set(options.suite)
    seen = {}
    for test in introspect(build, "tests"):
        if not wanted & suites_of(test):
            continue
        made_of = [targets[name] for name in test["depends"] if name in targets]
        if options.threads and "threads" not in suites_of(test) and not starts_threads(made_of):
            continue
        files = [str(pathlib.Path(f).relative_to(build)) for t in made_of for f in t["filename"]]
        if options.without_grpc and links_grpc(build, files):
            print(f"left out, links gRPC: {test['name']}", file=sys.stderr)
            continue
        if test["name"] in seen:
            sys.exit(f"two tests are named {test['name']}; their gtest results would overwrite each other")
        seen[test["name"]] = files
    for name, files in seen.items():
        print(f"{name}\t{' '.join(files)}")


if __name__ == "__main__":
    main()
