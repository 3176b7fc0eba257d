"""Whether what was measured at rest stays flat: robust slopes, counts, and what was left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import median
from typing import Any

# Of what is counted, nothing may be more in the end than it was at the beginning.
COUNTED = ("n_fds", "n_sockets", "n_threads", "n_programs", "n_maps", "n_links")
# Memory may grow by this share over the second half of the time, as the trend of all rests says it:
# less than the figures of one rest vary, and a leak of 10 KB a round is seen in an hour.
MEMORY_TOLERANCE = 0.02
# What a process costs, likewise; single figures vary with what else runs on the machine.
CPU_TOLERANCE = 0.10
MIN_RESTS = 4


def trend(points: Sequence[tuple[float, float]]) -> float:
    """What a unit of x adds to y, by Theil and Sen: the median slope between any two points, which
    a few odd points do not change."""
    slopes = [
        (y_b - y_a) / (x_b - x_a) for (x_a, y_a), (x_b, y_b) in combinations(points, 2) if x_b > x_a
    ]
    return median(slopes) if slopes else 0.0


def growth(points: Sequence[tuple[float, float]]) -> float:
    """How much y grows over the second half, as a share of its median there."""
    later = points[len(points) // 2 :]
    if len(later) < MIN_RESTS:
        return 0.0
    level = median(y for _, y in later)
    return trend(later) * (later[-1][0] - later[0][0]) / level if level else 0.0


def of_role(rests: Sequence[Mapping[str, Any]], role: str, what: str) -> list[tuple[float, float]]:
    """(seconds, value) of each rest."""
    return [(rest["at_s"], rest["roles"][role][what]) for rest in rests if role in rest["roles"]]


def judge(result: Mapping[str, Any]) -> list[str]:
    """What is not flat or was left behind, a sentence each; none is what is hoped for."""
    rests = result["rests"]
    said = [f"left behind: {what}" for what in result["left"]]
    said += result["problems"]
    said += [f"the agent complained: {line}" for line in result["complaints"]]
    if len(rests) < 2:
        return [*said, "not long enough for a second look at rest"]
    first, last = rests[0], rests[-1]
    for role, before in first["roles"].items():
        after = last["roles"].get(role)
        if after is None:
            said.append(f"{role}: has ended")
            continue
        said += [
            f"{role}: {what} was {before[what]} at the first rest, {after[what]} at the last"
            for what in COUNTED
            if after[what] > before[what]
        ]
        grown = growth(of_role(rests, role, "heap_bytes"))
        if grown > MEMORY_TOLERANCE:
            said.append(f"{role}: memory grew by {grown:.1%} over the second half")
    said += [
        f"{what} were {first[what]} at the first rest, {last[what]} at the last"
        for what in ("n_processes", "n_files", "n_stale_entries")
        if last[what] > first[what]
    ]
    costs = list(enumerate(result["cpu_us_per_process"]))
    grown = growth([(float(n), cost) for n, cost in costs])
    if grown > CPU_TOLERANCE:
        said.append(f"CPU per process grew by {grown:.1%} over the second half")
    return said
