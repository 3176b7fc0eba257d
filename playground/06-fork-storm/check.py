"""Lesson 6: a storm, a steady parent that forks as often but slowly, and one that hardly does."""

import asyncio

from linnix_ls.playground.lessons import Attempt, Outcome


async def check(attempt: Attempt):
    # Below twice the limit, so that no window but one can hold a hundred of them.
    storm = await attempt.start(attempt.dice.randint(130, 190), 0)
    # At most 71 in a second, whatever the machine does.
    steady = await attempt.start(attempt.dice.randint(110, 125), 0.014)
    calm = await attempt.start(attempt.dice.randint(3, 8), 0)
    async with attempt.probe() as probe:
        pids, _, _ = await asyncio.gather(storm.run(), steady.run(), calm.run())
        await probe.read()
        parents = [alert.get("parent") for alert in probe.events("alerts")]
    n_storm = parents.count(storm.pid)
    yield Outcome(
        "the storm is told of",
        n_storm > 0,
        f"an alert with parent {storm.pid}",
        f"{n_storm} of {len(parents)} alerts",
        "names-child" if set(parents) & set(pids) else "begin",
    )
    yield Outcome("and only once", n_storm <= 1, "one alert", f"{n_storm} alerts", "each-fork")
    n_calm = parents.count(calm.pid)
    yield Outcome(
        "a few forks are no storm", not n_calm, f"none for {calm.pid}", f"{n_calm} alerts", "early"
    )
    n_steady = parents.count(steady.pid)
    yield Outcome(
        "as many, but slowly, are none either",
        not n_steady,
        f"none for {steady.pid}",
        f"{n_steady} alerts",
        "never-resets",
    )
