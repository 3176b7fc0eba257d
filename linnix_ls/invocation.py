"""How this program is called: for commands that a person is told to type, as root perhaps, and for
the processes that it starts of itself."""

from __future__ import annotations

import os
import shlex
import shutil
import sys


def command() -> list[str]:
    """The words that start linnix-ls from anywhere, with absolute paths: sudo looks for programs
    in places of its own."""
    beside = os.path.join(os.path.dirname(sys.executable), "linnix-ls")
    candidates = [beside, shutil.which("linnix-ls")]
    if os.path.basename(sys.argv[0]) == "linnix-ls":
        candidates.insert(0, sys.argv[0])
    for path in candidates:
        if path and os.access(path, os.X_OK):
            return [os.path.abspath(path)]
    return [sys.executable, "-m", "linnix_ls.cli.main"]


def as_root(*words: str) -> str:
    """The command line with which a person has that done as root."""
    return shlex.join(["sudo", *command(), *words])


def enable_tracing() -> str:
    """What to do where no agent serves: the lasting way, and the one that changes nothing."""
    return f"{as_root('agent', '--install')}   (or, while you work: {as_root('agent')})"


def python(module: str) -> list[str]:
    """The words that run a module of ours with this interpreter. What the environment must not
    change in us (`python3 -I`: PYTHONPATH and the like), it must not change there either."""
    isolated = ["-I"] if sys.flags.isolated else []
    return [sys.executable, *isolated, "-m", module]
