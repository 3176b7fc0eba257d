"""What an event and a tick cost the engine, against how much it knows already.

    python -m bench.growth [--rounds N] [--quick] [--out DIR]

Engines with ever more processes alive, dead, or accused are told of the same work by turns: a
process that starts, runs a program and ends; a sample; a tick. Costs that do not grow with what
is known are wanted, and none that grow faster than its logarithm are accepted.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

from bench import machine, plots
from linnix_ls.core.changes import Change, ExaminationWanted
from linnix_ls.core.engine import Engine
from linnix_ls.core.events import (
    Event,
    Examined,
    Execed,
    Exited,
    Forked,
    ProcessSeen,
    Sampled,
    Ticked,
    Watched,
)
from linnix_ls.core.examination import Examination
from linnix_ls.core.ids import NS_PER_S, ProcessKey

SCHEMA = "linnix-growth/1"
N_CPUS = 2
TICK_NS = NS_PER_S // 10
SIZES = (1, 10, 100, 1_000, 10_000, 100_000)
N_FINDINGS = (1, 10, 100, 1_000)
# Work of one round, some milliseconds of it.
N_LIVES = 200
N_SAMPLES = 400
N_TICKS = 20


class World:
    """An engine that watches an editor, below which runs are started, by a clock of its own."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.now_ns = 1_000 * NS_PER_S
        self._pids = count(1_000)
        self.editor = self._new_key()
        self.tell(Watched(self.now_ns, self.editor, "editor"))
        self.tell(ProcessSeen(self.now_ns, self.editor, None, 0, "editor", ("editor",)))

    def tell(self, event: Event) -> list[Change]:
        return self.engine.receive(event)

    def fork(self, parent: ProcessKey) -> ProcessKey:
        key = self._new_key()
        self.tell(Forked(self.now_ns, key, parent, 0, "sh"))
        return key

    def start(self, parent: ProcessKey, *argv: str, cwd: str = "/ws") -> ProcessKey:
        key = self.fork(parent)
        exe = f"/usr/bin/{argv[0]}"
        self.tell(Execed(self.now_ns, key, parent, 0, argv[0], argv, exe=exe, cwd=cwd))
        return key

    def exit(self, key: ProcessKey, code: int = 0) -> None:
        self.tell(Exited(self.now_ns, key, code, None))

    def tick(self) -> None:
        """Time passes; of every process that is looked at nothing is seen."""
        self.now_ns += TICK_NS
        for change in self.tell(Ticked(self.now_ns, N_CPUS, 1)):
            if isinstance(change, ExaminationWanted):
                asked = change.request
                seen = Examination(asked.id, asked.key, asked.depth, False, 0.1, None)
                self.tell(Examined(self.now_ns, seen))

    def _new_key(self) -> ProcessKey:
        return ProcessKey(next(self._pids), self.now_ns // (NS_PER_S // 100))


class Work:
    """What is timed, in one world."""

    def __init__(self, world: World, run: ProcessKey) -> None:
        self.world, self.run = world, run
        self._busy = world.start(run, "worker")

    def lives(self) -> int:
        """Whole lives, as of a test suite; the events that they are made of."""
        world = self.world
        for _ in range(N_LIVES):
            world.now_ns += NS_PER_S // 1_000
            world.exit(world.start(self.run, "cc", "-c", "unit.c"))
        return 3 * N_LIVES

    def samples(self) -> int:
        world = self.world
        for _ in range(N_SAMPLES):
            world.now_ns += NS_PER_S // 99
            world.tell(Sampled(world.now_ns, self._busy, 1, NS_PER_S // 400, (1, 2, 3), (), 7))
        return N_SAMPLES

    def ticks(self) -> int:
        for _ in range(N_TICKS):
            self.world.tick()
        return N_TICKS


def living(n: int) -> Work:
    """`n` processes of one run that wait."""
    world = World()
    run = world.start(world.editor, "pytest", "-q")
    for _ in range(n):
        world.start(run, "server", "--wait")
    return Work(world, run)


def dead(n: int) -> Work:
    """`n` processes have ended a moment ago."""
    world = World()
    run = world.start(world.editor, "pytest", "-q")
    for _ in range(n):
        world.exit(world.start(run, "cc", "-c", "unit.c"))
        world.now_ns += NS_PER_S // 5_000
    return Work(world, run)


def deep(n: int) -> Work:
    """A chain of `n` processes, each of which has started the next one."""
    world = World()
    process = run = world.start(world.editor, "pytest", "-q")
    for number in range(n):
        process = world.start(process, f"stage{number}")
    return Work(world, process if n else run)


def runs(n: int) -> Work:
    """`n` runs are under way, each in a folder of its own."""
    world = World()
    for number in range(n):
        run = world.start(world.editor, "pytest", "-q", cwd=f"/ws/{number}")
        world.start(run, "server", "--wait")
    return Work(world, run)


def accused(n: int) -> Work:
    """`n` findings, each of a run of its own that is over and is not done anew."""
    world = World()
    for number in range(n):
        run = world.start(world.editor, "pytest", "-q", cwd=f"/ws/{number}")
        for _ in range(40):
            world.exit(world.start(run, "curl", "localhost"), code=7)
            world.now_ns += NS_PER_S // 50
        world.tick()
        world.exit(run)
    world.now_ns += 100 * NS_PER_S
    world.tick()
    return Work(world, world.start(world.editor, "pytest", "-q"))


SHAPES: MappingProxyType[str, tuple[Callable[[int], Work], Sequence[int]]] = MappingProxyType(
    {
        "living": (living, SIZES),
        "dead": (dead, SIZES),
        "deep": (deep, SIZES),
        "runs": (runs, SIZES),
        "findings": (accused, N_FINDINGS),
    }
)
KINDS: MappingProxyType[str, Callable[[Work], int]] = MappingProxyType(
    {"event of a life": Work.lives, "sample": Work.samples, "tick": Work.ticks}
)


def measure(n_rounds: int, largest: int) -> dict[str, Any]:
    """Microseconds for each, by shape, kind of work and size; as plain JSON."""
    about = machine.describe()
    shapes = {}
    for shape, (make, all_sizes) in SHAPES.items():
        sizes = [size for size in all_sizes if size <= largest]
        works = {size: make(size) for size in sizes}
        times: dict[str, dict[int, list[float]]] = {
            kind: {size: [] for size in sizes} for kind in KINDS
        }
        for _ in range(n_rounds):
            for size, work in works.items():  # by turns
                for kind, do in KINDS.items():
                    began_ns = time.thread_time_ns()
                    n_done = do(work)
                    times[kind][size].append((time.thread_time_ns() - began_ns) / n_done / 1_000)
        costs_us = {
            kind: [round(median(each[size]), 3) for size in sizes] for kind, each in times.items()
        }
        shapes[shape] = {"sizes": sizes, **costs_us}
        print(f"{shape}: {shapes[shape]}", flush=True)
    return {"schema": SCHEMA, **about, "n_rounds": n_rounds, "shapes": shapes}


def growth(sizes: Sequence[int], costs_us: Sequence[float]) -> tuple[float, float]:
    """How many times as dear the largest is as the cheapest of those before it, and how many
    times that may be: as its logarithm, counted in doublings."""
    return costs_us[-1] / min(costs_us), 1 + math.log2(sizes[-1] / sizes[0])


def is_met(result: dict[str, Any]) -> bool:
    return all(
        grown <= allowed
        for figures in result["shapes"].values()
        for grown, allowed in (growth(figures["sizes"], figures[kind]) for kind in KINDS)
    )


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    parts = [
        "# What an event costs, against how much is known\n\n"
        f"linnix-ls {result['tool']['version']}, {result['measured_at']}: {result['n_cpus']} CPUs,"
        f" Python {result['python']}, load before {result['load']}; medians of"
        f" {result['n_rounds']} rounds by turns, microseconds of CPU time. Growth: the dearest"
        " size, the largest, as a multiple of the cheapest; allowed is one more than the doublings"
        " between the smallest and the largest. There are ten ticks a second.\n"
    ]
    for shape, figures in result["shapes"].items():
        rows = []
        for kind in KINDS:
            grown, allowed = growth(figures["sizes"], figures[kind])
            rows.append(
                [kind, *(f"{cost:.2f}" for cost in figures[kind]), f"{grown:.1f}", f"{allowed:.1f}"]
            )
        head = [shape, *(f"{size:,}" for size in figures["sizes"]), "growth", "allowed"]
        parts.append(machine.table(head, rows))
    return "\n".join(parts)


def plot(result: dict[str, Any], path: Path) -> Path:
    """Ticks, which look around, over what is known."""
    return plots.lines(
        path,
        "What a tick costs",
        "known already, of each kind",
        "µs",
        {
            shape: list(zip(figures["sizes"], figures["tick"], strict=True))
            for shape, figures in result["shapes"].items()
        },
        is_logarithmic=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller trees")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    result = measure(5 if options.quick else options.rounds, 10_000 if options.quick else SIZES[-1])
    page = markdown(result)
    print("\n" + page)
    machine.save("growth", result, page, options.out, plot)


if __name__ == "__main__":
    main()
