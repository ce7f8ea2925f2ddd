"""The clearing against its goals, simple rules, general solvers, and the memory of the machine.

Run as ``python -m benchmarks.clearing [--quick] [--json]`` from the root of the repository, or ``make bench-clearing``;
under ten minutes on two cores that do nothing else. Every large book is cleared in a process of its own, so that its
peak of memory is its own; ratios compare with something measured in the same run.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import families, goals, passes, peers

Report = dict[str, Any]
PEER_SECONDS = 45.0
QUICK_PEER_SECONDS = 5.0


def _sections(quick: bool) -> dict[str, Callable[[], Any]]:
    """Return what is measured, each in a process of its own."""
    out: dict[str, Callable[[], Any]] = {}
    for goal in goals.QUICK if quick else goals.GOALS:
        out[f"goal {goal.name}"] = lambda goal=goal: goals.measure(goal)
    out["pass"] = lambda: passes.measure(100_000 if quick else 1_000_000)
    chosen = families.FEATURES[1::6] if quick else families.FEATURES
    out["families"] = lambda: [families.measure(features, 1_000 if quick else families.ORDERS) for features in chosen]
    contests = peers.CONTESTS[:2] if quick else peers.CONTESTS
    limit = QUICK_PEER_SECONDS if quick else PEER_SECONDS
    out["peers"] = lambda: peers.measure_all(contests, limit)
    return out


def say(text: str) -> None:
    """Write a line where it does not disturb the JSON document."""
    print(text, file=sys.stderr, flush=True)


def _in_fresh_process(section: str, quick: bool) -> Any:
    command = [sys.executable, "-m", "benchmarks.clearing", "--section", section, *(["--quick"] if quick else [])]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _goal_lines(rows: list[Report]) -> list[str]:
    lines = [
        "Goals: median of 3, two threads; gap certified for all payments, and for payments by the rule at the prices",
        f"{'book':<31} {'seconds':>8} {'goal':>6} {'gap':>7} {'at prices':>10} {'goal':>6} {'MB':>6} {'goal':>6}",
    ]
    for r in rows:
        most = r["goal_memory_mb"]
        lines.append(
            f"{r['name']:<31} {r['seconds']:>8.2f} {r['goal_seconds']:>6.1f} {r['gap']:>7.2%}"
            f" {r['gap_at_prices']:>10.2%} {r['goal_gap']:>6.1%} {r['memory_mb']:>6.0f}"
            f" {'' if most is None else f'{most:.0f}':>6}"
        )
    lines += ["", "Where the time goes, seconds"]
    for r in rows:
        parts = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in r["phases"].items())
        lines.append(f"{r['name']:<31} {parts}; {r['passes']} passes, {r['moves']} moves")
    return lines


def _family_lines(rows: list[Report]) -> list[str]:
    names = list(rows[0]["welfare_over"])
    lines = [
        f"Families of {rows[0]['orders']} orders; last columns: our welfare as a multiple of the rule's",
        f"{'family':<48} {'seconds':>8} {'gap':>7} {'at prices':>10} {'util':>6} "
        + " ".join(f"{n:>17}" for n in names),
    ]
    for r in rows:
        over = " ".join(f"{r['welfare_over'][name]:>17.3f}" for name in names)
        lines.append(
            f"{r['name']:<48} {r['seconds']:>8.2f} {r['gap']:>7.2%} {r['gap_at_prices']:>10.2%}"
            f" {r['utilisation']:>6.2f} {over}"
        )
    return lines


def _peer_lines(rows: list[Report]) -> list[str]:
    lines = [
        "Small books: engine in 2 s, exact mode from its answer, HiGHS and CP-SAT from nothing; * proven optimal",
        f"{'book':<36} {'engine':>12} {'gap':>7} {'exact':>12}  {'HiGHS':>12}  {'CP-SAT':>12}  {'engine/better':>14}",
    ]
    for r in rows:
        cells = []
        for peer in (r["exact"], r["peers"]["HiGHS"], r["peers"]["CP-SAT"]):
            cells.append(f"{peer['value_cny']:>12.0f}{'*' if peer['proven'] else ' '}" if peer else f"{'absent':>12} ")
        lines.append(
            f"{r['name']:<36} {r['welfare_cny']:>12.0f} {r['gap']:>7.2%} {' '.join(cells)}"
            f" {r['welfare_over_better_peer']:>14.4f}"
        )
    return lines


def table(report: Report) -> str:
    """Return the report as text."""
    lines = [*_goal_lines(report["goals"]), "", "Pricing pass"]
    lines += [f"  {name.replace('_', ' '):<42} {value}" for name, value in report["pass"].items()]
    lines += ["", *_family_lines(report["families"]), "", *_peer_lines(report["peers"])]
    lines += ["", f"{report['seconds']:.0f} s in all"]
    return "\n".join(lines)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--quick", action="store_true", help="small books only, half a minute")
    parser.add_argument("--section", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sections = _sections(asked.quick)
    if asked.section:
        print(json.dumps(sections[asked.section]()))
        return
    begin = time.perf_counter()
    report: Report = {"goals": []}
    for name in sections:
        say(f"{time.perf_counter() - begin:5.0f} s  {name}")
        result = _in_fresh_process(name, asked.quick)
        if name.startswith("goal "):
            report["goals"].append(result)
        else:
            report[name] = result
    report["seconds"] = time.perf_counter() - begin
    print(json.dumps(report, indent=2) if asked.json else table(report))


if __name__ == "__main__":
    main()
