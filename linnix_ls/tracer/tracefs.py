"""The kernel's list of tracepoints, mounted when nobody has done so.

The shipped probes are raw tracepoints and do without it; probes that name a classic tracepoint
(`TRACEPOINT_PROBE`) need it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

TRACEFS_PATH = Path("/sys/kernel/tracing")


def is_mounted() -> bool:
    return os.path.ismount(TRACEFS_PATH)  # looking inside may need root


def ensure_mounted() -> bool:
    """Mount it if it is missing and we may. Returns whether it is there now."""
    if not is_mounted() and os.geteuid() == 0 and TRACEFS_PATH.is_dir():
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mount(b"tracefs", os.fsencode(TRACEFS_PATH), b"tracefs", 0, None)
    return is_mounted()
