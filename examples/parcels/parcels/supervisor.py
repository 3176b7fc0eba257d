"""Keeps the label printer's driver running.

python -m parcels.supervisor bin/printer-driver /dev/usb/lp0
"""

import logging
import subprocess
import sys

log = logging.getLogger("parcels.supervisor")


def keep_running(command: list[str]) -> None:
    """Start a command, and start it again whenever it ends."""
    n_starts = 0
    while True:
        n_starts += 1
        status = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
        log.info("%s ended with status %d (start %d)", command[0], status, n_starts)


if __name__ == "__main__":
    keep_running(sys.argv[1:])
