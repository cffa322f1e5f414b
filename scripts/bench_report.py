#!/usr/bin/python3
"""Runs one benchmark program and reports what it measured; started by scripts/bench.

    bench_report.py --suite NAME --build DIR --json FILE -- PROGRAM [OPTION]...

The program's stdout must be JSON lines, one object per result, with exactly the keys of KEYS. Anything else there, no
result at all, or a failing program is an error: nothing is written and the exit status is not 0.
"""

import argparse
import json
import pathlib
import subprocess
import sys

NUMBER = (int, float)
KEYS = {"name": str, "params": dict, "unit": str, "min": NUMBER, "median": NUMBER, "max": NUMBER, "runs": int}


def fail(message):
    sys.exit(f"bench: error: {message}")


def parse_result(line):
    try:
        result = json.loads(line, parse_constant=lambda text: fail(f"not a number in a result: {line}"))
    except ValueError as error:
        fail(f"the program printed a line that is not JSON ({error}): {line}")
    if not isinstance(result, dict):
        fail(f"a result must be an object: {line}")
    for key, kind in KEYS.items():
        if not isinstance(result.get(key), kind):
            fail(f"a result needs '{key}' ({kind}): {line}")
    unknown = set(result) - set(KEYS)
    if unknown:
        fail(f"a result has unknown keys {sorted(unknown)}: {line}")
    if result["runs"] < 1 or not result["min"] <= result["median"] <= result["max"]:
        fail(f"a result needs runs and min <= median <= max: {line}")
    return result


def run(command):
    results = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as program:
        for line in program.stdout:
            if line.strip():
                results.append(parse_result(line.strip()))
    if program.returncode != 0:
        fail(f"{command[0]} ended with status {program.returncode}")
    return results


def commit_of(tree):
    def git(*arguments):
        done = subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    head = git("rev-parse", "HEAD") or "unknown"
    return head + "-dirty" if git("status", "--porcelain", "--untracked-files=no") else head


def cpu_of_machine():
    model, family, number, count = "unknown", "?", "?", 0
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model, count = value.strip(), count + 1
            elif key.strip() == "model":
                number = value.strip()
            elif key.strip() == "cpu family":
                family = value.strip()
    return f"{model}, family {family} model {number}, {count} CPUs"


def compiler_of(build):
    options = {}
    with open(build / "meson-info" / "intro-buildoptions.json", encoding="utf-8") as file:
        for option in json.load(file):
            options[option["name"]] = option["value"]
    done = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.partition("\n")[0]
    return f"{version}, -O{options.get('optimization')} -march={options.get('march')}"


def table(results):
    def number(value):
        return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.2f}"

    rows = [("name", "parameters", "min", "median", "max", "runs", "unit")]
    for r in results:
        parameters = " ".join(f"{key}={value}" for key, value in r["params"].items())
        figures = [number(r[key]) for key in ("min", "median", "max")]
        rows.append((r["name"], parameters, *figures, str(r["runs"]), r["unit"]))
    widths = [max(len(row[i]) for row in rows) for i in range(7)]
    left = (0, 1, 6)
    return "\n".join(
        "  ".join(cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(row)).rstrip()
        for row in rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--suite", required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--json", default="")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    results = run(options.command)
    if not results:
        fail("the program measured nothing")
    report = {
        "suite": options.suite,
        "commit": commit_of(pathlib.Path(__file__).parent),
        "cpu": cpu_of_machine(),
        "compiler": compiler_of(options.build),
        "results": results,
    }
    header = f"{report['suite']} at {report['commit'][:12]}\n{report['cpu']}\n{report['compiler']}\n"
    print(header + table(results), file=sys.stderr if options.json == "-" else sys.stdout)
    if options.json == "-":
        json.dump(report, sys.stdout, indent=1)
        print()
    elif options.json:
        pathlib.Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
