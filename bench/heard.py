"""How long an event of the kernel takes to the engine.

    python -m bench.heard [--events N] [--quick] [--out DIR]

A process that is watched starts others now and then, each of which runs a program and ends. The
kernel notes when; what is taken is the time from then until the engine has been told. Once while
the machine has nothing else to do, and once while two processes for each CPU want all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench import machine, plots
from linnix_ls.config import cache_dir
from linnix_ls.core.events import Execed, Exited, Forked
from linnix_ls.core.examination import Examination, ExaminationRequest
from linnix_ls.core.ids import ProcessKey
from linnix_ls.feed.base import FeedChange, InputsSeen
from linnix_ls.feed.local import Hub
from linnix_ls.locate.base import Reading
from linnix_ls.tracer.bcc import BccTracer

SCHEMA = "linnix-heard/1"
MAX_P95_MS = 100.0  # a tick
_SEVERAL = 3  # events of each process
_STARTING = """
import subprocess, sys, time
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    subprocess.run(["true"])
    time.sleep(0.03)
"""


class Nobody:
    """An examiner that finds nothing out: to look at processes is not what is measured."""

    async def examine(self, request: ExaminationRequest, ancestors: object) -> Examination:
        return Examination(request.id, request.key, request.depth, True, 0.0, None)

    async def look(self, key: ProcessKey) -> Reading:
        return Reading("none")


async def measure(n_events: int) -> dict[str, Any]:
    """Milliseconds; as plain JSON."""
    about = machine.describe()
    hub = Hub(BccTracer(cache_dir()), lambda _feed: Nobody())
    await hub.start()
    quiet = _figures(await _times_ms(hub, n_events))
    with machine.busy():
        loaded = _figures(await _times_ms(hub, n_events))
    await hub.stop()
    return {"schema": SCHEMA, **about, "ms": {"nothing else runs": quiet, "CPUs full": loaded}}


async def _times_ms(hub: Hub, n_events: int) -> list[float]:
    feed = hub.open(os.geteuid())
    await feed.record_inputs()
    times_ms: list[float] = []

    def hear(change: FeedChange) -> None:
        now_ns = time.monotonic_ns()
        if isinstance(change.change, InputsSeen):
            times_ms.extend(
                (now_ns - event.ktime_ns) / 1e6
                for event in change.change.events
                if isinstance(event, (Forked, Execed, Exited))
            )

    feed.subscribe(hear)
    starting = await asyncio.create_subprocess_exec(
        *(sys.executable, "-Sc", _STARTING, str(n_events // _SEVERAL)),
        stdin=asyncio.subprocess.PIPE,
    )
    await feed.watch(starting.pid, "heard", is_run=True, is_root_judged=True)
    await starting.communicate(b"go\n")
    await asyncio.sleep(1)
    await feed.close()
    return times_ms


def _figures(times_ms: Sequence[float]) -> dict[str, float]:
    p95 = quantiles(times_ms, n=20, method="inclusive")[-1]
    each = {"median": median(times_ms), "p95": p95, "max": max(times_ms)}
    return {"n": len(times_ms), **{name: round(ms, 2) for name, ms in each.items()}}


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    rows = [
        [when, str(ms["n"]), *(f"{ms[name]:.1f} ms" for name in ("median", "p95", "max"))]
        for when, ms in result["ms"].items()
    ]
    return (
        "# From the kernel to the engine\n\n"
        f"linnix-ls {result['tool']['version']}, tracer bcc, {result['measured_at']}:"
        f" {result['n_cpus']} CPUs, kernel {result['kernel']}, load before {result['load']}."
        " Births, programs and ends; 20 ms are waited for more of them (p95 at most"
        f" {MAX_P95_MS:.0f} ms).\n\n"
        + machine.table(["meanwhile", "events", "median", "p95", "max"], rows)
    )


def plot(result: dict[str, Any], path: Path) -> Path:
    """Medians, and the worst."""
    bars = [
        plots.Bar(when, ms["median"], ms["median"], ms["p95"], is_ours=True)
        for when, ms in result["ms"].items()
    ]
    panel = plots.Panel("median, up to the 95th percentile", bars, MAX_P95_MS)
    return plots.bars(path, "From the kernel to the engine", "ms", [panel])


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.heard", description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=3_000, metavar="N")
    parser.add_argument("--quick", action="store_true", help="a tenth of them")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    machine.end_tidily()
    result = asyncio.run(measure(300 if options.quick else options.events))
    page = markdown(result)
    print("\n" + page)
    machine.save("heard", result, page, options.out, plot)


if __name__ == "__main__":
    main()
