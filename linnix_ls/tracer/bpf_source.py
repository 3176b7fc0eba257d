"""Finding the probe sources: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

# In this order: later files use the maps and helpers of earlier ones.
PROBE_FILES = ("scope.h", "lifecycle.bpf.c", "cpu_sampler.bpf.c", "syscalls.bpf.c")


def bpf_dir() -> Path:
    """The folder with events.h and the probes (an editable install has no copy inside)."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "bpf"
    return inside if inside.is_dir() else package.parent / "bpf"


def probe_source() -> str:
    """All probes as one BCC program: BCC rewrites only the text of its main file, not what that
    includes, and the maps are shared."""
    folder = bpf_dir()
    parts = [(folder / name).read_text(encoding="utf-8") for name in PROBE_FILES]
    return '#include "events.h"\n' + "\n".join(parts)
