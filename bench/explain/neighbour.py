"""What a model at work costs a program that computes beside it, and what its answers cost.

    python -m bench.explain.neighbour --model NAME_OR_GGUF [--rounds N] [--seconds S] [--out DIR]

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
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench import machine
from linnix_ls import app
from linnix_ls.config import ExplainSettings
from linnix_ls.explain.base import Prompt, Writer
from linnix_ls.explain.writer import WorkerWriter

SCHEMA = "linnix-neighbour/1"
TARGET_PERCENT = 3.0

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


def measure(model: str, n_rounds: int, window_s: float) -> dict[str, Any]:
    """What the model's answers cost, and what they cost a neighbour; as plain JSON."""
    about = machine.describe()
    cpus = os.sched_getaffinity(0)
    answers = asyncio.run(_time_answers(model))
    os.sched_setaffinity(0, {max(cpus)})  # children inherit it
    figures = asyncio.run(_compare(model, n_rounds, window_s))
    os.sched_setaffinity(0, cpus)
    return {
        "schema": SCHEMA,
        **about,
        "model": model,
        "n_rounds": n_rounds,
        "window_s": window_s,
        "target_percent": TARGET_PERCENT,
        "answers": answers,
        **figures,
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    rows = [
        [name, *(f"{answer[key]:.2f} s" for key in ("first_text_s", "done_s", "cpu_s"))]
        for name, answer in result["answers"].items()
    ]
    spreads = [
        ["slower by", _spread(result["slowdowns_percent"])],
        ["by the clock, others' load included", _spread(result["clock_slowdowns_percent"])],
        ["the model's share of the CPU", _spread(result["shares_percent"])],
    ]
    return (
        "# What a model costs a program beside it\n\n"
        f"linnix-ls {result['tool']['version']}, model {Path(result['model']).stem},"
        f" {result['measured_at']}: kernel {result['kernel']}, load before {result['load']}."
        f" One CPU for both, the program in another session; {result['n_rounds']} windows of"
        f" {result['window_s']:g} s with the model at work and as many without, by turns. At most"
        f" {result['target_percent']:g} % are allowed. Median (least to most).\n\n"
        + machine.table(["a program that computes", "percent"], spreads)
        + "\n"
        + machine.table(
            ["an answer of the model, on an idle CPU", "first text", "done", "CPU"], rows
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.explain.neighbour", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each window")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    result = measure(options.model, options.rounds, options.seconds)
    page = markdown(result)
    print("\n" + page)
    machine.save("neighbour", result, page, options.out)
    return int(median(result["slowdowns_percent"]) > TARGET_PERCENT)


async def _time_answers(model: str) -> dict[str, dict[str, float]]:
    writer = _writer(model)
    answers = {}
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
        answers[name] = {
            "first_text_s": first_s[0],
            "done_s": time.monotonic() - started_s,
            "cpu_s": answer.cpu_s or 0.0,
        }
    await writer.close()
    return answers


async def _compare(model: str, rounds: int, seconds: float) -> dict[str, list[float]]:
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
    return {
        "slowdowns_percent": slowdowns,
        "clock_slowdowns_percent": clock_slowdowns,
        "shares_percent": shares,
    }


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
    settings = ExplainSettings(source="llama", model=model, deadline_s=3600)
    writer = app.note_writer(settings)
    assert isinstance(writer, WorkerWriter)
    return writer


if __name__ == "__main__":
    sys.exit(main())
