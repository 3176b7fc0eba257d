"""Lesson 11: three reloads under steady execs: the new generation is attached first, and only then
does the old one go."""

import asyncio
import contextlib
from collections import Counter

from linnix_ls.playground.lessons import Attempt, Outcome

_N_RELOADS = 3


async def check(attempt: Attempt):
    runner = await attempt.start()
    n_in_overlap = attempt.dice.randint(6, 12)
    records = []
    async with contextlib.AsyncExitStack() as generations:
        entered = attempt.probe(RUNNER=runner.pid, GENERATION=1)
        probe = await entered.__aenter__()
        generations.push_async_exit(entered)
        runner.go()
        for generation in range(2, 2 + _N_RELOADS):
            newer = attempt.probe(RUNNER=runner.pid, GENERATION=generation)
            new_probe = await newer.__aenter__()
            # Both see what happens now.
            while len(new_probe.events("execs")) < n_in_overlap:
                await asyncio.sleep(0.02)
                await new_probe.read()
            await probe.read()
            records.append(probe.events("execs"))
            old = generations.pop_all()
            generations.push_async_exit(newer)
            await old.aclose()
            probe = new_probe
        runner.go()
        n_execs = await runner.told()
        await probe.read()
        records.append(probe.events("execs"))
    seen = Counter(
        (record.get("pid"), record.get("key")) for generation in records for record in generation
    )
    n_records = sum(map(len, records))
    yield Outcome(
        "the generations overlap",
        n_records > n_execs,
        f"more records than the {n_execs} execs",
        f"{n_records} records of {len(records)} generations",
    )
    yield Outcome(
        "none is missing",
        len(seen) >= n_execs,
        f"at least {n_execs} different pairs of pid and key",
        f"{len(seen)}",
        "begin" if all(key == 0 for _, key in seen) else "time-of-birth",
    )
    yield Outcome(
        "none is counted twice",
        len(seen) <= n_execs,
        f"at most {n_execs} different pairs of pid and key",
        f"{len(seen)}",
        "time-of-event",
    )
    told = [sorted({record.get("generation") for record in each}) for each in records]
    yield Outcome(
        "each record says its generation",
        told == [[1 + number] for number in range(len(records))],
        "1, 2, 3, 4",
        ", ".join(" and ".join(map(str, each)) for each in told),
        "no-generation",
    )
