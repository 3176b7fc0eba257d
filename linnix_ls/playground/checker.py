"""Compiles and loads probe source on trial, in a process of its own, and says what came of it.

What the outcome means is found by `diagnosis`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from linnix_ls.invocation import python
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.policy import MapSize
from linnix_ls.playground.sandbox import User

TIME_LIMIT_S = 30.0
MAX_OUTPUT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be checked.

    Attributes:
        name: of the file; for messages only, it is not opened.
        headers: a tree for BCC (`tracer.kernel_headers`).
        include: folders with headers.
        contexts: of the programs that are functions with one: the struct that it points to.
        may_load: whether the kernel is asked; else source is only compiled.
    """

    dialect: Dialect
    name: str
    source: str
    headers: str
    include: tuple[str, ...] = ()
    contexts: dict[str, str] = field(default_factory=dict)
    may_load: bool = True


@dataclass(frozen=True, slots=True)
class Trial:
    """What the child told.

    Attributes:
        stage: how far it got: ``compile``, ``load`` or ``done``.
        loading: the program it was loading last.
        failed: what the compiler's front end says when it gives up; None if it did not.
        programs: as `check_worker` tells them.
        output: what it printed to stderr.
        missing: what it needs and this machine has not, and what to do about it; or None.
        ended_by: a signal's name, ``status N``, or ``time`` when it was ended for taking too long;
            None when it ended well.
    """

    stage: str
    loading: str | None
    failed: str | None
    programs: tuple[dict[str, Any], ...]
    maps: tuple[MapSize, ...]
    output: str
    ended_by: str | None
    took_s: float
    missing: tuple[str, str | None] | None = None


async def try_out(
    request: Request, user: User | None = None, *, time_limit_s: float = TIME_LIMIT_S
) -> Trial:
    """Let a child check it, as that user (None: as we are). Cancelling this ends the child."""
    began_s = time.monotonic()
    result_fd = os.memfd_create("linnix-result")
    output_fd = os.memfd_create("linnix-output")
    try:
        child = await asyncio.create_subprocess_exec(
            *(*python("linnix_ls.playground.check_worker"), str(result_fd)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=output_fd,
            pass_fds=(result_fd,),
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )
        ended_by = None
        try:
            asked = json.dumps(asdict(request) | {"user": user})
            await asyncio.wait_for(child.communicate(asked.encode()), time_limit_s)
        except TimeoutError:
            ended_by = "time"
        finally:
            if child.returncode is None:
                # With the compiler that it may have started.
                os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
        if ended_by is None and child.returncode:
            status = child.returncode
            ended_by = signal.Signals(-status).name if status < 0 else f"status {status}"
        return _trial(
            _content(result_fd), _content(output_fd), ended_by, time.monotonic() - began_s
        )
    finally:
        os.close(result_fd)
        os.close(output_fd)


def _environment() -> dict[str, str]:
    """Nothing of the user's that a compiler would heed (CPATH, CFLAGS, TMPDIR …)."""
    package_root = str(Path(__file__).resolve().parents[2])
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "PYTHONPATH": package_root}


def _content(fd: int) -> str:
    return os.pread(fd, MAX_OUTPUT_BYTES, 0).decode(errors="replace")


def _trial(result: str, output: str, ended_by: str | None, took_s: float) -> Trial:
    stage, loading, failed = "start", None, None
    missing: tuple[str, str | None] | None = None
    programs: list[dict[str, Any]] = []
    maps: list[MapSize] = []
    for line in result.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue  # it died in mid-line
        stage = told.get("stage", stage)
        loading = told.get("name", loading)
        failed = told.get("failed", failed)
        missing = tuple(told["missing"]) if "missing" in told else missing
        maps += [MapSize(*each) for each in told.get("maps", ())]
        if "program" in told:
            programs.append(told["program"])
    return Trial(
        stage, loading, failed, tuple(programs), tuple(maps), output, ended_by, took_s, missing
    )
