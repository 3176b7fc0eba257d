"""python -m migrate STATE_DIR: applies the steps that are still missing, one process at a time."""
import fcntl
import json
import sys
from contextlib import contextmanager
from pathlib import Path

from .steps import STEPS


@contextmanager
def exclusive(folder):
    with open(folder / "lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def main(folder):
    state_file = folder / "state.json"
    with exclusive(folder):
        done = json.loads(state_file.read_text()) if state_file.exists() else []
        for name, step in STEPS:
            if name in done:
                continue
            step(folder)
            done.append(name)
            state_file.write_text(json.dumps(done))
            print("applied", name, flush=True)
    print("at", done[-1], flush=True)


main(Path(sys.argv[1]))
