"""Tries the agent on Debian's kernels from 5.10 on, each in an emulated machine.

    python -m bench.kernels [--kernel SUITE]... [--case ID]... [--quick] [--publish]

As root. For each kernel: do the probes attach, is each runaway found at its line, is nothing
left attached. Exit status 1: something was not so; then the logs, which are kept, are named.
A few minutes a kernel on a quiet machine; a busy one takes longer and says the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import machine
from bench.kernels import virtual
from bench.kernels.guest import LESSONS

SCHEMA = "linnix-kernels/1"

KERNELS = ("bullseye", "bookworm", "bookworm-backports", "trixie")  # 5.10, 6.1, 6.12, 6.12
# A spin in C, one in Python, and a storm; then a user's probe, and one that has to be refused,
# since it does not ask whether a lookup has found something.
CASES = ("c-frame-reader", "py-feed-export", "cc-launcher", *LESSONS)
QUICK_CASES = CASES[:1]
TIMEOUT_S = 1800.0

PAGE = virtual.CHECKOUT / "docs/kernels.md"
BEGIN, END = "<!-- written by bench.kernels --publish -->\n", "<!-- to here -->"

REFUSAL = "8: verifier/null-deref"


def measure(
    kernels: Sequence[str], cases: Sequence[str], timeout_s: float, n_at_once: int, folder: Path
) -> dict[str, Any]:
    """Run them, some at once since their clocks do not mind; the result as plain JSON."""
    fetched = subprocess.run(
        [str(virtual.CHECKOUT / "deploy/kernels.sh"), *kernels],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    about = machine.describe()
    stop = threading.Event()

    def run(name: str) -> dict[str, Any]:
        logs = folder / "kernels" / name
        began_s = time.monotonic()
        facts = virtual.run(
            Path(fetched.stdout.strip(), name),
            cases,
            logs,
            timeout_s=timeout_s,
            tell=lambda line: print(f"{name}, {time.monotonic() - began_s:.0f} s: {line}"),
            stop=stop,
        )
        return {
            "suite": name,
            "elapsed_s": round(time.monotonic() - began_s),
            "logs": str(logs),
            **facts,
        }

    with ThreadPoolExecutor(n_at_once) as pool:
        try:
            runs = list(pool.map(run, kernels))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop.set()
            raise
    return {"schema": SCHEMA, **about, "cases": list(cases), "runs": runs}


def failures(result: Mapping[str, Any]) -> list[str]:
    """What was not as it should be, in words."""
    found = []
    for run in result["runs"]:
        wrong = [cell for cell in _row(run, result["cases"]) if cell.startswith("NO")]
        if "problem" in run:
            wrong.append(run["problem"])
        elif not run.get("is_complete"):
            wrong.append("it ended too early")
        if wrong:
            found.append(f"{run['suite']}: {'; '.join(wrong)} (see {run['logs']})")
    return found


def markdown(result: Mapping[str, Any]) -> str:
    """The matrix, and of what it is."""
    rows = [_row(run, result["cases"]) for run in result["runs"]]
    head = ["kernel", "attaches", *result["cases"], "detaches", "start"]
    return (
        f"linnix-ls {result['tool']['version']}, {result['measured_at']}: "
        f"kernels of Debian in QEMU {virtual.version()}, one emulated processor of"
        f" {virtual.MIPS} million instructions a second. Seconds are the machine's own.\n\n"
        + machine.table(head, rows)
    )


def published(page: str, matrix: str) -> str:
    """The page with this matrix in place of the one that is there."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{matrix}{END}{after}"


def _row(run: Mapping[str, Any], cases: Sequence[str]) -> list[str]:
    agent, end = run.get("agent", {}), run.get("end", {})
    by_case = {one["case"]: one for one in run["results"]}
    is_attached = agent.get("is_ready", False)
    return [
        run.get("kernel", run["suite"]),
        "yes" if is_attached else f"NO: {agent.get('message', 'it did not say')}",
        *(_cell(by_case.get(case)) for case in cases),
        "yes" if end.get("is_detached") else f"NO: {end.get('why') or end.get('left', '-')}",
        f"{agent['start_s']:.0f} s" if "start_s" in agent else "-",
    ]


def _cell(one: Mapping[str, Any] | None) -> str:
    """What came of a case."""
    if one is None:
        return "NO: not tried"
    if one["case"] in LESSONS:
        return _lesson_cell(one)
    if one["problem"] or one["detection"] != "detected" or one["place"] != "exact":
        said = f"{one['detection']} at {one['said']} ({one['place']})"
        return f"NO: {one['problem'] or said}"
    if one["false_reports"]:
        return f"NO: accused a stranger: {', '.join(one['false_reports'])}"
    return f"{one['said']}, {one['flagged_s']:.0f} s"


def _lesson_cell(one: Mapping[str, Any]) -> str:
    """What came of a user's probe: it works, or it is refused at the line for the right reason."""
    if one.get("is_passed") or one.get("found") == [REFUSAL]:
        return "yes"
    return f"NO: {one.get('problem') or one['summary']} {one.get('messages', '')}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench.kernels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kernel", action="append", choices=KERNELS, help="default: all")
    parser.add_argument("--case", action="append", help=f"default: {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="6.1 and one case only")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="of a kernel, in seconds")
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="default: a CPU each")
    parser.add_argument("--out", type=Path, default=machine.RESULTS)
    parser.add_argument("--publish", action="store_true", help="write docs/kernels.md anew")
    options = parser.parse_args()
    machine.end_tidily()
    kernels = options.kernel or (["bookworm"] if options.quick else KERNELS)
    cases = options.case or (QUICK_CASES if options.quick else CASES)
    result = measure(kernels, cases, options.timeout, options.at_once, options.out)
    page = markdown(result)
    print(f"\n{page}")
    machine.save("kernels", result, page, options.out)
    if options.publish:
        PAGE.write_text(published(PAGE.read_text(), page))
    if wrong := failures(result):
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
