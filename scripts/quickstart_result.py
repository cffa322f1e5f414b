#!/usr/bin/python3
"""Result of scripts/quickstart for a person: what the two receivers and the two senders reported as JSON.

usage: quickstart_result.py RUN-DIRECTORY MESSAGES-EXPECTED
Writes the number of delivered messages to RUN-DIRECTORY/delivered; exit 0 only when all were delivered.
"""
import json
import pathlib
import sys

ROW = "    {:<22}{:>16}{:>16}"


def load(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        print(f"    no report in {path.name}: {error}", file=sys.stderr)
        return {}


def microseconds(report, key):
    return f"{report.get('one_way', {}).get(key, 0) / 1000:,.0f} us"


def notices(report):
    told = {reason: n for reason, n in report.get("notices", {}).items() if n}
    return ", ".join(f"{n} {reason}" for reason, n in told.items()) or "none"


def main():
    run, expected = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    sent = [load(run / "send-one.out"), load(run / "send-two.out")]
    got = [load(run / "listen-two.out"), load(run / "listen-one.out")]
    each = expected // 2
    rows = [
        ("", ["alice -> bob", "bob -> alice"]),
        ("sent", [f"{s.get('sent', 0):,}" for s in sent]),
        ("delivered", [f"{g.get('received', 0):,}" for g in got]),
        ("missing", [f"{each - g.get('received', 0):,}" for g in got]),
        ("reordered", [f"{g.get('reordered', 0):,}" for g in got]),
        ("messages per second", [f"{g.get('rate_per_second', 0):,.0f}" for g in got]),
        ("latency p50", [microseconds(g, "p50_ns") for g in got]),
        ("latency p99", [microseconds(g, "p99_ns") for g in got]),
        ("latency maximum", [microseconds(g, "max_ns") for g in got]),
        ("undeliverable notices", [notices(s) for s in sent]),
    ]
    for name, values in rows:
        print(ROW.format(name, *values))
    print("    (latency one way, program to program: two kernels' stacks and the router between them)")
    delivered = sum(g.get("received", 0) for g in got)
    (run / "delivered").write_text(str(delivered))
    return 0 if delivered == expected else 1


sys.exit(main())
