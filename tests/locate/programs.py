"""Programs in a folder of sources, run until a reader finds what it is to find in them."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts

PATIENCE_S = 20.0


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")


def facts_of(pid):
    return ProcessFacts(
        key=procfs.read_stat(pid).key,
        argv=procfs.read_argv(pid),
        exe=procfs.read_exe(pid),
        cwd=procfs.read_cwd(pid),
    )


@dataclass
class Folder:
    """A folder of sources."""

    path: Path

    def write(self, name, text):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)

    @contextlib.contextmanager
    def running(self, *argv, env=None):
        """Runs it; its whole process group ends with the block."""
        process = subprocess.Popen(
            argv,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def read_until(reader, pid, is_there, *, n_looks=2):
    """Reads again and again until the reading is as wanted: programs take their time to start."""
    deadline = time.monotonic() + PATIENCE_S
    reading = None
    while time.monotonic() < deadline:
        if procfs.read_stat(pid) is not None:
            facts = facts_of(pid)
            if reader.recognises(facts):
                reading = await reader.read(facts, n_looks=n_looks, interval_s=0.02)
                if is_there(reading):
                    return reading
        await asyncio.sleep(0.05)
    raise AssertionError(f"last reading: {reading}")


async def generations_below(pid, n):
    """The first child of the first child …, `n` times, as soon as there is one."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        below = pid
        for _ in range(n):
            below = next(iter(procfs.children_of(below)), None) if below else None
        if below:
            return below
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing {n} generations below {pid}")


def innermost(reading):
    """The innermost frame of the user's that the last look found; None without one."""
    for stack in reading.stacks[-1:]:
        for frame in stack.frames:
            if frame.is_user_code:
                return frame
    return None


def user_frames(reading):
    return [
        (frame.function, os.path.basename(frame.path), frame.line)
        for stack in reading.stacks[-1:]
        for frame in stack.frames
        if frame.is_user_code
    ]
