"""Fuzz for a while: the tests beside this file, again and again with other examples.

    python -m tests.fuzz --minutes 10
    python -m tests.fuzz --minutes 10 -k readers

Ends early, and with an error, when something is found; what pytest then prints is enough to write
a test of it.
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=10.0)
    args, for_pytest = parser.parse_known_args()
    deadline = time.monotonic() + args.minutes * 60
    n_rounds = 0
    while time.monotonic() < deadline:
        seed = secrets.randbelow(1 << 32)
        n_rounds += 1
        print(f"round {n_rounds}, seed {seed}", flush=True)  # noqa: T201 - for who waits
        command = (sys.executable, "-m", "pytest", "-q", "-x", f"--hypothesis-seed={seed}")
        done = subprocess.run(
            [*command, "--timeout=1200", *for_pytest, Path(__file__).parent],
            env={**os.environ, "LINNIX_FUZZ": "long"},
            check=False,
        )
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
