"""Lesson 7: the probe's sums against the kernel's own (/proc/PID/schedstat)."""

import asyncio
from pathlib import Path

from linnix_ls.playground.lessons import Attempt, Outcome

_TOLERANCE = 0.1


async def check(attempt: Attempt):
    cpu_s = attempt.dice.uniform(0.3, 0.8)
    spinner = await attempt.start("spin", f"{cpu_s:.3f}")
    sleeper = await attempt.start("sleep", f"{cpu_s:.3f}")
    async with attempt.probe() as probe:
        before_ns = _on_cpu_ns(spinner.pid)
        await asyncio.gather(spinner.run(), sleeper.run())
        await _has_left_the_cpu(spinner.pid)
        spun_ns = _on_cpu_ns(spinner.pid) - before_ns
        await probe.read()
        rows = probe.numbers("on_cpu_ns")
    seen_ns = rows.get(spinner.pid, 0)
    slept_ns = rows.get(sleeper.pid, 0)
    if not rows:
        hint = "begin"
    elif slept_ns > 0.05 * spun_ns:
        hint = "time-asleep"
    else:
        # A number of turns is nowhere near a number of nanoseconds.
        hint = "charges-next" if max(rows.values()) > 10_000_000 else "counts-turns"
    yield Outcome(
        "the spinner's time",
        abs(seen_ns - spun_ns) < _TOLERANCE * spun_ns,
        f"on_cpu_ns[{spinner.pid}] is {spun_ns / 1e6:.0f} ms, give or take a tenth",
        f"{seen_ns / 1e6:.0f} ms ({seen_ns} ns)" if rows else "the map `on_cpu_ns` is empty",
        hint,
    )
    yield Outcome(
        "the sleeper's",
        bool(rows) and slept_ns < 0.05 * spun_ns,
        f"on_cpu_ns[{sleeper.pid}] is below a twentieth of that",
        f"{slept_ns / 1e6:.1f} ms" if rows else "the map `on_cpu_ns` is empty",
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
