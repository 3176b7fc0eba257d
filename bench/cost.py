"""What watching costs by itself: CPU and memory of the server, the agent and who holds the probes.

    python -m bench.cost [--lifecycles N] [--quick] [--out DIR]

The real server at a private agent, as an editor has them. While nothing happens, while 50
processes wait of which one wakes ten times a second, while 10,000 wait; and over a million
processes that start and end, as fast as the machine can, and some that run a program.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench import machine, plots
from bench.editor.client import PlainEditor, plain_editor
from bench.forking import Agent, Forker, cpu_s, private_agent, pss_bytes

SCHEMA = "linnix-cost/1"
MAX_IDLE_PERCENT = 0.3
MAX_AGENT_MB, MAX_SERVER_MB = 60.0, 80.0
# Flat: the last of the points is no more above the first one after the start than this.
MAX_GROWTH_MB = 5.0
N_POINTS = 10
N_LIVING = 10_000
N_ROUNDS = 5
SETTLE_S = 20.0  # after which nothing has happened for long enough
_WAKING = """
import os, time
for _ in range(49):
    if not os.fork():
        time.sleep(1e6)
while True:
    time.sleep(0.1)
"""


class Parts:
    """The processes of ours, by what they are."""

    def __init__(self, editor: PlainEditor, agent: Agent) -> None:
        self.pids = {
            "server": editor.server.pid,
            "agent": agent.process.pid,
            "holder of the probes": agent.holder.pid,
        }

    def cpu_s(self) -> dict[str, float]:
        return {name: cpu_s(pid) for name, pid in self.pids.items()}

    def memory(self) -> dict[str, dict[str, float]]:
        return {
            name: {
                "rss_mb": round(psutil.Process(pid).memory_info().rss / 1e6, 1),
                "pss_mb": round(pss_bytes(pid) / 1e6, 1),
            }
            for name, pid in self.pids.items()
        }

    async def cores(self, during_s: float) -> dict[str, float]:
        """What they take of a CPU, in percent, one round after the other; medians."""
        rounds = []
        for _ in range(N_ROUNDS):
            before, began_s = self.cpu_s(), time.monotonic()
            await asyncio.sleep(during_s / N_ROUNDS)
            after, took_s = self.cpu_s(), time.monotonic() - began_s
            rounds.append({name: 100 * (after[name] - before[name]) / took_s for name in after})
        return {name: round(median(each[name] for each in rounds), 3) for name in self.pids}


@asynccontextmanager
async def _watching() -> AsyncIterator[tuple[Agent, Parts]]:
    async with private_agent() as agent, plain_editor() as editor:
        with tempfile.TemporaryDirectory(prefix="linnix-cost-") as folder:
            await editor.start(Path(folder).resolve(), {"agent_socket": str(agent.socket)})
            yield agent, Parts(editor, agent)
            await editor.stop()


async def measure(n_lifecycles: int, idle_s: float) -> dict[str, Any]:
    """All of it, as plain JSON. What is started here is below the editor: this process."""
    about = machine.describe()
    async with _watching() as (agent, parts):
        await asyncio.sleep(2)
        start = parts.memory()
        print(start, flush=True)
        await asyncio.sleep(SETTLE_S)
        idle = {"nothing happens": await parts.cores(idle_s)}
        waking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _WAKING), start_new_session=True
        )
        await asyncio.sleep(SETTLE_S)
        idle["50 wait, one wakes 10 times a second"] = await parts.cores(idle_s)
        os.killpg(waking.pid, signal.SIGKILL)
        await waking.wait()
        print(idle, flush=True)
        lives = await _lives(agent, parts, "count", n_lifecycles)
        programs = await _lives(agent, parts, "exec", max(1_000, n_lifecycles // 50))
        with Forker("many", N_LIVING) as many:
            many.let_go()
            await many.said()
            await agent.when_calm()
            await asyncio.sleep(SETTLE_S)
            living = parts.memory()
            idle[f"{N_LIVING:,} wait"] = await parts.cores(idle_s)
            await many.finish()
        print(idle, living, flush=True)
        status = await agent.feed.status()
    return {
        "schema": SCHEMA,
        **about,
        "n_lost": status.n_lost,
        "start": start,
        "idle_percent": idle,
        "lives": lives,
        "programs": programs,
        "living": living,
    }


async def _lives(agent: Agent, parts: Parts, what: str, n: int) -> dict[str, Any]:
    """Memory at the beginning and after each part, and the CPU that all took."""
    points = [{"n": 0, "memory": parts.memory()}]
    before, took_s = parts.cpu_s(), 0.0
    for number in range(1, N_POINTS + 1):
        with Forker(what, n // N_POINTS) as forker:
            began_s = time.monotonic()
            forker.let_go()
            await forker.said()
            took_s += time.monotonic() - began_s
            await agent.when_calm()
        points.append({"n": number * (n // N_POINTS), "memory": parts.memory()})
        print(what, points[-1], flush=True)
    used = parts.cpu_s()
    return {
        "n": n,
        "per_s": round(n / took_s),
        "cpu_ms_for_1000": {
            name: round((used[name] - before[name]) / n * 1e6, 2) for name in parts.pids
        },
        "points": points,
    }


def growth_mb(lives: dict[str, Any]) -> dict[str, float]:
    """From the second point on: with the first of a kind what is needed for it is loaded."""
    first, last = (lives["points"][at]["memory"] for at in (1, -1))
    return {name: round(last[name]["rss_mb"] - first[name]["rss_mb"], 1) for name in first}


def is_met(result: dict[str, Any]) -> bool:
    nothing = result["idle_percent"]["nothing happens"]
    return (
        sum(nothing.values()) <= MAX_IDLE_PERCENT
        and result["start"]["agent"]["rss_mb"] <= MAX_AGENT_MB
        and result["start"]["server"]["rss_mb"] <= MAX_SERVER_MB
        and all(grown <= MAX_GROWTH_MB for grown in growth_mb(result["lives"]).values())
    )


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    names = list(result["start"])
    last = result["lives"]["points"][-1]["memory"]
    grown = growth_mb(result["lives"])
    memory = [
        [
            name,
            f"{result['start'][name]['rss_mb']:.1f} MB",
            f"{result['start'][name]['pss_mb']:.1f} MB",
            f"{last[name]['rss_mb']:.1f} MB",
            f"{grown[name]:+.1f} MB",
            f"{result['living'][name]['rss_mb']:.1f} MB",
        ]
        for name in names
    ]
    idle = [
        [what, *(f"{cores[name]:.3f} %" for name in names), f"{sum(cores.values()):.3f} %"]
        for what, cores in result["idle_percent"].items()
    ]
    busy = [
        [
            what,
            f"{lives['n']:,}",
            f"{lives['per_s']:,}",
            *(f"{lives['cpu_ms_for_1000'][name]:.1f} ms" for name in names),
        ]
        for what, lives in (
            ("starts and ends", result["lives"]),
            ("runs a program, too", result["programs"]),
        )
    ]
    n = result["lives"]["n"]
    return (
        "# What watching costs by itself\n\n"
        f"linnix-ls {result['tool']['version']}, tracer bcc, {result['measured_at']}:"
        f" {result['n_cpus']} CPUs, kernel {result['kernel']}, Python {result['python']}, load"
        f" before {result['load']}. Events lost: {result['n_lost']}. CPU by the processes' own"
        " clocks.\n\nOf one CPU, medians of"
        f" {N_ROUNDS} (at most {MAX_IDLE_PERCENT} % in all while nothing happens):\n\n"
        + machine.table(["meanwhile", *names, "in all"], idle)
        + "\nFor 1,000 processes:\n\n"
        + machine.table(["each", "of", "a second", *names], busy)
        + f"\nResident memory (at most {MAX_AGENT_MB:.0f} MB of the agent after the start and"
        f" {MAX_SERVER_MB:.0f} MB of the server; grown from {n // N_POINTS:,} to {n:,} processes by"
        f" at most {MAX_GROWTH_MB:.0f} MB):\n\n"
        + machine.table(
            ["", "start", "of it its own", f"after {n:,}", "grown", f"{N_LIVING:,} alive"], memory
        )
    )


def plot(result: dict[str, Any], path: Path) -> Path:
    """Memory over the processes that have started and ended."""
    points = result["lives"]["points"]
    return plots.lines(
        path,
        "Resident memory over processes that start and end",
        "processes",
        "MB",
        {
            name: [(each["n"], each["memory"][name]["rss_mb"]) for each in points]
            for name in result["start"]
        },
        limit=MAX_SERVER_MB,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.cost", description=__doc__.split("\n")[0])
    parser.add_argument("--lifecycles", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--quick", action="store_true", help="50,000, and shorter looks")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    machine.end_tidily()
    n = 50_000 if options.quick else options.lifecycles
    result = asyncio.run(measure(n, 10.0 if options.quick else 60.0))
    page = markdown(result)
    print("\n" + page)
    machine.save("cost", result, page, options.out, plot)


if __name__ == "__main__":
    main()
