"""What a measurement needs beside the measuring: the machine in words, and a place for results."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

from linnix_ls import __version__
from linnix_ls.config import default_socket_path, system_socket_path

LINNIX_LS = Path(sys.prefix, "bin", "linnix-ls")
RESULTS = Path(__file__).parent / "results"

# The command line of an agent that a client started contains this.
AGENT_MODULE = "linnix_ls.cli.main agent"
AGENT_TIMEOUT_S = 180.0


def describe() -> dict[str, Any]:
    """The tool and the machine, as plain JSON; `load` is that before the measurement."""
    return {
        "tool": {"name": "linnix-ls", "version": __version__},
        "measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "n_cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def save(
    kind: str,
    result: dict[str, Any],
    markdown: str,
    folder: Path,
    plot: Callable[[Any, Path], Path] | None = None,
) -> None:
    """Write the result as JSON and as a page into `folder`, with what `plot` draws of it at the
    path that it is given (`bench.plots`), and say where."""
    path = result_path(kind, result, folder)
    save_json(path, result)
    if plot is not None:
        markdown = markdown.rstrip() + "\n" + picture(plot(result, path).name)
    path.with_suffix(".md").write_text(markdown)
    print(f"\nsaved {path} and .md")


def picture(path: str) -> str:
    """A paragraph of Markdown that shows it."""
    return f"\n![plot]({path})\n"


def result_path(kind: str, result: Mapping[str, Any], folder: Path) -> Path:
    """Named after the moment when the measurement began."""
    return folder / f"{kind}-{result['measured_at'].replace(':', '')}.json"


def save_json(path: Path, result: Mapping[str, Any]) -> None:
    """All of it or nothing: who is interrupted keeps what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(result, indent=1) + "\n")
    unfinished.replace(path)


def end_tidily() -> None:
    """From now on whoever ends us has what we started end too: SIGTERM is as good as Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


# A fork that its parent does not wait for belongs to nobody who is watched.
_SPINNING = """
import os
if os.fork():
    os._exit(0)
os.setsid()
print(os.getpid(), flush=True)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
while True:
    pass
"""


@contextmanager
def busy() -> Iterator[None]:
    """Two processes for each CPU that want all of it, until the end of the block. They are nobody's
    children: who watches us from now on does not watch them."""
    spinning = []
    try:
        for _ in range(2 * (os.cpu_count() or 1)):
            started = subprocess.run(
                [sys.executable, "-Sc", _SPINNING], stdout=subprocess.PIPE, check=True
            )
            spinning.append(psutil.Process(int(started.stdout)))
        yield
    finally:
        for process in spinning:
            process.kill()


def wait_for_no_agent() -> None:
    """Returns when no agent serves this machine: a client would use it, and it may be another
    version's. One that a client started goes with its last client.

    Raises:
        TimeoutError: there is one that stays.
    """
    give_up_s = time.monotonic() + AGENT_TIMEOUT_S
    while is_agent_serving(Path("/proc/net/unix").read_text()):
        if time.monotonic() > give_up_s:
            raise TimeoutError(
                "another linnix-ls agent serves this machine, and would be measured: stop it"
            )
        time.sleep(0.2)


def has_own_agent(pid: int) -> bool:
    """Whether a client started the agent that it uses: it is below it then."""
    try:
        below = psutil.Process(pid).children(recursive=True)
        return any(AGENT_MODULE in " ".join(process.cmdline()) for process in below)
    except psutil.Error:
        return False


def is_agent_serving(sockets: str) -> bool:
    """Whether one listens at a place where clients look, by /proc/net/unix: to connect to it
    would make a client of us."""
    paths = {str(default_socket_path()), str(system_socket_path())}
    return any(line.split()[-1] in paths for line in sockets.splitlines()[1:])


def cache_folder() -> Path:
    """For what was fetched or made to be measured with, and can be again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "linnix-ls-bench")


def fingerprint(content: bytes) -> str:
    """Changes with the content."""
    return sha256(content).hexdigest()[:12]


def venv_with(requirements: Path) -> Path:
    """A virtual environment that has these requirements; made once, kept until they change."""
    venv = cache_folder() / fingerprint(requirements.read_bytes())
    done = venv / "done"
    if not done.exists():
        print(f"making {venv} for the cases", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        pip = [str(venv / "bin/pip"), "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        done.touch()
    return venv


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its columns padded so that it reads well in a terminal too."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    first = [cell.ljust(width) for cell, width in zip(head, widths, strict=True)]
    ruler = ["-" * width for width in widths]
    return "\n".join("| " + " | ".join(line) + " |" for line in [first, ruler, *lines]) + "\n"
