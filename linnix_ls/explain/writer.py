"""Asks models: our side of the process that they live in (`worker`).

No library of a model is ever imported here. That process may die, hang, or print without end, and
nothing but a `NoAnswer` comes of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from linnix_ls.config import ExplainSettings
from linnix_ls.core.text import visible
from linnix_ls.explain.backends import NO_MEMORY, out_of_memory
from linnix_ls.explain.backends.endpoint import host_of, is_loopback
from linnix_ls.explain.base import Answer, NoAnswer, Prompt, Writer
from linnix_ls.invocation import python

MAX_ANSWER_CHARS = 1 << 18
MAX_LINE_BYTES = 1 << 16
# Of one answer, with everything around it: a worker that sends more has gone mad.
MAX_RECEIVED_BYTES = 1 << 22
MAX_OUTPUT_BYTES = 4096
# A model stops within milliseconds of its CPU time, of which a busy machine gives it few. Only the
# next question waits for that.
CANCEL_GRACE_S = 5.0
# After the second failure in a row, and twice as long after each further one.
FIRST_PAUSE_S = 10.0
MAX_PAUSE_S = 600.0
LAST_WORDS_TIMEOUT_S = 0.5  # the pipe is at its end by then, but for what holds it open

_TELLING = re.compile(r"error|fail|abort|assert|terminate|exception", re.IGNORECASE)
_FOLDER = re.compile(r"/\S*/")  # of the machine that the library was built on
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


def make_writer(
    settings: ExplainSettings, model_path: str | None, *, model_name: str | None = None
) -> Writer | None:
    """Who answers with these settings; None where the rules speak alone. Starts nothing yet.

    Args:
        model_path: of the model that `settings.model` or the user's choice means; None: there is
            none.
        model_name: to be shown, instead of the one that the file gives itself.

    Raises:
        NoAnswer: a model is asked for, and nobody said which.
    """
    if settings.source in ("none", "rules") or (settings.source == "auto" and model_path is None):
        return None
    if settings.source == "openai":
        endpoint = settings.endpoint
        host = host_of(endpoint.url)
        if host is None or not endpoint.model:
            missing = "model" if host else "url"
            raise NoAnswer(
                f"explanations are to come from an endpoint, but linnix.explain.endpoint.{missing} "
                "is not set, or makes no sense",
                fix="set url and model, as in http://127.0.0.1:8080/v1 and qwen2.5-coder",
                cause="no_model",
            )
        return WorkerWriter(
            {"backend": "openai", "endpoint": endpoint.model_dump()},
            name=f"{endpoint.model} at {host}",
            is_local=is_loopback(host),
            writes_prose=True,
            settings=settings,
        )
    if model_path is None:
        raise NoAnswer(
            "explanations are to come from a local model, but none is chosen",
            fix="linnix-ls model list, then: linnix-ls model use NAME",
            cause="no_model",
        )
    return WorkerWriter(
        {
            "backend": "llama",
            "model_path": os.path.abspath(model_path),
            "model_name": model_name,
            "memory_mb": settings.memory_mb or _enough_mb(model_path),
        },
        name=model_name or Path(model_path).stem,
        is_local=True,
        writes_prose=False,
        settings=settings,
    )


def _enough_mb(model_path: str) -> int:
    """The mapped file, a copy of its weights as the CPU likes them, and what comes on top."""
    with contextlib.suppress(OSError):  # it says so itself when it cannot read the file
        return 2 * os.path.getsize(model_path) // 1_000_000 + 1500
    return 1500


class WorkerWriter:
    """See `base.Writer`. The process is started for the first question, and ended after a while
    without any.

    Args:
        start: the first line of what `worker` is told.
        name: of the model or the server, for messages.
        settings: of these, limits on time.
    """

    def __init__(
        self,
        start: dict[str, Any],
        *,
        name: str,
        is_local: bool,
        writes_prose: bool,
        settings: ExplainSettings,
    ) -> None:
        self.target = f"{visible(name, 100)}, {'on this machine' if is_local else 'elsewhere'}"
        self.is_local = is_local
        self.writes_prose = writes_prose
        self._start = start
        self._name = visible(name, 100)
        self._settings = settings
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._last_id = 0
        self._cleaning_up: asyncio.Task[None] | None = None
        self._unloading: asyncio.TimerHandle | None = None
        self._n_failures = 0
        self._failure: NoAnswer | None = None
        self._retry_at_s = 0.0
        self._is_closed = False

    @property
    def worker_pid(self) -> int | None:
        """Of the process that the model is in, while there is one."""
        return self._worker.pid if self._worker and not self._worker.has_ended else None

    async def write(self, prompt: Prompt, on_text: Callable[[str], None]) -> Answer:
        """See the protocol. The deadline counts from when the question's turn has come."""
        async with self._turn:
            if self._unloading is not None:
                self._unloading.cancel()
            await self._clean_up()
            try:
                async with asyncio.timeout(self._settings.deadline_s):
                    return await self._ask(prompt, on_text)
            except TimeoutError:
                raise NoAnswer(
                    f"{self._name} did not answer within {self._settings.deadline_s:g} s",
                    fix="linnix.explain.deadline_s gives it longer; a smaller model is faster",
                    cause="deadline",
                ) from None
            finally:
                if self._worker is not None and not self._is_closed:
                    self._unloading = asyncio.get_running_loop().call_later(
                        self._settings.idle_unload_s, self._unload
                    )

    async def close(self) -> None:
        self._is_closed = True
        if self._unloading is not None:
            self._unloading.cancel()
        await self._clean_up()
        if self._worker is not None:
            await self._worker.end()

    async def _ask(self, prompt: Prompt, on_text: Callable[[str], None]) -> Answer:
        worker = await self._ready_worker()
        self._last_id += 1
        question_id = self._last_id
        pieces: list[str] = []
        n_chars = 0
        is_over = False
        try:
            worker.ask(question_id, prompt)
            while message := await worker.receive(question_id):
                match message:
                    case {"text": str(text)}:
                        n_chars += len(text)
                        if n_chars > MAX_ANSWER_CHARS:
                            raise _too_long(self._name)
                        pieces.append(text)
                        on_text(text)
                    case {"loaded": _}:
                        worker.is_loaded = True
                    case {"answered": str(name), "cpu_s": cpu_s}:
                        is_over = True
                        self._n_failures = 0
                        return Answer("".join(pieces), name, cpu_s)
                    case {"no_answer": {"message": str(words), "fix": fix, "cause": str(cause)}}:
                        is_over = True
                        raise NoAnswer(words, fix=fix, cause=cause)
            is_over = True
            raise await self._why_ended(worker)
        except NoAnswer as error:
            if is_over and (worker.has_ended or not worker.is_loaded):
                self._pause_after(error)
                await worker.end()
            raise
        finally:
            if not is_over:
                self._cleaning_up = asyncio.create_task(_stop_answering(worker, question_id))

    async def _ready_worker(self) -> _Worker:
        if self._worker is not None and not self._worker.has_ended:
            return self._worker
        if self._is_closed:
            raise NoAnswer("explanations have been switched off", cause="worker_died")
        pause_s = self._retry_at_s - asyncio.get_running_loop().time()
        if self._failure is not None and pause_s > 0:
            raise NoAnswer(
                f"{self._failure.message} (tried again in {pause_s:.0f} s)",
                fix=self._failure.fix,
                cause=self._failure.cause,
            )
        if self._worker is not None:
            await self._worker.end()
        try:
            self._worker = await _Worker.start(self._start)
        except OSError as error:
            raise NoAnswer(
                f"no process can be started for {self._name}: {error.strerror}",
                cause="worker_died",
            ) from None
        return self._worker

    def _pause_after(self, failure: NoAnswer) -> None:
        """One failure may be chance. From the second one on, start no process for each question."""
        self._n_failures += 1
        self._failure = NoAnswer(failure.message, fix=failure.fix, cause=failure.cause)
        if self._n_failures > 1:
            pause_s = min(FIRST_PAUSE_S * 2 ** (self._n_failures - 2), MAX_PAUSE_S)
            self._retry_at_s = asyncio.get_running_loop().time() + pause_s

    async def _why_ended(self, worker: _Worker) -> NoAnswer:
        await worker.end()
        if worker.is_mad:
            return _too_long(self._name)
        last_words = worker.last_words
        if NO_MEMORY.search(last_words):
            return out_of_memory(self._name)
        line = next(filter(_TELLING.search, reversed(last_words.splitlines())), "")
        quote = f": {visible(_FOLDER.sub('', line.strip()), 300)}" if line else ""
        ended = worker.how_ended
        if not worker.is_loaded and worker.has_crashed:
            return NoAnswer(
                f"the model {self._name} cannot be loaded: its library crashed ({ended}){quote}",
                fix="install it anew (linnix-ls model install), or choose another one "
                "(linnix-ls model list)",
                cause="bad_model",
            )
        return NoAnswer(
            f"the process that asks {self._name} ended ({ended}){quote}",
            fix="if it was for lack of memory, choose a smaller model (linnix-ls model list)",
            cause="worker_died",
        )

    def _unload(self) -> None:
        if self._worker is not None:
            self._cleaning_up = asyncio.create_task(self._worker.end())

    async def _clean_up(self) -> None:
        """Wait until what the last question has left behind is done with."""
        if self._cleaning_up is not None:
            await asyncio.wait({self._cleaning_up})  # cancelling us does not cancel it
            self._cleaning_up = None


