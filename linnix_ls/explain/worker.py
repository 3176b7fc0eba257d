"""The process in which models live.

    python -m linnix_ls.explain.worker

A model's library may crash, hang, print to any stream and take all memory; here that ends this
process and nothing else. Started by `writer`, in a session of its own.

It is spoken to in lines of JSON. On stdin comes first what to load, ``{"backend": "llama", …}``,
then questions, one at a time, ``{"id": 1, "prompt": {…}}``, and ``{"cancel": 1}``; its end is the
order to go. On what was stdout at the start leave ``{"id": 1, "loaded": NAME}``, any number of
``{"id": 1, "text": "…"}``, and one of ``answered``, ``no_answer`` and ``cancelled``. Whatever else
prints to stdout finds itself on stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from linnix_ls.config import EndpointSettings
from linnix_ls.core.text import visible
from linnix_ls.explain.backends import Backend, out_of_memory
from linnix_ls.explain.base import NoAnswer, Prompt

MAX_COMMAND_BYTES = 1 << 22
# Of text in one line: six bytes each as JSON, and `writer` reads lines up to 64 kB.
MAX_PIECE_CHARS = 8000
MAX_REASON_CHARS = 300
ENDPOINT_MEMORY_MB = 1024

_PR_SET_PDEATHSIG = 1
_OOM_SCORE = 800  # of 1000: we go first, but after whoever asked for that

Send = Callable[[dict[str, Any]], None]


def main() -> None:
    """Answer until stdin ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    answers_fd = os.dup(1)
    os.dup2(2, 1)
    answers = os.fdopen(answers_fd, "wb")

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    asyncio.run(_serve(send))


async def _serve(send: Send) -> None:
    commands = asyncio.StreamReader(limit=MAX_COMMAND_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    backend = _prepare(json.loads(await commands.readline()))
    asking: asyncio.Task[None] | None = None
    while line := await commands.readline():
        command = json.loads(line)
        if "cancel" not in command:
            asking = asyncio.create_task(_answer(backend, command, send))
            asking.add_done_callback(partial(_confirm_if_cancelled, command["id"], send))
        elif asking is not None:
            asking.cancel()
    os._exit(0)  # whatever the model's thread is doing


def _prepare(start: dict[str, Any]) -> Backend:
    """Become what the backend needs this process to be."""
    # With 0, what core_pattern pipes to a program would still be dumped; see core(5).
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    if start["backend"] == "llama":
        from linnix_ls.explain.backends.llama import LlamaBackend

        _limit_memory(start["memory_mb"])
        _lower_priority()
        return LlamaBackend(start["model_path"], start["model_name"], start["memory_mb"])
    from linnix_ls.explain.backends.endpoint import EndpointBackend

    _limit_memory(ENDPOINT_MEMORY_MB)
    return EndpointBackend(EndpointSettings.model_validate(start["endpoint"]))


def _limit_memory(memory_mb: int) -> None:
    """Of addresses, not of data: the model's file is mapped, and must count."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_mb << 20
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _lower_priority() -> None:
    """As low as it gets. I/O goes with it: of a SCHED_IDLE task it is idle, too (ioprio_set(2))."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # All that counts only within a session where the kernel shares CPU time by session: there a
    # test started from a terminal would still lose half a CPU to us. (OSError: a kernel without.)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as autogroup:
        autogroup.write("19")
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "r+") as oom_score:
        if int(oom_score.read()) < _OOM_SCORE:
            oom_score.write(str(_OOM_SCORE))


async def _answer(backend: Backend, question: dict[str, Any], send: Send) -> None:
    reply = {"id": question["id"]}

    def on_text(text: str) -> None:
        for start in range(0, len(text), MAX_PIECE_CHARS):
            send(reply | {"text": text[start : start + MAX_PIECE_CHARS]})

    cpu_before_s = _cpu_s()
    try:
        name = await backend.load()
        send(reply | {"loaded": name})
        await backend.answer(Prompt(**question["prompt"]), on_text)
        cpu_s = _cpu_s() - cpu_before_s if backend.works_here else None
        send(reply | {"answered": name, "cpu_s": cpu_s})
    except NoAnswer as error:
        _refuse(send, reply, error)
    except MemoryError:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))  # to be able to say so
        _refuse(send, reply, out_of_memory("the model"))
    except Exception as error:  # noqa: BLE001 - whatever the model's library did not expect
        words = visible(f"{type(error).__name__}: {error}", MAX_REASON_CHARS)
        _refuse(send, reply, NoAnswer(f"the model's library failed: {words}", cause="worker_died"))


def _confirm_if_cancelled(question_id: int, send: Send, asking: asyncio.Task[None]) -> None:
    """Here and not in the task: that one may not even have begun."""
    if asking.cancelled():
        send({"id": question_id, "cancelled": True})


def _refuse(send: Send, reply: dict[str, Any], error: NoAnswer) -> None:
    no_answer = {"message": error.message, "fix": error.fix, "cause": error.cause}
    send(reply | {"no_answer": no_answer})


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
