"""Lesson 7: the probe's sums against the kernel's own (/proc/PID/schedstat)."""

import asyncio
from pathlib import Path

from linnix_ls.playground.lessons import Attempt, Outcome

_TOLERANCE = 0.1
_ALWAYS_NS = 5_000_000  # turns that begin before the first reading, and the like


async def check(attempt: Attempt):
    seconds = f"{attempt.dice.uniform(0.3, 0.8):.3f}"
    roles = ("spin", "blink", "sleep")
    workloads = [await attempt.start(role, seconds) for role in roles]
    pids = [workload.pid for workload in workloads]
    async with attempt.probe() as probe:
        before_ns = [_on_cpu_ns(pid) for pid in pids]
        await asyncio.gather(*(workload.run() for workload in workloads))
        for pid in pids:
            await _has_left_the_cpu(pid)
        used_ns = [_on_cpu_ns(pid) - before for pid, before in zip(pids, before_ns, strict=True)]
        await probe.read()
        rows = probe.numbers("on_cpu_ns")
    seen_ns = [rows.get(pid, 0) for pid in pids]
    spun_ns = used_ns[0]
    if not rows:
        hint = "begin"
    elif seen_ns[2] > 0.2 * spun_ns:
        hint = "time-asleep"
    else:
        # A number of turns is nowhere near a number of nanoseconds.
        hint = "charges-next" if max(rows.values()) > 10_000_000 else "counts-turns"
    yield Outcome(
        "one that spins",
        abs(seen_ns[0] - spun_ns) < _TOLERANCE * spun_ns,
        f"on_cpu_ns[{pids[0]}] is {spun_ns / 1e6:.0f} ms, give or take a tenth",
        f"{seen_ns[0] / 1e6:.0f} ms ({seen_ns[0]} ns)" if rows else "`on_cpu_ns` is empty",
        hint,
    )
    for at, name in ((1, "one that wakes up often"), (2, "one that sleeps")):
        most_ns = (1 + _TOLERANCE) * used_ns[at] + _ALWAYS_NS
        yield Outcome(
            name,
            bool(rows) and seen_ns[at] < most_ns,
            f"on_cpu_ns[{pids[at]}] is at most {most_ns / 1e6:.0f} ms",
            f"{seen_ns[at] / 1e6:.1f} ms" if rows else "`on_cpu_ns` is empty",
            hint,
        )


def _on_cpu_ns(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


async def _has_left_the_cpu(pid):
    """It waits for a word of us now; its last turn counts when it is over."""
    while _state(pid) != "S":  # noqa: ASYNC110 - /proc tells nobody of a change
        await asyncio.sleep(0.01)


def _state(pid):
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
