"""Lesson 8: a burst that no small buffer holds. What is seen and what is lost must add up."""

from itertools import pairwise

from linnix_ls.playground.lessons import Attempt, Outcome

_RING_BUFFER = 27  # of enum bpf_map_type
_LATE_NS = 5_000_000


async def check(attempt: Attempt):
    n_calls = 2 * attempt.dice.randint(2_000, 3_000)
    runner = await attempt.start(n_calls)
    other = await attempt.start(100)
    async with attempt.probe(RUNNER=runner.pid) as probe:
        await other.run()
        await probe.read()
        n_others = len(probe.events("calls"))
        await runner.run()
        await probe.read()
        times_ns = [call.get("at_ns", 0) for call in probe.events("calls")]
        n_lost = probe.numbers("lost").get(0, 0)
        is_ring = probe.kind("calls") == _RING_BUFFER
    n_seen = len(times_ns)
    # What came through, kept by its reader or not.
    is_whole = is_ring and n_seen + probe.n_lost == n_calls
    yield Outcome(
        "a ring buffer",
        is_ring,
        "`calls` is a ring buffer",
        "it is" if is_ring else "it is of another kind",
    )
    yield Outcome(
        "losses happen, and are counted",
        n_lost > 0,
        "`lost` is more than 0: the buffer is too small for the burst",
        f"{n_lost}",
        "larger" if is_whole else "ignores-failure" if is_ring else "begin",
    )
    yield Outcome(
        "seen and lost add up",
        n_seen + n_lost == n_calls,
        f"{n_calls} together",
        f"{n_seen} seen and {n_lost} lost",
        "counts-all" if n_lost == n_calls else "ignores-failure" if is_ring else "begin",
    )
    n_late = sum(later < earlier - _LATE_NS for earlier, later in pairwise(times_ns))
    yield Outcome(
        "in the order in which they happened",
        bool(times_ns) and n_late == 0 and n_others == 0,
        "each record is later than the one before, and all are the runner's",
        f"{n_late} of {n_seen} are out of order, {n_others} are another's",
    )
