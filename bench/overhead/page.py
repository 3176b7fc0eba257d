"""What the rounds say: overheads in percent, with their spread, against what is allowed.

An overhead is what a load took more under a watcher than under nothing in the same round; said are
the median of the rounds, and the least and the most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine, plots
from bench.overhead.watchers import AGAIN, BPFTRACE, ELSEWHERE, EXECSNOOP, NOTHING, RUN

SCHEMA = "linnix-overhead/1"
METRICS = {
    "wall_ns": "Wall time",
    "cpu_ns": "CPU time of the load",
    "busy_ns": "CPU time of the whole machine, the watcher's own included",
}
# At most, in percent, of wall and of CPU time under `linnix-ls run`. Of loads that are not here,
# and of all when another tree is watched, nothing may be measurable.
BARS = {"fork": 10.0, "exec": 4.0, "build": 1.0, "suite": 1.0}
# Two runs under nothing differ by some median; what is within this many times that is noise.
NOISE_FACTOR = 1.5


@dataclass(frozen=True, slots=True)
class Overhead:
    """In percent, of all rounds."""

    rounds: tuple[float, ...]

    @property
    def percent(self) -> float:
        return median(self.rounds)

    def __str__(self) -> str:
        if len(self.rounds) == 1:
            return f"{self.percent:+.1f}"
        return f"{self.percent:+.1f} ({min(self.rounds):+.1f} to {max(self.rounds):+.1f})"


def overhead(result: Mapping[str, Any], watcher: str, load: str, metric: str) -> Overhead | None:
    """None of what was not measured."""
    ratios = tuple(
        100 * (timings[watcher][load][metric] / timings[NOTHING.name][load][metric] - 1)
        for timings in result["rounds"]
        if load in timings.get(watcher, {}) and load in timings[NOTHING.name]
    )
    return Overhead(ratios) if ratios else None


def noise(result: Mapping[str, Any], load: str, metric: str) -> float:
    """The most that counts as nothing, in percent."""
    again = overhead(result, AGAIN.name, load, metric)
    return NOISE_FACTOR * median(map(abs, again.rounds)) if again else 0.0


def verdicts(result: Mapping[str, Any]) -> Iterator[list[str]]:
    """Rows: what is demanded, how it was, and whether that meets it."""
    for load in result["loads"]:
        for metric in ("wall_ns", "cpu_ns"):
            named = f"{load}, {'wall' if metric == 'wall_ns' else 'CPU'}"
            limit = BARS.get(load)
            for watcher in (RUN, ELSEWHERE):
                ours = overhead(result, watcher, load, metric)
                if ours is None:
                    continue
                is_noise = limit is None or watcher == ELSEWHERE
                most = noise(result, load, metric) if is_noise or limit is None else limit
                demanded = f"nothing measurable ({most:.1f} %)" if is_noise else f"{most:.0f} %"
                met = "met" if ours.percent <= most else "**not met**"
                yield [named, watcher, demanded, f"{ours} %", met]
            for other in (EXECSNOOP, BPFTRACE):
                ours, theirs = (overhead(result, w, load, metric) for w in (RUN, other))
                if ours and theirs:
                    met = "met" if ours.percent < theirs.percent else "**not met**"
                    yield [named, RUN, f"below {other}: {theirs.percent:+.1f} %", f"{ours} %", met]


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    loads = list(result["loads"])
    watchers = [name for name in result["watchers"] if name != NOTHING.name]
    parts = [
        "# What watching costs the work that is watched\n",
        f"linnix-ls {result['tool']['version']}, {result['measured_at']}: {result['n_cpus']} CPUs,"
        f" kernel {result['kernel']}, load before {result['load']}; {len(result['rounds'])}"
        f" round(s){', quick' if result['is_quick'] else ''}"
        f"{'' if result['is_complete'] else ', not complete'}."
        " In percent more than under nothing in the same round: median (least to most)."
        f" What is no more than {NOISE_FACTOR} times the median difference between two runs under"
        " nothing is not measurable.\n",
        *(f"- {name}: {about}" for name, about in result["loads"].items()),
        "",
        *(f"- not run: {name}: {reason}" for name, reason in result["not_run"].items()),
    ]
    for metric, title in METRICS.items():
        rows = [
            [name, *(str(overhead(result, name, load, metric) or "-") for load in loads)]
            for name in watchers
        ]
        parts += [f"\n{title}, percent:\n", machine.table(["under", *loads], rows).rstrip()]
    head = ["load", "under", "at most", "measured", ""]
    parts += ["\nWhat is demanded:\n", machine.table(head, list(verdicts(result))).rstrip()]
    if result["probes"]:
        parts += [_kernel_side(result["probes"]).rstrip()]
    return "\n".join(parts) + "\n"


def _kernel_side(probes: Mapping[str, Any]) -> str:
    programs = sorted({name for figures in probes.values() for name in figures["programs"]})
    rows = []
    for load, figures in probes.items():
        every = [figures["programs"].get(name) for name in programs]
        total_ns = sum(one["run_time_ns"] for one in every if one)
        rows.append(
            [
                load,
                *(
                    f"{one['run_time_ns'] / one['n_runs']:.0f} ns × {one['n_runs']:,}"
                    if one and one["n_runs"]
                    else "-"
                    for one in every
                ),
                f"{100 * total_ns / figures['cpu_ns']:.2f} %",
            ]
        )
    return (
        "\nIn the kernel, by its own count (which is on for this alone, and costs some itself):"
        " time of a run of each probe, how often it ran, and all of them as a part of the load's"
        " CPU time.\n\n" + machine.table(["load", *programs, "of the load"], rows)
    )


def plot(result: dict[str, Any], path: Path) -> Path:
    """Wall time on the left, CPU time of the load on the right."""
    panels = []
    for load in result["loads"]:
        for metric in ("wall_ns", "cpu_ns"):
            bars = []
            for name in result["watchers"]:
                if name == NOTHING.name:
                    continue
                measured = overhead(result, name, load, metric)
                bars.append(
                    plots.Bar(name, None, note="not run")
                    if measured is None
                    else plots.Bar(
                        name,
                        measured.percent,
                        min(measured.rounds),
                        max(measured.rounds),
                        is_ours=name in (RUN, ELSEWHERE),
                    )
                )
            title = f"{load}: {'wall time' if metric == 'wall_ns' else 'CPU time'}"
            panels.append(plots.Panel(title, bars, BARS.get(load)))
    return plots.bars(
        path,
        "Overhead on the watched work",
        "percent more than under nothing",
        panels,
        n_columns=2,
        linear_up_to=1,
    )