async def _stop_answering(worker: _Worker, question_id: int) -> None:
    """Make it ready for the next question; if that does not work at once, end it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CANCEL_GRACE_S):
            worker.cancel(question_id)
            while message := await worker.receive(question_id):
                if "text" not in message and "loaded" not in message:
                    return
    await worker.end()


def _too_long(name: str) -> NoAnswer:
    return NoAnswer(f"{name} answers without end", cause="too_long")


class _Worker:
    """One process, and with it the group that it leads.

    We wait for it ourselves and not through asyncio: as long as nobody has, its id can be nobody
    else's, and so it is safe to kill the group.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.is_loaded = False
        self.is_mad = False
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._pidfd, self._on_end)
        self._transports: list[asyncio.BaseTransport] = []
        self._reading_output: asyncio.Task[None] | None = None
        self._output = b""
        self._n_received_bytes = 0

    @classmethod
    async def start(cls, first_line: dict[str, Any]) -> _Worker:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns once it is started
            python("linnix_ls.explain.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",  # -m imports from there
            start_new_session=True,
            # Each thread would reserve 64 MB of addresses, which count as memory.
            env=os.environ | {"MALLOC_ARENA_MAX": "2"},
        )
        worker = cls(process)
        try:
            await worker._connect()
        except BaseException:
            await worker.end()
            raise
        worker._send(first_line)
        return worker

    async def _connect(self) -> None:
        process = self._process
        self._answers = await self._open_reader(process.stdout)
        output = await self._open_reader(process.stderr)
        self._reading_output = asyncio.create_task(self._read_output(output))
        loop = asyncio.get_running_loop()
        self._commands, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)
        self._transports.append(self._commands)

    async def _open_reader(self, pipe: IO[bytes] | None) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        self._transports.append(transport)
        return reader

    @property
    def has_ended(self) -> bool:
        return self._ended.done()

    @property
    def has_crashed(self) -> bool:
        """Whether it was ended by a signal that its own code brought about."""
        return -self._process.returncode in _CRASHES

    @property
    def how_ended(self) -> str:
        status = self._process.returncode
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    @property
    def last_words(self) -> str:
        """The end of what it printed."""
        return self._output.decode(errors="replace").strip()

    def ask(self, question_id: int, prompt: Prompt) -> None:
        self._n_received_bytes = 0
        self._send({"id": question_id, "prompt": asdict(prompt)})

    def cancel(self, question_id: int) -> None:
        self._send({"cancel": question_id})

    def _send(self, message: dict[str, Any]) -> None:
        self._commands.write(json.dumps(message).encode() + b"\n")

    async def receive(self, question_id: int) -> dict[str, Any] | None:
        """The next message about that question; None: there will be no more."""
        while self._n_received_bytes < MAX_RECEIVED_BYTES:
            try:
                line = await self._answers.readline()
            except ValueError:  # longer than any of ours
                self._n_received_bytes += MAX_LINE_BYTES
                continue
            if not line:
                return None
            self._n_received_bytes += len(line)
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict) and message.get("id") == question_id:
                return message
        self.is_mad = True
        return None

    async def end(self) -> None:
        """Kill it, if it has not ended. There is nothing that it could lose."""
        if not self.has_ended:
            self._kill_group()
        await asyncio.shield(self._ended)
        if self._reading_output is not None:
            await asyncio.wait({self._reading_output}, timeout=LAST_WORDS_TIMEOUT_S)
            self._reading_output.cancel()
        for transport in self._transports:
            transport.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    async def _read_output(self, output: asyncio.StreamReader) -> None:
        while part := await output.read(MAX_LINE_BYTES):
            self._output = (self._output + part)[-MAX_OUTPUT_BYTES:]
            if len(part) > MAX_OUTPUT_BYTES:
                await asyncio.sleep(0.01)  # who prints so much can wait; we have other work

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._kill_group()  # who may have stayed behind of it
        self._process.wait()
        self._ended.set_result(None)
