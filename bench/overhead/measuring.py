"""What watching costs the work that is watched, beside other tools.

    python -m bench.overhead [--quick] [--rounds N] [--only WATCHER]... [--load NAME]... [--out DIR]

Every round runs every load under every watcher, in another order each time; a figure is a ratio
to the same load under nothing in the same round. Two runs under nothing in each round tell what
is noise. The result is saved after each round. The tools come from deploy/bench-tools.sh; one
that does not work here is in the result with the reason.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import machine
from bench.overhead import kernel_cost, page
from bench.overhead.loads import Load, Script, Workshop
from bench.overhead.watchers import AGAIN, NOTHING, WATCHERS, CannotWatch, Watcher
from bench.overhead.watchers import end as end_process
from bench.progress import Steps
from bench.works import CannotPrepare

ROUNDS = 5
QUICK_ROUNDS = 1
RUN_TIMEOUT_S = 300.0
READY_TIMEOUT_S = 60.0


def measure(
    loads: Sequence[Sequence[Load]],
    watchers: Sequence[Watcher],
    n_rounds: int,
    workshop: Workshop,
    folder: Path,
    *,
    is_quick: bool,
) -> dict[str, Any]:
    """All rounds; the result as plain JSON.

    Args:
        loads: in groups; the loads of a group run one after the other in one session.
    """
    rounds: list[dict[str, Any]] = []
    not_run: dict[str, str] = {}
    result: dict[str, Any] = {
        "schema": page.SCHEMA,
        **machine.describe(),
        "is_quick": is_quick,
        "loads": {load.name: load.about for group in loads for load in group},
        "watchers": [watcher.name for watcher in watchers],
        "rounds": rounds,
        "not_run": not_run,
        "probes": {},
        "is_complete": False,
    }
    path = machine.result_path("overhead", result, folder)
    order = random.Random(1)
    with Steps(n_rounds * len(loads) * len(watchers) + 1) as steps:
        for number in range(1, n_rounds + 1):
            timings: dict[str, dict[str, Any]] = {watcher.name: {} for watcher in watchers}
            for group in loads:
                for watcher in order.sample(watchers, len(watchers)):
                    steps.begin(f"round {number}: {group[0].name}, … under {watcher.name}")
                    if watcher.name in not_run:
                        continue
                    try:
                        timed = _timed(watcher, group, workshop)
                    except CannotWatch as error:
                        not_run[watcher.name] = str(error)
                        steps.say(f"    {watcher.name}: not run: {error}")
                    else:
                        timings[watcher.name] |= timed
            rounds.append(timings)
            machine.save_json(path, result)
        steps.begin("the kernel's own count")
        result["probes"] = _kernel_side([load for group in loads for load in group], workshop)
    result["is_complete"] = True
    return result


def _timed(watcher: Watcher, loads: Sequence[Load], workshop: Workshop) -> dict[str, Any]:
    script = workshop.script([load.part(watcher.divisor) for load in loads])
    with tempfile.TemporaryDirectory(prefix="linnix-overhead-") as scratch:
        output = Path(scratch, "wrapped")
        with watcher.watching(Path(scratch)) as words:
            returncode = _run([*words, *script.command], script, output)
        try:
            timings = script.timings()
        except OSError as error:
            said = output.read_text(errors="replace").strip()[-300:]
            raise CannotWatch(f"its command ended with {returncode}: {said}") from error
    return {
        load.name: asdict(timing.times(load.times_of(done)))
        for load, done, timing in zip(loads, script.loads, timings, strict=True)
    }


def _run(command: Sequence[str], script: Script, output: Path) -> int:
    with open(output, "wb") as said:
        process = subprocess.Popen(
            command,
            env=script.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(RUN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return -1
        finally:
            end_process(process)


def _kernel_side(loads: Sequence[Load], workshop: Workshop) -> dict[str, Any]:
    """Of each load, watched through an agent that stays: runs of each program, and what they
    took, beside the load's CPU time."""
    figures: dict[str, Any] = {}
    with (
        kernel_cost.counting(),
        tempfile.TemporaryDirectory(prefix="linnix-overhead-") as scratch,
    ):
        socket = Path(scratch, "agent")
        agent = subprocess.Popen(
            [machine.LINNIX_LS, "agent", "--socket", socket],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for_socket(socket, agent)
            tool = [str(machine.LINNIX_LS), "run", "--agent-socket", str(socket), "--"]
            for load in loads:
                script = workshop.script([load])
                before = kernel_cost.runs_below(agent.pid)
                _run([*tool, *script.command], script, Path(scratch, "output"))
                after = kernel_cost.runs_below(agent.pid)
                [timing] = script.timings()
                figures[load.name] = {
                    "cpu_ns": timing.cpu_ns,
                    "programs": {
                        name: asdict(runs.since(before.get(name, kernel_cost.Runs(0, 0))))
                        for name, runs in sorted(after.items())
                    },
                }
        finally:
            end_process(agent)
    return figures


def _wait_for_socket(socket: Path, agent: subprocess.Popen[bytes]) -> None:
    give_up_s = time.monotonic() + READY_TIMEOUT_S
    while not socket.exists():
        if agent.poll() is not None or time.monotonic() > give_up_s:
            raise TimeoutError("the agent does not come up")
        time.sleep(0.05)


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.overhead", description=__doc__.split("\n")[0])
    names = [watcher.name for watcher in WATCHERS]
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default: {ROUNDS}")
    parser.add_argument(
        "--quick", action="store_true", help="one round of small loads: a minute, and rough"
    )
    parser.add_argument(
        "--only", action="append", choices=names, metavar="WATCHER", help=", ".join(names)
    )
    parser.add_argument("--load", action="append", metavar="NAME", help="one of these loads only")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    machine.end_tidily()
    if os.geteuid() != 0:
        parser.error("most of what is compared needs root")
    always = {NOTHING.name, AGAIN.name}
    chosen = [w for w in WATCHERS if w.name in always | set(options.only or names)]
    n_rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    with tempfile.TemporaryDirectory(prefix="linnix-overhead-") as scratch:
        workshop = Workshop(Path(scratch))
        groups = [workshop.small_loads()]
        try:
            groups += [workshop.real_loads()] if not options.quick else []
        except CannotPrepare as error:
            print(f"the real loads are left out: {error}", file=sys.stderr)
        if options.load:
            groups = [[load for load in group if load.name in options.load] for group in groups]
        try:
            result = measure(
                [group for group in groups if group],
                chosen,
                n_rounds,
                workshop,
                options.out,
                is_quick=options.quick,
            )
        except KeyboardInterrupt:
            print("stopped; the rounds that are done are kept", file=sys.stderr)
            return 1
    text = page.markdown(result)
    print("\n" + text)
    machine.save("overhead", result, text, options.out, page.plot)
    return int(bool(result["not_run"]))
