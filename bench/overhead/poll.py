"""Watching as it is done without eBPF: all processes by psutil, ten times a second.

    python poll.py

Prints a line once it has looked around for the first time.
"""

from __future__ import annotations

import time

import psutil

INTERVAL_S = 0.1
ATTRIBUTES = ["pid", "ppid", "name", "cmdline", "cpu_times", "create_time"]


def main() -> None:
    """Look until somebody ends this."""
    next_look = time.monotonic()
    is_first = True
    while True:
        seen = {process.pid: process.info for process in psutil.process_iter(ATTRIBUTES)}
        if is_first:
            print(f"sees {len(seen)} processes", flush=True)
            is_first = False
        next_look += INTERVAL_S
        time.sleep(max(0.0, next_look - time.monotonic()))


if __name__ == "__main__":
    main()
