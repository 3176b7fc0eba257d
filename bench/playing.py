"""Whether playing with probes leaves anything behind in the kernel, on the disk or in the agent.

    python -m bench.playing [--minutes N] [--out DIR]

Does for a while what somebody does who plays: runs solutions of the lessons, exchanges them for
each other and for what the verifier refuses, reads them, detaches them; edits the product's own
probes and resets them; and in each fourth round is killed in the middle of it. Then what the
kernel has of programs, maps and links is compared with what it had before, by their ids, and so
are the agent's memory, descriptors and processes, and the files in the folders that it may write.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from bench import machine
from bench.holdings import BPF_KINDS, all_bpf
from linnix_ls.config import cache_dir
from linnix_ls.errors import LinnixError
from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.playground.dialect import dialect_of
from linnix_ls.playground.lessons import all_lessons
from linnix_ls.tracer.bpf_source import shipped

SCHEMA = "linnix-playing/1"
REFUSED = """
BPF_HASH(counts, u32, u64);
TRACEPOINT_PROBE(sched, sched_process_exec)
{
    u32 key = 0;
    *counts.lookup(&key) += 1;
    return 0;
}
"""
SETTLING_S = 30.0
PROBES_A_ROUND = 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.playing", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", metavar="DIR", type=Path, default=machine.RESULTS)
    parser.add_argument("--player", nargs=3, help=argparse.SUPPRESS)  # socket, seed, probes
    args = parser.parse_args()
    if args.player:
        path, seed, n_probes = args.player
        asyncio.run(_play(Path(path), int(seed), int(n_probes)))
        return
    result = asyncio.run(_measure(args.minutes))
    print(markdown(result))
    machine.save("playing", result, markdown(result), args.out)
    sys.exit(bool(result["left"]))


async def _play(path: Path, seed: int, n_probes: int) -> None:
    """One round, and what came of each step on stdout."""
    chance = random.Random(seed)
    sources = [text for lesson in all_lessons() for text in (lesson.start, lesson.solution)]
    done: Counter[str] = Counter()

    async def step(what: str, asked: Any) -> Any:
        try:
            result = await asked
        except LinnixError:
            done[f"{what} refused"] += 1
            return None
        done[what] += 1
        return result

    feed = await RemoteFeed.connect(path, hello_timeout_s=60)
    playground = feed.playground
    assert playground is not None
    for number in range(n_probes):
        source = chance.choice(sources)
        dialect = dialect_of(source)
        loaded = await step(
            "load", playground.load(dialect, "a.bpf.c", source, ttl_s=chance.choice((2, 600)))
        )
        if loaded is None:
            continue
        for _ in range(3):
            await step("read", playground.read(loaded.id, 0))
            other = chance.choice([REFUSED, source, chance.choice(sources)])
            await step(
                "replace", playground.replace(loaded.id, other, trial_s=chance.choice((0, 5)))
            )
        if chance.random() < 0.7:
            await step("unload", playground.unload(loaded.id))
        if number == n_probes // 2:
            text = shipped("lifecycle.bpf.c").replace("return 0;", f"return 0; /* {seed} */", 1)
            await step("own", playground.replace_own({"lifecycle.bpf.c": text}, trial_s=5))
            await step("own read", playground.read_own())
            if chance.random() < 0.5:
                await step("own reset", playground.replace_own({}, trial_s=0))
    print(json.dumps(done), flush=True)
    if seed % 4 == 0:
        await asyncio.sleep(600)  # until it is killed
    await feed.close()


async def _measure(minutes: float) -> dict[str, Any]:
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="linnix-playing-") as folder:
        path = Path(folder, "agent.sock")
        agent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", str(path)),
            stderr=subprocess.DEVNULL,
        )
        process = psutil.Process(agent.pid)
        while not path.exists():  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.1)
        keeper = await RemoteFeed.connect(path, hello_timeout_s=60)
        try:
            await _round(path, 1)  # once, so that what is made once is there
            await asyncio.sleep(15)
            before = _there(process)
            done: Counter[str] = Counter()
            n_rounds, ends_s = 0, time.monotonic() + minutes * 60
            while time.monotonic() < ends_s:
                n_rounds += 1
                done.update(await _round(path, 1 + n_rounds))
            left: dict[str, Any] = {}
            settles_s = time.monotonic() + SETTLING_S
            while time.monotonic() < settles_s:
                await asyncio.sleep(1)
                after = _there(process)
                left = {
                    what: sorted(after[what] - before[what])
                    for what in (*BPF_KINDS, "processes", "files")
                    if len(after[what]) > len(before[what])
                }
                if not left:
                    break
        finally:
            await keeper.close()
            with contextlib.suppress(ProcessLookupError):
                agent.terminate()
            await agent.wait()
    numbers = ("rss_bytes", "n_descriptors")
    return {
        "schema": SCHEMA,
        **about,
        "minutes": minutes,
        "n_rounds": n_rounds,
        "done": dict(sorted(done.items())),
        "left": left,
        "n_before": {what: len(before[what]) for what in BPF_KINDS},
        "before": {name: before[name] for name in numbers},
        "after": {name: after[name] for name in numbers},
    }


async def _round(path: Path, seed: int) -> Counter[str]:
    """By a process of its own, which may be killed."""
    player = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.playing", "--player"),
        *(str(path), str(seed), str(PROBES_A_ROUND)),
        stdout=subprocess.PIPE,
    )
    assert player.stdout is not None
    done = json.loads(await player.stdout.readline())
    if seed % 4 == 0:
        player.kill()
        done["killed"] = 1
    await player.wait()
    return Counter(done)


def _there(agent: psutil.Process) -> dict[str, Any]:
    bpf = all_bpf()
    folders = (Path(tempfile.gettempdir()), cache_dir(), Path("/sys/fs/bpf"))
    return {
        **{kind: {n for each, n in bpf if each == kind} for kind in BPF_KINDS},
        "processes": {each.pid for each in agent.children(recursive=True)},
        "files": {str(each) for folder in folders if folder.is_dir() for each in folder.iterdir()},
        "rss_bytes": agent.memory_info().rss,
        "n_descriptors": agent.num_fds(),
    }


def markdown(result: dict[str, Any]) -> str:
    """The result in words."""
    before, after = result["before"], result["after"]
    rows = [[what, str(n)] for what, n in result["done"].items()]
    left = "nothing" if not result["left"] else json.dumps(result["left"])
    return (
        "# What playing with probes leaves behind\n\n"
        f"linnix-ls {result['tool']['version']}, {result['measured_at']}: {result['n_cpus']} CPUs,"
        f" kernel {result['kernel']}; {result['minutes']:g} minutes,"
        f" {result['n_rounds']} rounds.\n\n"
        f"Left behind of programs, maps, links, processes and files: **{left}**. The agent had"
        f" {before['rss_bytes'] / 1e6:.0f} MB and {before['n_descriptors']} descriptors before,"
        f" {after['rss_bytes'] / 1e6:.0f} MB and {after['n_descriptors']} after.\n\n"
        + machine.table(["done", "times"], rows)
    )


if __name__ == "__main__":
    os.chdir(Path(__file__).parent.parent)
    main()
