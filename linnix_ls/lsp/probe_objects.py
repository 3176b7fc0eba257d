"""Probes that run as `linnix/probes` and `linnix/probe` tell of them: plain JSON objects.

docs/lsp.md has every field, and a test holds the two together. Not here: what is told to whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linnix_ls.core.text import visible
from linnix_ls.lsp.probe_figures import Figures
from linnix_ls.playground.base import ProbeEvent, ProgramReading

# What every reader of JSON has: doubles, which are whole up to there.
_MAX_WHOLE = 2**53


def programs_objects(figures: Figures, lines: Mapping[str, int]) -> list[dict[str, Any]]:
    """`lines`: by program, of its document."""
    return [_program_object(each, figures, lines.get(each.name)) for each in figures.programs]


def _program_object(program: ProgramReading, figures: Figures, line: int | None) -> dict[str, Any]:
    measured = figures.rates.get(program.name)
    return {
        "name": visible(program.name, 200),
        "attached_to": visible(program.attached_to, 200),
        "line": line,
        "runs_per_s": round(measured.runs_per_s, 2) if measured else None,
        "ns_per_run": round(measured.ns_per_run) if measured and measured.ns_per_run else None,
        "n_instructions": program.n_instructions,
    }


def detail_object(
    summary: dict[str, Any], figures: Figures, lines: Mapping[str, int], since_event: int
) -> dict[str, Any]:
    """`lines`: by map, of its document."""
    return {
        "summary": summary,
        "maps": [
            {
                "name": visible(each.name, 200),
                "type": each.type,
                "n_entries": each.n_entries,
                "is_histogram": each.is_histogram,
                "line": lines.get(each.name),
                "entries": [[plain(key), plain(value)] for key, value in each.entries],
                "per_cpu": plain(list(each.per_cpu)),
            }
            for each in figures.maps
        ],
        "events": [_event_object(each) for each in figures.events if each.sequence > since_event],
        "n_events": figures.reading.n_events if figures.reading else 0,
    }


def _event_object(event: ProbeEvent) -> dict[str, Any]:
    return {
        "sequence": event.sequence,
        "ktime_ns": str(event.ktime_ns),
        "map": visible(event.map, 200),
        "generation": event.generation,
        "fields": plain(event.fields),
    }


def plain(value: Any) -> Any:
    """With whole numbers that a reader of JSON would round as texts."""
    if type(value) is int and abs(value) > _MAX_WHOLE:
        return str(value)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
