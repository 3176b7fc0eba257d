"""One generation of the probes: our side of one process that holds them (`bcc_worker`, or what
wraps it for edited ones). What its records mean, and which count, is for `tracer.bcc`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from linnix_ls.errors import TracerUnavailable
from linnix_ls.invocation import python
from linnix_ls.tracer.base import Launch
from linnix_ls.tracer.bcc_worker import FRAME_HEAD, FRAME_MESSAGE
from linnix_ls.tracer.event_opener import EventOpener
from linnix_ls.tracer.ring_buffer import records_in

COMMAND_TIMEOUT_S = 10.0
MAX_OUTPUT_LINES = 200
_TELLING = re.compile(r"error|fail|abort|assert|terminate|not permitted", re.IGNORECASE)


class Generation:
    """A worker, from its start to its end.

    Args:
        on_records, on_lost: called with what it tells; that before its answers, too.
        on_end: called with the reason when it ends by itself after it was ready.
    """

    def __init__(
        self,
        launch: Launch,
        on_records: Callable[[Generation, list[bytes]], None],
        on_lost: Callable[[Generation, int], None],
        on_end: Callable[[Generation, str], None],
    ) -> None:
        self.launch = launch
        self._on_records, self._on_lost, self._report_end = on_records, on_lost, on_end
        self._process: asyncio.subprocess.Process | None = None
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._output: deque[str] = deque(maxlen=MAX_OUTPUT_LINES)
        self._readers: list[asyncio.Task[None]] = []
        self._is_unwanted = False
        self.failure: str | None = None
        self._n_borrowed = 0
        self._is_free = asyncio.Event()
        self._is_free.set()

    @property
    def pid(self) -> int | None:
        """Of its process."""
        return self._process.pid if self._process else None

    async def start(self, timeout_s: float) -> None:
        """Returns when the probes are attached.

        Raises:
            TracerUnavailable: they cannot be; the process has gone.
        """
        read_fd, write_fd = os.pipe()
        request = self.launch.request
        self._opener = EventOpener()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *python(self.launch.module),
                str(write_fd),
                *self.launch.arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,  # libbcc prints here too
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(write_fd, self._opener.fd),
                cwd="/",
                env=self._opener.environment(self.launch.environment),
            )
        except BaseException:
            self._opener.close()
            os.close(read_fd)
            raise
        finally:
            self._opener.child_started()
            os.close(write_fd)
        self._pidfd = os.pidfd_open(self._process.pid)
        frames = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(frames), os.fdopen(read_fd, "rb")
        )
        self._ready: asyncio.Future[None] = loop.create_future()
        self._readers = [
            asyncio.create_task(self._read_frames(frames)),
            asyncio.create_task(self._read_output()),
        ]
        if request is not None:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), timeout_s)
        except TimeoutError:
            await self.stop()
            raise TracerUnavailable(
                f"compiling the probes took more than {timeout_s:.0f} s",
                fix="try again when the machine is less busy; "
                "if that does not help: apt-get install --reinstall python3-bpfcc",
                cause="load_failed",
            ) from None
        except TracerUnavailable as error:
            # libbcc raises what is no help, and prints what is.
            words = await self._last_words() if error.cause == "load_failed" else ""
            await self.stop()
            raise TracerUnavailable(
                error.message + words, fix=error.fix, cause=error.cause
            ) from None
        except BaseException:
            await self.stop()
            raise

    async def command(self, name: str, *arguments: Any) -> Any:
        """Have it do something.

        Raises:
            TracerUnavailable: it has ended, does not answer, or refuses.
        """
        if self.failure is not None:
            raise TracerUnavailable(self.failure, cause="worker_died")
        if self._process is None or self._process.stdin is None:
            raise TracerUnavailable("the tracer has stopped", cause="worker_died")
        self._next_id += 1
        command_id = self._next_id
        command = {"id": command_id, "name": name, "arguments": arguments}
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[command_id] = reply
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        try:
            return await asyncio.wait_for(reply, COMMAND_TIMEOUT_S)
        except TimeoutError:
            raise TracerUnavailable(
                f"the process that loads the probes does not answer to {name}", cause="no_answer"
            ) from None
        finally:
            self._replies.pop(command_id, None)

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[None]:
        """While something is counted there: `retire` waits for it."""
        self._n_borrowed += 1
        self._is_free.clear()
        try:
            yield
        finally:
            self._n_borrowed -= 1
            if not self._n_borrowed:
                self._is_free.set()

    async def retire(self) -> None:
        """Stop, when nobody counts there any more."""
        await self._is_free.wait()
        await self.stop()

    async def stop(self) -> None:
        """Detach everything. Nothing is told any more after this."""
        self._is_unwanted = True
        process, self._process = self._process, None
        if process is not None:
            # Nothing to lose: the kernel detaches what it held. Not process.kill(): if it has just
            # ended, that takes its exit status away from asyncio.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
            await process.wait()
            self._opener.close()
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        if process is not None:
            self._transport.close()

    async def _read_frames(self, frames: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                length, kind = FRAME_HEAD.unpack(await frames.readexactly(FRAME_HEAD.size))
                payload = await frames.readexactly(length)
                if kind == FRAME_MESSAGE:
                    self._on_message(json.loads(payload))
                else:
                    self._on_records(self, records_in(payload))
        await self._on_end()

    def _on_message(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._ready.set_result(None)
        elif "failed" in message:
            self._ready.set_exception(
                TracerUnavailable(message["failed"], fix=message["fix"], cause=message["cause"])
            )
        elif "n_lost" in message:
            self._on_lost(self, message["n_lost"])
        elif reply := self._replies.get(message["id"]):
            if reply.done():
                return
            if "error" in message:
                reply.set_exception(
                    TracerUnavailable(f"the tracer refused: {message['error']}", cause="refused")
                )
            else:
                reply.set_result(message["result"])

    async def _read_output(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        stdout = self._process.stdout
        while True:
            try:
                line = await stdout.readline()
            except ValueError:  # longer than any message; that much of it is dropped
                continue
            if not line:
                return
            if line.strip():
                self._output.append(line.decode(errors="replace").strip())

    async def _last_words(self) -> str:
        """The most telling line that the worker, which is about to end, has printed."""
        await asyncio.wait(self._readers[1:], timeout=1.0)
        line = next(filter(_TELLING.search, self._output), next(iter(self._output), ""))
        return f": {line}" if line else ""

    async def _on_end(self) -> None:
        if self._is_unwanted or self._process is None:
            return
        exit_status = await self._process.wait()
        ended = f"signal {-exit_status}" if exit_status < 0 else f"exit status {exit_status}"
        self.failure = (
            f"the process that loads the probes ended ({ended}){await self._last_words()}"
        )
        error = TracerUnavailable(self.failure, cause="worker_died")
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(error)
        if not self._ready.done():
            self._ready.set_exception(error)
        elif not (self._is_unwanted or self._ready.exception()):
            self._report_end(self, self.failure)
