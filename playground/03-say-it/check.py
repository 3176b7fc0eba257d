"""Lesson 3: programs of random names, each to be told of once."""

import asyncio
import string
from collections import Counter

from linnix_ls.playground.lessons import Attempt, Outcome


async def check(attempt: Attempt):
    names = [_name(attempt) for _ in range(attempt.dice.randint(6, 15))]
    other_names = [_name(attempt) for _ in range(5)]
    for name in names + other_names:
        path = attempt.scratch / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    runner = await attempt.start(*(attempt.scratch / name for name in names))
    other = await attempt.start(*(attempt.scratch / name for name in other_names))
    async with attempt.probe(RUNNER=runner.pid) as probe:
        pids, _ = await asyncio.gather(runner.run(), other.run())
        await probe.read()
        records = [
            (record.get("comm"), record.get("pid"), record.get("ppid"))
            for record in probe.events("execs")
        ]
    comms = Counter(comm for comm, _, _ in records)
    n_named = sum(comms[name] > 0 for name in names)
    has_parents = comms["python3"] + comms["python"] >= len(names)
    yield Outcome(
        "the names",
        n_named == len(names),
        f"all {len(names)}, one of them {names[0]}",
        f"{n_named} of them in {len(records)} records",
        "parents-name"
        if has_parents and not n_named
        else "no-name"
        if _has_ids(records, pids)
        else "begin",
    )
    true = set(zip(names, pids, [runner.pid] * len(names), strict=True))
    n_right = len(true & set(records))
    yield Outcome(
        "pid and ppid of each",
        n_right == len(names),
        f"{len(names)} records as {names[0]}, {pids[0]}, {runner.pid}",
        f"{n_right} such records",
    )
    most = max((comms[name] for name in names), default=0)
    yield Outcome("each once", most == 1, "no name twice", f"up to {most} records", "twice")
    n_others = sum(record not in true for record in records)
    yield Outcome(
        "nobody else", not n_others, "no other record", f"{n_others} other records", "everyone"
    )


def _name(attempt):
    return "".join(attempt.dice.choices(string.ascii_lowercase, k=attempt.dice.randint(6, 15)))


def _has_ids(records, pids):
    return {pid for _, pid, _ in records} >= set(pids)
