"""Loads that start processes as fast as the machine can, and two counts of them: their own and the
kernel's, neither of which knows of linnix-ls. And the agent that watches them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from bench import machine
from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.tracer import perf_event

SOURCE = Path(__file__).with_suffix(".c")
CALM_WITHIN_S = 60.0


def program() -> Path:
    """The load, compiled once."""
    path = machine.cache_folder() / f"forking-{machine.fingerprint(SOURCE.read_bytes())}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        subprocess.run(["cc", "-O2", "-static", "-o", unfinished, SOURCE], check=True)
        unfinished.replace(path)
    return path


class Forker:
    """One load, which waits to be let go.

    Attributes:
        n_by_kernel: how often it forked, by the kernel's own counter of that tracepoint.
    """

    def __init__(self, what: str, n: float) -> None:
        self._process = subprocess.Popen(
            [program(), what, str(n)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self.pid = self._process.pid
        self._counter = perf_event.tracepoint_counter("sched", "sched_process_fork", self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, 9)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._process.wait()
        os.close(self._counter)

    @property
    def n_by_kernel(self) -> int:
        return int.from_bytes(os.read(self._counter, 8), sys.byteorder)

    def let_go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    async def said(self) -> int:
        """How many it has started, as soon as it says so."""
        assert self._process.stdout is not None
        return int(await asyncio.to_thread(self._process.stdout.readline))

    async def finish(self) -> None:
        """Have `many` end them all."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.to_thread(self._process.wait)


@dataclass(slots=True)
class Agent:
    """One of our own at a private socket, and a client of it.

    Attributes:
        holder: the process that holds the probes.
    """

    socket: Path
    feed: RemoteFeed
    process: psutil.Process

    @property
    def holder(self) -> psutil.Process:
        [holder] = [
            child for child in self.process.children() if "bcc_worker" in " ".join(child.cmdline())
        ]
        return holder

    async def when_calm(self) -> None:
        """When all that the kernel has told has been heard, as far as one can see from here."""
        n_received, until_s = -1, time.monotonic() + CALM_WITHIN_S
        while time.monotonic() < until_s:
            status = await self.feed.status()
            if status.n_received == n_received:
                return
            n_received = status.n_received
            await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def private_agent() -> AsyncIterator[Agent]:
    """Ends with the block."""
    with tempfile.TemporaryDirectory(prefix="linnix-bench-") as folder:
        path = Path(folder, "agent.sock")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", str(path)),
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # as a client starts it
        )
        try:
            while not path.exists():  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.05)
            feed = await RemoteFeed.connect(path, hello_timeout_s=60)
            yield Agent(path, feed, psutil.Process(process.pid))
            await feed.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


def cpu_s(pid: int) -> float:
    """What a process has used so far, to the nanosecond: clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def pss_bytes(pid: int) -> int:
    """What it takes of memory, of what it shares its share."""
    return psutil.Process(pid).memory_full_info().pss


def n_forks_of_machine() -> int:
    """Processes and threads since boot, of whoever."""
    text = Path("/proc/stat").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("processes")))
