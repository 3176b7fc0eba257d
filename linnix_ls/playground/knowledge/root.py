"""What only root can read and authoring help wants: the formats of tracepoints, and which programs
may call which helpers. An agent reads it once, and passes it on to whoever asks: it is the same for
all users, and no secret of any.
"""

from __future__ import annotations

import functools
import json
import subprocess

from linnix_ls.playground.knowledge import tracepoints
from linnix_ls.tracer.kernel_headers import find_bpftool

# Of the program types that the playground allows, as bpftool calls them.
_PROGRAM_TYPES = ("kprobe", "tracepoint", "perf_event", "raw_tracepoint", "tracing")
_LIMIT_S = 20


@functools.cache
def knowledge() -> str:
    """As `authoring.load` takes it: JSON, 2 MB. Takes 0.3 s, once."""
    points = tracepoints.as_json()
    return f'{{"tracepoints":{points},"callers":{json.dumps(_callers())}}}'


def _callers() -> dict[str, list[str]] | None:
    """Helpers by program type, by trying them all; None where that cannot be had."""
    bpftool = find_bpftool()
    if bpftool is None:
        return None
    try:
        probed = subprocess.run(
            [bpftool, "-j", "feature", "probe", "kernel"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT_S,
            check=True,
        )
        by_type = json.loads(probed.stdout)["helpers"]
        found = {kind: by_type.get(f"{kind}_available_helpers", []) for kind in _PROGRAM_TYPES}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return {kind: names for kind, names in found.items() if names} or None
