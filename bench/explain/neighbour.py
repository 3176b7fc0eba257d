"""What a model at work costs a program that computes beside it, and what its answers cost.

    python -m bench.explain.neighbour MODEL.gguf [--rounds N] [--seconds S]

The worst case: one CPU for both, and the program in a session of its own, as a test that was
started from a terminal while the model belongs to an editor. Windows with and without the model
beside it take turns. Compared is what the program gets done in a second of the CPU time that the
two of them have, so that what others do on this machine does not count; by the clock, it does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median

import psutil

from linnix_ls.config import ExplainSettings
from linnix_ls.explain.base import Prompt, Writer
from linnix_ls.explain.writer import WorkerWriter, make_writer

BAR_PERCENT = 3.0

# Counts how much it gets done, and writes the sum down at every line that it reads.
_NEIGHBOUR = """
import select, sys
n_done = 0
while True:
    for _ in range(2000):
        n_done += 1
    if select.select([sys.stdin], [], [], 0)[0]:
        if not sys.stdin.readline():
            break
        print(n_done, flush=True)
"""
_LONG = Prompt("You help.", "Tell of the sea. " * 500, None, 1000)
_SCHEMA = {"type": "object", "properties": {"change": {"type": "string", "maxLength": 120}}}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL.gguf")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each window")
    arguments = parser.parse_args()
    cpus = os.sched_getaffinity(0)
    asyncio.run(_time_answers(arguments.model))
    os.sched_setaffinity(0, {max(cpus)})  # children inherit it
    slowdown_percent = asyncio.run(_compare(arguments.model, arguments.rounds, arguments.seconds))
    return int(slowdown_percent > BAR_PERCENT)


async def _time_answers(model: str) -> None:
    writer = _writer(model)
    print("answers                        first text s    done s   CPU s")
    system = "You are told of a program that spins. " * 12
    for name, schema in (("first, with loading", None), ("second", None), ("as JSON", _SCHEMA)):
        started_s = time.monotonic()
        first_s: list[float] = []
        answer = await writer.write(
            Prompt(system, f"What is to be changed? ({name})", schema, 60),
            lambda _, first_s=first_s, started_s=started_s: first_s.append(  # type: ignore[misc]
                time.monotonic() - started_s
            ),
        )
        print(
            f"  {name:26} {first_s[0]:14.2f} {time.monotonic() - started_s:9.2f}"
            f" {answer.cpu_s or 0:7.2f}"
        )
    await writer.close()


async def _compare(model: str, rounds: int, seconds: float) -> float:
    writer = _writer(model)
    await writer.write(Prompt("", "Hi", None, 1), lambda _: None)  # to have it loaded
    assert writer.worker_pid is not None
    worker = psutil.Process(writer.worker_pid)
    neighbour = subprocess.Popen(  # noqa: ASYNC220 - started once
        [sys.executable, "-c", _NEIGHBOUR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    program = psutil.Process(neighbour.pid)
    slowdowns: list[float] = []
    clock_slowdowns: list[float] = []
    shares: list[float] = []
    try:
        for _ in range(rounds):
            alone = await _window(neighbour, program, worker, seconds)
            asking = asyncio.create_task(_keep_asking(writer))
            await asyncio.sleep(0.5)
            beside = await _window(neighbour, program, worker, seconds)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            slowdowns.append(100 * (1 - beside.done_per_cpu_s / alone.done_per_cpu_s))
            clock_slowdowns.append(100 * (1 - beside.done_per_s / alone.done_per_s))
            shares.append(100 * beside.model_share)
    finally:
        neighbour.kill()
        neighbour.communicate()
        await writer.close()
    slowdown = median(slowdowns)
    print(
        f"a neighbour on the same CPU, in another session, {rounds} windows of {seconds:g} s each"
    )
    print(f"  slower by {_spread(slowdowns)} (bar: {BAR_PERCENT:g} %)")
    print(f"  by the clock {_spread(clock_slowdowns)}")
    print(f"  the model's share of what both have: {_spread(shares)}")
    return slowdown


@dataclass(frozen=True, slots=True)
class _Window:
    done_per_s: float
    done_per_cpu_s: float
    model_share: float


async def _window(
    neighbour: subprocess.Popen[str],
    program: psutil.Process,
    worker: psutil.Process,
    seconds: float,
) -> _Window:
    done, program_s, worker_s = _n_done(neighbour), _cpu_s(program), _cpu_s(worker)
    started_s = time.monotonic()
    await asyncio.sleep(seconds)
    done = _n_done(neighbour) - done
    worker_s = _cpu_s(worker) - worker_s
    both_s = _cpu_s(program) - program_s + worker_s
    return _Window(done / (time.monotonic() - started_s), done / both_s, worker_s / both_s)


def _n_done(neighbour: subprocess.Popen[str]) -> int:
    assert neighbour.stdin is not None
    assert neighbour.stdout is not None
    neighbour.stdin.write("\n")
    neighbour.stdin.flush()
    return int(neighbour.stdout.readline())


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} % ({min(values):.1f} to {max(values):.1f})"


async def _keep_asking(writer: Writer) -> None:
    while True:
        await writer.write(_LONG, lambda _: None)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _writer(model: str) -> WorkerWriter:
    settings = ExplainSettings(source="llama", deadline_s=3600)
    writer = make_writer(settings, model)
    assert isinstance(writer, WorkerWriter)
    return writer


if __name__ == "__main__":
    sys.exit(main())
