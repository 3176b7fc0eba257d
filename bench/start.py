"""How long a command waits until it is watched, and what memory that keeps.

    python -m bench.start [--quick] [--rounds N] [--out DIR]

The time is that from the start of ``linnix-ls run -- COMMAND`` to COMMAND's first instruction,
which it is not let to before the probes are attached and its feed is open: with nothing kept of an
earlier start, with the kernel's types kept and the probes not, with both, and with an agent that
serves already. The rounds are interleaved. Memory is that of all processes of an agent that has
just become ready. It runs as root, in a mount namespace where caches and sockets are its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench import machine, plots
from linnix_ls.config import cache_dir
from linnix_ls.tracer.kept_products import FOLDER

SCHEMA = "linnix-start/1"
_INSIDE = "LINNIX_BENCH_START_INSIDE"
# Says by itself when it began.
_COMMAND = ("/bin/date", "+%s.%N")
_MEGABYTE = 1 << 20

WAYS = {
    "first start on this kernel": 1.0,
    "the kernel's types are known": 1.0,
    "the same probes were compiled before": 0.3,
    "an agent serves already": None,
}
MAX_MEMORY_MB = 60


def _forget_all() -> None:
    for path in cache_dir().iterdir():
        shutil.rmtree(path)


def _forget_probes() -> None:
    shutil.rmtree(cache_dir() / FOLDER, ignore_errors=True)


def _forget_nothing() -> None:
    pass


def seconds_to_command(socket: Path) -> tuple[float, float]:
    """From the start of a client to the first instruction of its command; and the CPU time that
    all processes took until the command's end.

    Raises:
        RuntimeError: it was not watched by eBPF.
    """
    before = os.times()
    began_s = time.time()
    done = subprocess.run(
        [machine.LINNIX_LS, "run", "--tracer", "bcc", "--agent-socket", socket, "--", *_COMMAND],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    after = os.times()
    if done.returncode or "tracer bcc" not in done.stderr:
        raise RuntimeError(f"not watched: {done.stderr}")
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return float(done.stdout) - began_s, cpu_s


def _wait_until_gone(socket: Path) -> None:
    """An agent goes with its last client; the next one shall be a new one."""
    give_up_s = time.monotonic() + 30
    while socket.exists():
        if time.monotonic() > give_up_s:
            raise TimeoutError("the agent does not go")
        time.sleep(0.02)


@contextmanager
def _agent(socket: Path) -> Iterator[psutil.Process]:
    """One that is ready."""
    read_fd, write_fd = os.pipe()
    process = subprocess.Popen(
        [machine.LINNIX_LS, "agent", "--socket", socket, "--ready-fd", str(write_fd)],
        pass_fds=(write_fd,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write_fd)
    try:
        with open(read_fd, encoding="utf-8") as ready:
            assert "is_ready" in ready.read()
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _memory(agent: psutil.Process) -> list[dict[str, Any]]:
    """Of an agent's processes, in MB."""
    found = []
    for process in (agent, *agent.children(recursive=True)):
        words = " ".join(process.cmdline())
        full = process.memory_full_info()
        found.append(
            {
                "name": "holds the probes" if "bcc_worker" in words else "agent",
                "resident_mb": full.rss / _MEGABYTE,
                "proportional_mb": full.pss / _MEGABYTE,
            }
        )
    return found


def measure(n_rounds: int) -> dict[str, Any]:
    """All rounds; the result as plain JSON."""
    about = machine.describe()
    forget: dict[str, Callable[[], None]] = dict(
        zip(WAYS, (_forget_all, _forget_probes, _forget_nothing, _forget_nothing), strict=True)
    )
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    cpu_seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    memory: list[list[dict[str, Any]]] = []
    with tempfile.TemporaryDirectory(prefix="linnix-start-") as scratch:
        socket = Path(scratch, "agent.sock")
        for number in range(n_rounds):
            for way, at_most_s in WAYS.items():
                forget[way]()
                if at_most_s is None:
                    with _agent(socket) as agent:
                        memory.append(_memory(agent))
                        measured = seconds_to_command(socket)
                else:
                    measured = seconds_to_command(socket)
                _wait_until_gone(socket)
                seconds[way].append(measured[0])
                cpu_seconds[way].append(measured[1])
                print(f"{number + 1}/{n_rounds} {way}: {measured[0]:.2f} s", flush=True)
    return {
        "schema": SCHEMA,
        **about,
        "n_rounds": n_rounds,
        "ways": {
            way: {
                "seconds": [round(each, 3) for each in times],
                "median_s": median(times),
                "cpu_s": median(cpu_seconds[way]),
                "at_most_s": WAYS[way],
            }
            for way, times in seconds.items()
        },
        "memory": [
            {
                name: memory[0][index][name]
                if name == "name"
                else median(each[index][name] for each in memory)
                for name in memory[0][index]
            }
            for index in range(len(memory[0]))
        ],
        "max_memory_mb": MAX_MEMORY_MB,
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    rows = [
        [
            way,
            f"{figures['median_s']:.2f} s",
            f"{min(figures['seconds']):.2f} to {max(figures['seconds']):.2f} s",
            f"{figures['cpu_s']:.2f} s",
            "-" if figures["at_most_s"] is None else f"{figures['at_most_s']:.1f} s",
        ]
        for way, figures in result["ways"].items()
    ]
    processes = result["memory"]
    total = {
        "name": "together",
        **{
            name: sum(each[name] for each in processes)
            for name in ("resident_mb", "proportional_mb")
        },
    }
    memory = [
        [
            each["name"],
            f"{each['resident_mb']:.0f} MB",
            f"{each['proportional_mb']:.0f} MB",
            f"{result['max_memory_mb']} MB" if each is total else "",
        ]
        for each in (*processes, total)
    ]
    return (
        "# From a command to its first instruction under watch\n\n"
        f"linnix-ls {result['tool']['version']}, {result['measured_at']}: {result['n_cpus']} CPUs,"
        f" kernel {result['kernel']}, Python {result['python']}, load before {result['load']};"
        f" {result['n_rounds']} interleaved rounds.\n\n"
        + machine.table(["when", "median", "least to most", "CPU time", "at most (median)"], rows)
        + "\nMemory of an agent that has just become ready (resident; proportional: what processes"
        " share is counted once).\n\n"
        + machine.table(["process", "resident", "proportional", "at most"], memory)
    )


def plot(result: dict[str, Any], path: Path) -> Path:
    """The times as a picture."""
    panels = [
        plots.Panel(
            way,
            [
                plots.Bar(
                    "linnix-ls run",
                    figures["median_s"],
                    min(figures["seconds"]),
                    max(figures["seconds"]),
                    is_ours=True,
                )
            ],
            figures["at_most_s"],
        )
        for way, figures in result["ways"].items()
    ]
    return plots.bars(path, "From a command to its first instruction under watch", "s", panels)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.start", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--quick", action="store_true", help="five rounds: about a minute")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    if _INSIDE not in os.environ:
        # As if on a machine of our own: nobody else's agent, nobody else's cache.
        cache_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
        mounts = f"mount -t tmpfs -o mode=700 none {cache_dir()}"
        os.environ[_INSIDE] = "1"
        words = [sys.executable, "-m", "bench.start", *sys.argv[1:]]
        inside = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", f'{mounts}; exec "$@"', "sh", *words], check=False
        )
        sys.exit(inside.returncode)
    result = measure(options.rounds or (5 if options.quick else 20))
    page = markdown(result)
    print("\n" + page)
    machine.save("start", result, page, options.out, plot)


if __name__ == "__main__":
    main()
