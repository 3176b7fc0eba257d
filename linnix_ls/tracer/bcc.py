"""The eBPF tracer: our side of the process that BCC lives in (`bcc_worker`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from linnix_ls import procfs
from linnix_ls.core.events import Event, EventsLost, Execed, ProcessSeen
from linnix_ls.core.examination import SyscallCount
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import TracerUnavailable
from linnix_ls.invocation import enable_tracing, python
from linnix_ls.tracer import tracefs
from linnix_ls.tracer.base import Deliver
from linnix_ls.tracer.bcc_worker import (
    FRAME_HEAD,
    FRAME_MESSAGE,
    RECORD_HEAD,
    RING_PAGES,
)
from linnix_ls.tracer.decode import decode

LOAD_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 10.0
MAX_OUTPUT_LINES = 200
_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39
# Inode numbers of the namespaces that the kernel boots with (include/linux/proc_ns.h).
_INITIAL_USER_NAMESPACE, _INITIAL_PID_NAMESPACE = 0xEFFFFFFD, 0xEFFFFFFC
_TELLING = re.compile(r"error|fail|abort|assert|terminate|not permitted", re.IGNORECASE)


def has_bpf_permission() -> bool:
    """Whether this process may load probes and sample (capabilities(7)). What a container without
    real root calls root may not, whatever capabilities it shows."""
    if os.stat("/proc/self/ns/user").st_ino != _INITIAL_USER_NAMESPACE:
        return False
    status = procfs.read_bytes("/proc/self/status", 1 << 16) or b""
    match = re.search(rb"CapEff:\s*([0-9a-f]+)", status)
    effective = int(match[1], 16) if match else 0
    has = [bool(effective >> cap & 1) for cap in (_CAP_SYS_ADMIN, _CAP_BPF, _CAP_PERFMON)]
    return has[0] or (has[1] and has[2])


class BccTracer:
    """See `tracer.base.Tracer`.

    Args:
        ring_pages: the size of the kernel's buffer, a power of two. What does not fit is lost,
            and counted.
    """

    name = "bcc"
    degraded: str | None = None

    def __init__(self, cache_dir: Path, *, ring_pages: int = RING_PAGES) -> None:
        self._cache_dir = cache_dir
        self._ring_pages = ring_pages
        self._worker: asyncio.subprocess.Process | None = None
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._output: deque[str] = deque(maxlen=MAX_OUTPUT_LINES)
        self._readers: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self._failure: str | None = None
        self.n_undecodable = 0

    @property
    def worker_pid(self) -> int | None:
        """Of the process that holds the probes."""
        return self._worker.pid if self._worker else None

    async def start(self, deliver: Deliver, on_failure: Callable[[str], None]) -> None:
        if not has_bpf_permission():
            raise TracerUnavailable(
                "no permission to load eBPF programs (CAP_BPF and CAP_PERFMON)",
                fix=enable_tracing(),
                cause="no_permission",
            )
        if os.stat("/proc/self/ns/pid").st_ino != _INITIAL_PID_NAMESPACE:
            raise TracerUnavailable(
                "in this container processes have other ids than the kernel tells of",
                fix="give the container the machine's own process ids: --pid=host",
                cause="pid_namespace",
            )
        tracefs.ensure_mounted()
        self._deliver, self._on_failure = deliver, on_failure
        read_fd, write_fd = os.pipe()
        self._worker = await asyncio.create_subprocess_exec(
            *python("linnix_ls.tracer.bcc_worker"),
            str(write_fd),
            str(self._cache_dir),
            str(self._ring_pages),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,  # libbcc prints here too
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(write_fd,),
            cwd="/",
        )
        os.close(write_fd)
        self._worker_pidfd = os.pidfd_open(self._worker.pid)
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
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), LOAD_TIMEOUT_S)
        except TimeoutError:
            await self.stop()
            raise TracerUnavailable(
                f"compiling the probes took more than {LOAD_TIMEOUT_S:.0f} s",
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

    async def watch(
        self, key: ProcessKey, *, ignored: Collection[int] = ()
    ) -> tuple[ProcessSeen, ...]:
        """See the protocol. The root is in scope before its descendants are looked up, so that
        nothing can be born unseen between two looks."""
        stat = procfs.read_stat(key.pid)
        if stat is None or stat.key != key:
            return ()
        known: list[int] = []
        while new := [p for p in procfs.descendants(key.pid, ignored) if p not in known]:
            await self._command("watch", new)
            known += new
        now_ns = time.monotonic_ns()
        seen = (procfs.see(pid, now_ns) for pid in known)
        return tuple(process for process in seen if process is not None)

    async def unwatch(self, pids: Collection[int]) -> None:
        await self._command("unwatch", list(pids))

    async def watch_users(self, uids: Collection[int]) -> None:
        await self._command("watch_users", list(uids))

    async def count_syscalls(self, pid: int, window_s: float) -> tuple[SyscallCount, ...] | None:
        await self._command("start_counting", pid)
        try:
            await asyncio.sleep(window_s)
        finally:
            rows = await self._command("stop_counting", pid)
        return tuple(SyscallCount(*row) for row in rows)

    async def stop(self) -> None:
        self._is_stopping = True
        worker, self._worker = self._worker, None
        if worker is not None:
            # Nothing to lose: the kernel detaches what it held. Not worker.kill(): if it has just
            # ended, that takes its exit status away from asyncio.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._worker_pidfd, signal.SIGKILL)
            os.close(self._worker_pidfd)
            await worker.wait()
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        if worker is not None:
            self._transport.close()

    async def _command(self, name: str, *arguments: Any) -> Any:
        if self._failure is not None:
            raise TracerUnavailable(self._failure, cause="worker_died")
        if self._worker is None or self._worker.stdin is None:
            raise TracerUnavailable("the tracer has stopped", cause="worker_died")
        self._next_id += 1
        command_id = self._next_id
        command = {"id": command_id, "name": name, "arguments": arguments}
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[command_id] = reply
        self._worker.stdin.write(json.dumps(command).encode() + b"\n")
        try:
            return await asyncio.wait_for(reply, COMMAND_TIMEOUT_S)
        except TimeoutError:
            raise TracerUnavailable(
                f"the process that loads the probes does not answer to {name}", cause="no_answer"
            ) from None
        finally:
            self._replies.pop(command_id, None)

    async def _read_frames(self, frames: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                length, kind = FRAME_HEAD.unpack(await frames.readexactly(FRAME_HEAD.size))
                payload = await frames.readexactly(length)
                if kind == FRAME_MESSAGE:
                    self._on_message(json.loads(payload))
                else:
                    self._on_records(payload)
        await self._on_end()

    def _on_message(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._ready.set_result(None)
        elif "failed" in message:
            self._ready.set_exception(
                TracerUnavailable(message["failed"], fix=message["fix"], cause=message["cause"])
            )
        elif "n_lost" in message:
            self._deliver((EventsLost(time.monotonic_ns(), message["n_lost"]),))
        elif reply := self._replies.get(message["id"]):
            if reply.done():
                return
            if "error" in message:
                reply.set_exception(
                    TracerUnavailable(f"the tracer refused: {message['error']}", cause="refused")
                )
            else:
                reply.set_result(message["result"])

    def _on_records(self, payload: bytes) -> None:
        events: list[Event] = []
        position = 0
        while position < len(payload):
            (length,) = RECORD_HEAD.unpack_from(payload, position)
            position += RECORD_HEAD.size
            event = decode(payload[position : position + length])
            position += length
            if event is None:
                self.n_undecodable += 1
            elif isinstance(event, Execed):
                events.append(_complete(event))
            else:
                events.append(event)
        # One CPU's records are in order, those of two are nearly so.
        events.sort(key=lambda event: event.ktime_ns)
        self._deliver(events)

    async def _read_output(self) -> None:
        assert self._worker is not None and self._worker.stdout is not None
        while True:
            try:
                line = await self._worker.stdout.readline()
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
        if self._is_stopping or self._worker is None:
            return
        exit_status = await self._worker.wait()
        ended = f"signal {-exit_status}" if exit_status < 0 else f"exit status {exit_status}"
        self._failure = (
            f"the process that loads the probes ended ({ended}){await self._last_words()}"
        )
        error = TracerUnavailable(self._failure, cause="worker_died")
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(error)
        if not self._ready.done():
            self._ready.set_exception(error)
        elif not (self._is_stopping or self._ready.exception()):
            self._on_failure(self._failure)


def _complete(event: Execed) -> Execed:
    """Add what only /proc knows, if the process still runs that program."""
    pid = event.key.pid
    cwd, exe = procfs.read_cwd(pid), procfs.read_exe(pid)
    if cwd is None and exe is None:
        return event  # gone, as most are in a storm: no more reading then
    stat = procfs.read_stat(pid)
    if stat is None or stat.key != event.key:
        return event
    raw = procfs.read_bytes(f"/proc/{pid}/cmdline", procfs.MAX_CMDLINE_BYTES) or b""
    argv = procfs.split_argv(raw)
    n_whole = len(event.argv) - event.argv_truncated
    if argv[:n_whole] != event.argv[:n_whole]:
        return replace(event, cwd=cwd)  # it runs another program by now, or renamed itself
    event = replace(event, cwd=cwd, exe=exe or event.exe)
    if not event.argv_truncated:
        return event
    return replace(event, argv=argv, argv_truncated=len(raw) == procfs.MAX_CMDLINE_BYTES)
