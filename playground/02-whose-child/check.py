"""Lesson 2: two parents at once; only the runner's children may be counted."""

import asyncio

from linnix_ls.playground.lessons import Attempt, Outcome


async def check(attempt: Attempt):
    n_children, n_others = attempt.dice.randint(12, 30), attempt.dice.randint(12, 30)
    runner = await attempt.start(n_children)
    other = await attempt.start(n_others)
    async with attempt.probe(RUNNER=runner.pid) as probe:
        await asyncio.gather(runner.run(), other.run())
        await probe.read()
        rows = probe.numbers("children")
    seen = rows.get(runner.pid, 0)
    yield Outcome(
        "the runner's children",
        seen == n_children,
        f"children[{runner.pid}] is {n_children}",
        f"children[{runner.pid}] is {seen}" if seen else f"no such row, of {len(rows)}",
        "thread" if seen else "begin" if rows else "own-pid",
    )
    yield Outcome(
        "the other parent's children",
        other.pid not in rows,
        f"no row {other.pid}",
        f"it is {rows[other.pid]}" if other.pid in rows else "no such row",
        "no-filter",
    )
    n_rows = len(rows.keys() - {runner.pid, other.pid})
    yield Outcome(
        "the rest of the machine, and grandchildren",
        n_rows == 0,
        "no other rows",
        f"{n_rows} other rows" if n_rows else "none",
        "no-filter",
    )
