"""How probes that run look in a document: code lenses and inlay hints, and as a page of text.

Pure: from figures to LSP values. A document has as many lenses while its probe runs as when it
began, whatever the figures are, or its text would jump once a second. Names and values come from
the kernel, where anybody chooses them; each comes out as one line in which every character shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from lsprotocol import types

from linnix_ls.core.text import visible
from linnix_ls.lsp.probe_figures import Figures
from linnix_ls.playground.base import MapReading, Places

RUN = "linnix.playground.run"
RELOAD = "linnix.playground.reload"
DETACH = "linnix.playground.detach"
ROLL_BACK = "linnix.playground.rollBack"
DIFF = "linnix.playground.diff"
RESET = "linnix.playground.reset"
OPEN_PROBE = "linnix.playground.openProbe"
WHY = "linnix.playground.why"
SHOW = "linnix.playground.show"
# Of the client, where it has said that it can: it has a view for it.
REVEAL_PROBE = "linnix.revealProbe"

_MAX_ENTRIES_COUNTED = 100_000
_MAX_VALUE_CHARS = 60
_MAX_NAME_CHARS = 100
_MAX_PAGE_ENTRIES = 40
_MAX_PAGE_EVENTS = 20
_NO_FIGURE = "…"
MUCH_OF_A_CPU = 0.01  # a probe that takes five times that is detached


def rate(value: float | None) -> str:
    """Few digits: it is read at a glance."""
    if value is None:
        return _NO_FIGURE
    return f"{value:.1f}" if 0 < value < 9.95 else f"{value:,.0f}"


def duration(ns: float | None) -> str:
    """Of one run."""
    if ns is None:
        return _NO_FIGURE
    if ns < 100_000:
        return f"{ns / 1000:.1f} µs"
    return f"{ns / 1000:,.0f} µs" if ns < 1_000_000 else f"{ns / 1_000_000:,.1f} ms"


def share(value: float | None) -> str:
    """Of a CPU."""
    if value is None:
        return f"{_NO_FIGURE} of a CPU"
    much = ", which is much" if value > MUCH_OF_A_CPU else ""
    return f"{100 * value:.2f} % of a CPU{much}"


def headline(figures: Figures, generation: int | None, ends_in_s: float | None = None) -> str:
    """The figures of all of a probe."""
    reading = figures.reading
    parts = [
        f"generation {generation}",
        f"{rate(figures.runs_per_s)} runs/s",
        f"{duration(figures.ns_per_run)} each",
        share(reading.cpu_share if reading else None),
        f"{rate(figures.events_per_s)} events/s",
        f"{reading.n_lost if reading else 0:,} lost",
    ]
    if ends_in_s is not None and ends_in_s < 300:
        parts.append(f"ends in {max(1, round(ends_in_s / 60))} min")
    return " · ".join(parts)


def program_lenses(
    figures: Figures, places: Places, command: types.Command
) -> list[types.CodeLens]:
    """Above each program that the text has; `command`: what a click does."""
    found = []
    for program in figures.programs:
        line = places.programs.get(program.name)
        if line is None:
            continue
        measured = figures.rates.get(program.name)
        parts = [
            visible(program.attached_to, _MAX_NAME_CHARS),
            f"{rate(measured.runs_per_s if measured else None)} runs/s",
            duration(measured.ns_per_run if measured else None),
            f"verified {program.n_instructions:,} instructions",
        ]
        found.append(lens(line, " · ".join(parts), command.command, command.arguments))
    return found


def lens(
    line: int, title: str, command: str, arguments: Sequence[Any] | None = None
) -> types.CodeLens:
    """At the start of a line, which counts from 1."""
    at = types.Position(line=line - 1, character=0)
    return types.CodeLens(
        range=types.Range(start=at, end=at),
        command=types.Command(
            title=title, command=command, arguments=list(arguments) if arguments else None
        ),
    )


def hints(figures: Figures, places: Places) -> Iterator[tuple[int, str]]:
    """(line, what stands at its end), of maps and of what is sent."""
    read = {each.name: each for each in figures.maps}
    for name, line in places.maps.items():
        if name in figures.sent_per_s:
            yield line, f"{rate(figures.sent_per_s[name])} records/s"
        elif name in read:
            yield line, f"= {map_value(read[name])}"
    for name, line in places.sends.items():
        if name in figures.sent_per_s:
            yield line, f"{rate(figures.sent_per_s[name])}/s"


def map_value(reading: MapReading) -> str:
    """What a map holds, in a few characters."""
    values = [value for _, value in reading.entries]
    is_whole = len(values) == reading.n_entries
    is_array = "array" in reading.type
    if is_array and len(values) == 1:
        return value_text(values[0], _MAX_VALUE_CHARS)
    if (is_array or reading.is_histogram) and is_whole and all(type(v) is int for v in values):
        return f"{sum(values):,} in all"
    if reading.n_entries == 1:
        return "1 entry"
    at_least = "at least " if reading.n_entries >= _MAX_ENTRIES_COUNTED else ""
    return f"{at_least}{reading.n_entries:,} entries"


def value_text(value: Any, max_chars: int) -> str:
    """A key, value or record on one line."""
    if type(value) is int:
        return f"{value:,}"
    return visible(value if isinstance(value, str) else _compact(value), max_chars)


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_compact(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(_compact, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def page(name: str, figures: Figures, generation: int | None, problem: str | None) -> str:
    """For an editor without a view of its own: programs, maps and the latest records."""
    lines = [visible(name, _MAX_NAME_CHARS), headline(figures, generation)]
    if problem:
        lines.append(f"it runs no more: {visible(problem)}")
    lines += ["", "Programs"]
    for program in figures.programs:
        measured = figures.rates.get(program.name)
        lines.append(
            f"  {visible(program.name, _MAX_NAME_CHARS)}, {visible(program.attached_to)}:"
            f" {program.run_count:,} runs, {rate(measured.runs_per_s if measured else None)}/s,"
            f" {duration(measured.ns_per_run if measured else None)} each"
        )
    for each in figures.maps:
        lines += ["", f"Map {visible(each.name, _MAX_NAME_CHARS)} ({map_value(each)})"]
        lines += [
            f"  {value_text(key, 200)}  {value_text(value, 200)}"
            for key, value in each.entries[:_MAX_PAGE_ENTRIES]
        ]
        if (n_more := each.n_entries - _MAX_PAGE_ENTRIES) > 0:
            lines.append(f"  and {n_more:,} more")
    if figures.events:
        lines += ["", "Latest records"]
        lines += [
            f"  #{each.sequence} {visible(each.map, _MAX_NAME_CHARS)}:"
            f" {value_text(each.fields, 300)}"
            for each in list(figures.events)[-_MAX_PAGE_EVENTS:]
        ]
    return "\n".join([*lines, ""])
