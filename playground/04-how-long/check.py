"""Lesson 4: a histogram of lifetimes against what the children and their parent measured."""

import asyncio

from linnix_ls.playground.lessons import Attempt, Outcome


async def check(attempt: Attempt):
    n_short, n_long = attempt.dice.randint(8, 20), attempt.dice.randint(3, 7)
    runner = await attempt.start(n_short, n_long)
    other = await attempt.start(4, 3)
    async with attempt.probe(RUNNER=runner.pid) as probe:
        bounds_ns, _ = await asyncio.gather(runner.run(), other.run())
        await probe.read()
        slots = {slot: n for slot, n in probe.numbers("lived_ms").items() if n}
        n_born = len(probe.rows("born"))
    # bpf_log2l() is the number of bits: 32 to 63 ms are slot 6.
    slot_bounds = [(_slot(at_least_ns), _slot(at_most_ns)) for at_least_ns, at_most_ns in bounds_ns]
    n_counted = sum(slots.values())
    is_early = any(slot < min(low for low, _ in slot_bounds) for slot in slots)
    is_in_ns = bool(slots) and min(slots) > 20
    yield Outcome(
        "each child once",
        n_counted == n_short + n_long,
        f"{n_short + n_long} children in `lived_ms`",
        f"{n_counted}",
        "begin",
    )
    is_fitting = bool(slots) and all(
        _n_certain(slot_bounds, slot) <= slots.get(slot, 0) <= _n_possible(slot_bounds, slot)
        for slot in {*slots, *(slot for both in slot_bounds for slot in both)}
    )
    yield Outcome(
        "the slots",
        is_fitting,
        "; ".join(_said(slot, _n_possible(slot_bounds, slot)) for slot in _all(slot_bounds)),
        "; ".join(_said(slot, n) for slot, n in sorted(slots.items())) or "none",
        "nanoseconds" if is_in_ns else "first-thread" if is_early else "begin",
    )
    yield Outcome(
        "nothing is left behind",
        n_born == 0 and n_counted > 0,
        "`born` is empty at the end",
        f"{n_born} rows, {n_counted} children counted",
        "never-deletes" if n_born else "begin",
    )


def _slot(lived_ns):
    return (lived_ns // 1_000_000).bit_length()


def _n_certain(slot_bounds, slot):
    return sum(low == high == slot for low, high in slot_bounds)


def _n_possible(slot_bounds, slot):
    return sum(low <= slot <= high for low, high in slot_bounds)


def _all(slot_bounds):
    return sorted({slot for both in slot_bounds for slot in both})


def _said(slot, n):
    return f"{n} in slot {slot} ({1 << slot >> 1} to {(1 << slot) - 1} ms)"
