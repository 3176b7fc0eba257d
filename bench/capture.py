"""Whether every process is seen, at the most that the machine can start, and what too much does.

    python -m bench.capture [--seconds S] [--quick] [--out DIR]

What the agent has seen is held against the load's own count and the kernel's counter of forks, for
a storm by several forkers, for 10,000 processes that live at once, and for 50 trees at once. Then
the process that holds the probes is stopped while a storm goes on, with a small buffer: what was
lost has to be told, all of it, and afterwards the tree has to be right again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench import machine, plots
from bench.forking import Agent, Forker, cpu_s, n_forks_of_machine, private_agent
from bench.heard import Nobody
from linnix_ls import procfs
from linnix_ls.config import cache_dir
from linnix_ls.core.events import Event, EventsLost, Exited, Forked, Sampled
from linnix_ls.feed.base import FeedChange, InputsSeen
from linnix_ls.feed.local import Hub
from linnix_ls.tracer.bcc import BccTracer

SCHEMA = "linnix-capture/1"
N_FORKERS = 4
N_LIVING = 10_000
N_TREES = 50
LIVES_OF_TREE = 200
# Too much: nobody reads for so long, and the buffer holds little.
STOPPED_S = 2.0
SMALL_RING_PAGES = 16
N_LEFT_LIVING = 50
RIGHT_WITHIN_S = 30.0


async def measure(storm_s: float) -> dict[str, Any]:
    """All of it, as plain JSON."""
    about = machine.describe()
    rows = []
    async with private_agent() as agent:
        for row in (_trees(agent), _many(agent), _storm(agent, storm_s)):
            rows.append(await row)
            print(rows[-1], flush=True)
    overload = await _overload()
    print(overload, flush=True)
    return {"schema": SCHEMA, **about, "rows": rows, "overload": overload}


async def _count(
    agent: Agent, what: str, forkers: list[Forker], n_wanted_living: int = 0
) -> dict[str, Any]:
    """Let them go, and compare the counts when they have said theirs."""
    for forker in forkers:
        await agent.feed.watch(forker.pid, what, is_run=True, is_root_judged=True)
    before = await agent.feed.status()
    n_machine, began_s = n_forks_of_machine(), time.monotonic()
    n_kernel = sum(forker.n_by_kernel for forker in forkers)
    cpu_before_s = cpu_s(agent.process.pid), cpu_s(agent.holder.pid)
    for forker in forkers:
        forker.let_go()
    n_load = sum([await forker.said() for forker in forkers])
    took_s = time.monotonic() - began_s
    n_kernel = sum(forker.n_by_kernel for forker in forkers) - n_kernel
    n_machine = n_forks_of_machine() - n_machine
    await agent.when_calm()
    after = await agent.feed.status()
    views = await agent.feed.process_tree() if n_wanted_living else ()
    used_s = [cpu_s(agent.process.pid), cpu_s(agent.holder.pid)]
    return {
        "what": what,
        "seconds": round(took_s, 2),
        "n_load": n_load,
        "n_kernel": n_kernel,
        "n_machine": n_machine,  # whoever else forked meanwhile, and threads, included
        "n_seen": after.n_processes - before.n_processes,
        "n_lost": after.n_lost - before.n_lost,
        "per_s": round(n_load / took_s),
        "caught_up_s": round(time.monotonic() - began_s - took_s, 2),
        "agent_cpu_s": round(sum(used_s) - sum(cpu_before_s), 2),
        "n_wanted_living": n_wanted_living,
        "n_living": sum(not view.has_ended for view in views),
    }


async def _storm(agent: Agent, storm_s: float) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        forkers = [stack.enter_context(Forker("storm", storm_s)) for _ in range(N_FORKERS)]
        return await _count(agent, f"{N_FORKERS} forkers, as fast as they can", forkers)


async def _many(agent: Agent) -> dict[str, Any]:
    with Forker("many", N_LIVING) as forker:
        row = await _count(agent, f"{N_LIVING:,} at once", [forker], N_LIVING + 1)
        await asyncio.sleep(1)
        idle_s, began_s = cpu_s(agent.process.pid), time.monotonic()
        await asyncio.sleep(5)
        share = (cpu_s(agent.process.pid) - idle_s) / (time.monotonic() - began_s)
        await forker.finish()
        await agent.when_calm()
        return row | {"agent_cores_while_they_wait": round(share, 4)}


async def _trees(agent: Agent) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        forkers = [stack.enter_context(Forker("count", LIVES_OF_TREE)) for _ in range(N_TREES)]
        row = await _count(agent, f"{N_TREES} trees at once", forkers)
        pids = {forker.pid for forker in forkers}
        runs = [run for run in await agent.feed.runs() if run.key.pid in pids]
        whole = sum(run.n_processes == LIVES_OF_TREE + 1 for run in runs)
        return row | {"n_trees": N_TREES, "n_whole_trees": whole}


async def _overload() -> dict[str, Any]:
    """Nobody reads what the kernel tells, while processes start that stay."""
    tracer = BccTracer(cache_dir(), ring_pages=SMALL_RING_PAGES)
    hub = Hub(tracer, lambda _feed: Nobody())
    await hub.start()
    feed = hub.open(os.geteuid())
    await feed.record_inputs()
    told: Counter[type[Event]] = Counter()
    told_lost: list[int] = []

    def hear(change: FeedChange) -> None:
        if isinstance(change.change, InputsSeen):
            told.update(map(type, change.change.events))
            told_lost.extend(e.n_lost for e in change.change.events if isinstance(e, EventsLost))

    feed.subscribe(hear)
    with Forker("storm", STOPPED_S) as storm, Forker("many", N_LEFT_LIVING) as many:
        for forker in (storm, many):
            await feed.watch(forker.pid, "overload", is_run=True, is_root_judged=True)
        before = Counter(told)
        assert tracer.worker_pid is not None
        os.kill(tracer.worker_pid, signal.SIGSTOP)
        try:
            storm.let_go()
            n_load = await storm.said()
            many.let_go()
            n_living = await many.said()
        finally:
            os.kill(tracer.worker_pid, signal.SIGCONT)
        went_on_s = time.monotonic()
        is_right = False
        while not is_right and time.monotonic() - went_on_s < RIGHT_WITHIN_S:
            await asyncio.sleep(0.05)
            is_right = {
                pid
                for pid in procfs.descendants(many.pid)
                if (stat := procfs.read_stat(pid)) and not stat.has_ended
            } == {
                process.key.pid
                for process in feed.engine.tree.alive()
                if process.key.pid != storm.pid
            }
        right_after_s = time.monotonic() - went_on_s
        heard = told - before
    await feed.close()
    await hub.stop()
    n_lives = 2 * n_load + 1 + n_living  # the storm itself ends, too
    return {
        "n_lives_events": n_lives,
        "n_lives_told": heard[Forked] + heard[Exited],
        "n_samples_told": heard[Sampled],
        "n_lost": sum(told_lost),
        "n_most_samples_lost": round(99 * (os.cpu_count() or 1) * (STOPPED_S + 1)),
        "is_right_again": is_right,
        "right_after_s": round(right_after_s, 2),
    }


def is_met(result: dict[str, Any]) -> bool:
    return all(map(_is_whole, result["rows"])) and _is_exact(result["overload"])


def _is_whole(row: dict[str, Any]) -> bool:
    return (
        row["n_load"] == row["n_kernel"] == row["n_seen"]
        and row["n_lost"] == 0
        and row["n_living"] == row["n_wanted_living"]
        and row.get("n_whole_trees") == row.get("n_trees")
    )


def _is_exact(told: dict[str, Any]) -> bool:
    """Samples are lost as well, and nobody else counts them: what was told as lost has to be the
    missing events of lives, and as many more as there may have been samples."""
    n_missing = told["n_lives_events"] - told["n_lives_told"]
    n_samples = told["n_lost"] - n_missing
    return bool(told["is_right_again"]) and 0 <= n_samples <= told["n_most_samples_lost"]


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    rows = [
        [
            row["what"],
            f"{row['per_s']:,}",
            *(f"{row[name]:,}" for name in ("n_load", "n_kernel", "n_seen", "n_lost")),
            f"{row['caught_up_s']:.1f} s",
            f"{1_000 * row['agent_cpu_s'] / row['n_load'] * 1_000:.0f} ms",
        ]
        for row in result["rows"]
    ]
    head = ["load", "a second", "it counts", "kernel counts", "seen", "lost", "heard after"]
    trees, many, _ = result["rows"]
    told = result["overload"]
    n_missing = told["n_lives_events"] - told["n_lives_told"]
    return (
        "# Whether every process is seen\n\n"
        f"linnix-ls {result['tool']['version']}, tracer bcc, {result['measured_at']}:"
        f" {result['n_cpus']} CPUs, kernel {result['kernel']}, load before {result['load']}. What"
        " the load has started by its own count, by the kernel's (a counter at the tracepoint"
        " sched_process_fork), and what the agent has seen of it.\n\n"
        + machine.table([*head, "CPU for 1,000"], rows)
        + f"\nOf {many['n_wanted_living']:,} that live at once {many['n_living']:,} are shown; the"
        f" agent takes {100 * many['agent_cores_while_they_wait']:.2f} % of a core while they wait."
        f" Of {trees['n_trees']} trees {trees['n_whole_trees']} are remembered with all their"
        " processes.\n\n"
        f"Too much: nobody reads for {STOPPED_S:.0f} s, from a buffer of"
        f" {SMALL_RING_PAGES * 4} KiB. Of {told['n_lives_events']:,} births and ends"
        f" {told['n_lives_told']:,} are told and {n_missing:,} are not; {told['n_lost']:,} events"
        f" are told as lost, the other {told['n_lost'] - n_missing:,} of them samples (at most"
        f" {told['n_most_samples_lost']:,}). The tree is"
        + (
            f" right again {told['right_after_s']:.1f} s after reading goes on.\n"
            if told["is_right_again"]
            else " **not right again**.\n"
        )
    )


def plot(result: dict[str, Any], path: Path) -> Path:
    """What was started beside what was seen."""
    panels = [
        plots.Panel(
            row["what"],
            [
                plots.Bar("the load's count", row["n_load"]),
                plots.Bar("the kernel's count", row["n_kernel"]),
                plots.Bar("seen", row["n_seen"], is_ours=True),
            ],
        )
        for row in result["rows"]
    ]
    return plots.bars(path, "Whether every process is seen", "processes", panels)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.capture", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="of the storm")
    parser.add_argument("--quick", action="store_true", help="a storm of five seconds")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    machine.end_tidily()
    result = asyncio.run(measure(5.0 if options.quick else options.seconds))
    page = markdown(result)
    print("\n" + page)
    machine.save("capture", result, page, options.out, plot)


if __name__ == "__main__":
    main()
