"""Finding the probe sources: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# In this order: later files use the maps and helpers of earlier ones.
PROBE_FILES = ("scope.h", "lifecycle.bpf.c", "cpu_sampler.bpf.c", "syscalls.bpf.c")


def bpf_dir() -> Path:
    """The folder with events.h and the probes (an editable install has no copy inside)."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "bpf"
    return inside if inside.is_dir() else package.parent / "bpf"


def probe_source(edited: Mapping[str, str] | None = None) -> str:
    """All probes as one BCC program: BCC rewrites only the text of its main file, not what that
    includes, and the maps are shared.

    Args:
        edited: texts in place of shipped ones, by file name.
    """
    return '#include "events.h"\n' + "\n".join(_parts(edited or {}).values())


def _parts(edited: Mapping[str, str]) -> dict[str, str]:
    return {name: edited[name] if name in edited else shipped(name) for name in PROBE_FILES}


def shipped(name: str) -> str:
    """The text of one of `PROBE_FILES`, or of events.h."""
    return (bpf_dir() / name).read_text(encoding="utf-8")


def place_of(line: int, edited: Mapping[str, str]) -> tuple[str, int]:
    """File and line of a line of `probe_source(edited)`."""
    line -= 1
    for name, text in _parts(edited).items():
        n_lines = text.count("\n") + 1
        if line <= n_lines:
            return name, max(line, 1)
        line -= n_lines
    return PROBE_FILES[-1], n_lines
