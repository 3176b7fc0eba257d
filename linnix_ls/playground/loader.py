"""Probes of the playground that run: our side of the processes that hold them (`probe_worker`).

`ProbeHost` is one for the agent; `ProbeLoader` is one for each client, and what it loads is gone
with it. A probe outlives its source: `replace` starts the next
generation beside the one that runs, and only when it is attached lets it through (`gate`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from linnix_ls.core.text import visible
from linnix_ls.errors import PlaygroundError
from linnix_ls.invocation import python
from linnix_ls.playground import permission
from linnix_ls.playground.base import (
    MapReading,
    ProbeEvent,
    ProbeHandle,
    ProbeReading,
    Problem,
    ProgramReading,
    Severity,
)
from linnix_ls.playground.checker import Request, try_out, worker_environment
from linnix_ls.playground.diagnosis import diagnose
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.permission import Client
from linnix_ls.playground.sandbox import User, landlock_version
from linnix_ls.playground.service import make_request
from linnix_ls.tracer import bpf_syscall
from linnix_ls.tracer.event_opener import EventOpener

MAX_PROBES = 4  # of one client
MAX_PROBES_IN_ALL = 32
MAX_EVENTS = 1000  # kept of a probe
MIN_TTL_S, MAX_TTL_S = 1.0, 4 * 3600.0
TRIAL_S = 10.0
MIN_EVENTS_BEFORE = 5  # fewer say nothing about those that do not come
START_TIMEOUT_S = 60.0
ORDER_TIMEOUT_S = 15.0
MAX_LINE_BYTES = 64 << 20

WriteDown = Callable[..., None]  # as `permission.write_down`


class ProbeRefused(PlaygroundError):
    """A probe is not loaded.

    Attributes:
        kind: ``permission``, ``policy``, ``compile``, ``load``, ``attach``, ``limit``.
        problems: where in the source, as a check tells it.
    """

    def __init__(
        self, message: str, *, kind: str, fix: str | None, problems: tuple[Problem, ...] = ()
    ) -> None:
        super().__init__(message, fix=fix)
        self.kind = kind
        self.problems = problems


_FIXES = {
    "policy": "a probe of the playground only looks: record it, and act in user space",
    "attach": "attach it to what this kernel has, such as TRACEPOINT_PROBE(sched, sched_switch)",
    "limit": "make it smaller",
    "compile": "correct what the compiler says",
    "load": "correct what the verifier says",
}


@dataclass
class ProbeHost:
    """What all clients' loaders share. `write_down`: takes a record of each load and unload."""

    cache: Path
    write_down: WriteDown = permission.write_down
    n_probes: int = 0

    def open(self, client: Client) -> ProbeLoader:
        """For one connection."""
        return ProbeLoader(self, client)


class ProbeLoader:
    """One client's probes. See `base.Playground`; checks and permission are `service`'s."""

    def __init__(self, host: ProbeHost, client: Client) -> None:
        self._host = host
        self._client = client
        self._probes: dict[str, _Probe] = {}
        self._n_starting = 0
        self._ids = itertools.count(1)
        self._is_closed = False

    async def load(
        self, dialect: Dialect, name: str, source: str, *, ttl_s: float = 600.0
    ) -> ProbeHandle:
        """See the protocol."""
        n_probes = len(self._probes) + self._n_starting
        if n_probes >= MAX_PROBES or self._host.n_probes >= MAX_PROBES_IN_ALL:
            raise ProbeRefused(
                f"{MAX_PROBES} probes of a client run at a time, {MAX_PROBES_IN_ALL} of all",
                kind="limit",
                fix="unload one of them",
            )
        ttl_s = min(max(ttl_s, MIN_TTL_S), MAX_TTL_S)
        probe = _Probe(
            id=f"p{next(self._ids)}",
            name=name,
            dialect=dialect,
            source=source,
            ends_s=time.monotonic() + ttl_s,
            ttl_s=ttl_s,
        )
        self._n_starting += 1
        self._host.n_probes += 1
        try:
            worker = await self._start(probe, source)
            await self._let_through(worker)
        except BaseException:
            self._host.n_probes -= 1
            probe.close()
            raise
        finally:
            self._n_starting -= 1
        self._probes[probe.id] = probe
        probe.run(worker, source)
        if self._is_closed:  # the client went meanwhile
            await self.unload(probe.id)
        return probe.handle()

    async def replace(self, probe_id: str, source: str, *, trial_s: float = TRIAL_S) -> ProbeHandle:
        """See the protocol."""
        probe = self._find(probe_id)
        async with probe.lock:
            self._find(probe_id)  # it may have been unloaded meanwhile
            if probe.problem is not None:
                raise PlaygroundError(
                    f"it runs no more: {probe.problem}", fix="load it again in place of it"
                )
            probe.end_trial()
            before = _Before(
                probe.source,
                probe.n_events_within(trial_s),
                frozenset(probe.worker.targets),
            )
            await self._exchange(probe, source)
            if trial_s > 0:
                probe.trial = asyncio.create_task(self._try(probe, before, trial_s))
        return probe.handle()

    async def read(
        self, probe_id: str, since_event: int = 0, *, is_whole: bool = False
    ) -> ProbeReading:
        """See the protocol."""
        probe = self._find(probe_id)
        if probe.problem is None:
            with contextlib.suppress(PlaygroundError):  # it has ended meanwhile, and said why
                probe.last = await probe.worker.order("read_whole" if is_whole else "read")
        return probe.reading(since_event)

    async def unload(self, probe_id: str) -> None:
        """See the protocol."""
        probe = self._find(probe_id)
        del self._probes[probe_id]
        probe.end_trial()
        async with probe.lock:
            await probe.worker.kill()
            probe.close()
        self._host.n_probes -= 1
        self._audit("probe_unload", probe, probe.source, "unloaded", probe.worker)

    async def close(self) -> None:
        """The client has gone, and all it has loaded goes."""
        self._is_closed = True
        for probe_id in tuple(self._probes):
            await self.unload(probe_id)

    def _find(self, probe_id: str) -> _Probe:
        try:
            return self._probes[probe_id]
        except KeyError:
            raise PlaygroundError(
                f"there is no probe {visible(probe_id, 40)}", fix="load it first"
            ) from None

    async def _start(self, probe: _Probe, source: str) -> _Worker:
        """A worker for the probe's next generation: attached, and silent.

        Raises:
            ProbeRefused: why not. What ran goes on.
        """
        asked = await make_request(self._host.cache, probe.dialect, source)
        number = probe.last_generation + 1
        worker = _Worker(number, probe.take, probe.on_end)
        request = asdict(asked) | {
            "user": user_of(self._client),
            "generation": number,
            "predecessor": probe.generation,
            "n_cpus": bpf_syscall.n_possible_cpus(),
            "gate_fd": probe.gate_fd,
            "places": probe.places,
            "kept": [
                {"name": name, "definition": definition, "fd": fd}
                for name, (definition, fd) in probe.maps.items()
            ],
            "ttl_s": max(0.1, probe.ends_s - time.monotonic()),
        }
        try:
            ready = await worker.start(request, statistics_fd())
        except _NotStarted as error:
            refused = await _explained(asked, error, user_of(self._client))
            self._audit("probe_load", probe, source, f"refused: {error.kind}", worker)
            raise refused from None
        except BaseException:
            await worker.kill()
            raise
        probe.last_generation = number
        probe.pending = ready
        self._audit("probe_load", probe, source, "loaded", worker)
        return worker

    async def _let_through(self, worker: _Worker) -> None:
        try:
            await worker.order("let_through")
        except BaseException:
            await worker.kill()
            raise

    async def _exchange(self, probe: _Probe, source: str) -> None:
        """With the probe's lock held."""
        old = probe.worker
        try:
            worker = await self._start(probe, source)
            await self._let_through(worker)
        except BaseException:
            probe.forget_pending()
            with contextlib.suppress(PlaygroundError):  # it has ended by itself
                await old.order("let_through")  # if the new one had come so far
            if probe.problem is not None:
                probe.close()
            raise
        probe.run(worker, source)
        try:
            with contextlib.suppress(PlaygroundError):
                await old.order("stop")  # with the last of its events
        finally:
            await old.kill()

    async def _try(self, probe: _Probe, before: _Before, trial_s: float) -> None:
        """Watch the new generation, and go back if it fails."""
        worker = probe.worker
        began_s = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(worker.ended), trial_s)
        why = None
        if worker.ended.done():
            if probe.ended_why == "time":
                return
            why = probe.problem
        elif before.n_events >= MIN_EVENTS_BEFORE and not probe.n_events_of(worker.number):
            reading = await worker.order("read")
            has_run = any(program["run_count"] for program in reading["programs"])
            if has_run or frozenset(worker.targets) != before.targets:
                why = (
                    f"it sent nothing for {trial_s:.0f} s, and the one before had sent"
                    f" {before.n_events} events in that time"
                )
        if why is None:
            return
        async with probe.lock:
            if probe.worker is not worker or probe.id not in self._probes:
                return
            after_s = time.monotonic() - began_s
            try:
                await self._exchange(probe, before.source)
            except PlaygroundError as error:
                probe.note = f"generation {worker.number} failed ({why}), and going back did too"
                probe.problem = probe.problem or error.message
                return
            probe.note = (
                f"generation {worker.number} was taken back after {after_s:.0f} s: {why}."
                f" The source before it runs again, as generation {probe.generation}"
            )

    def _audit(self, event: str, probe: _Probe, source: str, outcome: str, worker: _Worker) -> None:
        self._host.write_down(
            *(self._client, probe.name, source, outcome),
            event=event,
            id=probe.id,
            generation=worker.number,
            programs=worker.tags,
        )


@dataclass
class _Before:
    """What the new generation is measured by."""

    source: str
    n_events: int
    targets: frozenset[str]


@dataclass
class _Probe:
    """What remains of a probe through its generations.

    Attributes:
        source, generation: those that run.
        last_generation: the highest number that has been used; also of those that were refused.
        maps: by name the definition, and a descriptor of ours.
        places: where it has been attached so far (`gate`).
        pending: what the worker that was started last has told of itself.
        last: the newest reading.
    """

    id: str
    name: str
    dialect: Dialect
    source: str
    ends_s: float
    ttl_s: float
    generation: int = 0
    last_generation: int = 0
    gate_fd: int | None = None
    maps: dict[str, tuple[Any, int]] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    pending: _Ready | None = None
    last: dict[str, Any] | None = None
    problem: str | None = None
    ended_why: str | None = None
    note: str | None = None
    trial: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.began_s = time.monotonic()
        self.lock = asyncio.Lock()
        self.worker: _Worker
        self._ready: _Ready
        self._new_maps: tuple[str, ...] = ()
        self._events: deque[ProbeEvent] = deque(maxlen=MAX_EVENTS)
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=MAX_EVENTS)
        self._sequence = self._read_up_to = self._n_lost = 0

    def run(self, worker: _Worker, source: str) -> None:
        """This worker's generation is the probe from now on."""
        assert self.pending is not None
        ready, self.pending = self.pending, None
        self.worker, self.generation, self._ready = worker, worker.number, ready
        self.source, self.places = source, ready.places
        self.problem = self.ended_why = self.note = None
        self.last = None
        before = {fd for _, fd in self.maps.values()}
        self._new_maps = tuple(name for name in ready.maps if name not in ready.kept)
        if self.gate_fd is not None:
            before.add(self.gate_fd)
        self.gate_fd, self.maps = ready.gate_fd, ready.maps
        for fd in before:
            os.close(fd)

    def handle(self) -> ProbeHandle:
        return ProbeHandle(
            self.id,
            self.name,
            tuple(self._ready.programs),
            self.ttl_s,
            self.generation,
            tuple(self._ready.kept),
            self._new_maps,
        )

    def take(self, generation: int, events: list[dict[str, Any]], n_lost: int) -> None:
        """What a worker has read."""
        self._n_lost += n_lost
        now_s = time.monotonic()
        for event in events:
            self._sequence += 1
            if len(self._events) == MAX_EVENTS and self._events[0].sequence > self._read_up_to:
                self._n_lost += 1
            self._arrivals.append((now_s, generation))
            self._events.append(
                ProbeEvent(
                    self._sequence,
                    event["ktime_ns"],
                    event["map"],
                    event["fields"],
                    generation,
                )
            )

    def n_events_within(self, period_s: float) -> int:
        since_s = time.monotonic() - period_s
        return sum(at_s >= since_s for at_s, _ in self._arrivals)

    def n_events_of(self, generation: int) -> int:
        return sum(each == generation for _, each in self._arrivals)

    def on_end(self, generation: int, why: str, message: str, reading: Any) -> None:
        """A worker has ended without an order."""
        if generation == self.generation:
            self.problem, self.ended_why = message, why
            self.last = reading or self.last
            is_tried = self.trial is not None and not self.trial.done()
            if not self.lock.locked() and (why == "time" or not is_tried):
                self.close()  # nothing will go on with its maps

    def reading(self, since_event: int) -> ProbeReading:
        last = self.last or {}
        self._read_up_to = max(self._read_up_to, self._sequence)
        return ProbeReading(
            tuple(ProgramReading(**each) for each in last.get("programs", ())),
            tuple(
                MapReading(
                    **each
                    | {
                        "entries": tuple(map(tuple, each["entries"])),
                        "per_cpu": tuple(each["per_cpu"]),
                    }
                )
                for each in last.get("maps", ())
            ),
            tuple(event for event in self._events if event.sequence > since_event),
            self._n_lost,
            last.get("cpu_share", 0.0) if self.problem is None else 0.0,
            time.monotonic() - self.began_s,
            self.ttl_s,
            self.problem,
            self.generation,
            self.note,
            self._sequence,
        )

    def end_trial(self) -> None:
        if self.trial is not None and self.trial is not asyncio.current_task():
            self.trial.cancel()
        self.trial = None

    def close(self) -> None:
        """Let go of the descriptors."""
        self.forget_pending()
        for _, fd in self.maps.values():
            os.close(fd)
        if self.gate_fd is not None:
            os.close(self.gate_fd)
        self.maps, self.gate_fd = {}, None

    def forget_pending(self) -> None:
        """A worker that was attached does not become the probe."""
        pending, self.pending = self.pending, None
        if pending is not None:
            for fd in (pending.gate_fd, *(fd for _, fd in pending.maps.values())):
                os.close(fd)


@dataclass
class _Ready:
    """What a worker tells when it is attached. `gate_fd`, `maps`: descriptors of ours."""

    programs: list[str]
    kept: list[str]
    places: list[str]
    gate_fd: int
    maps: dict[str, tuple[Any, int]]


class _NotStarted(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class _Worker:
    """One `probe_worker`."""

    def __init__(
        self,
        number: int,
        take: Callable[[int, list[dict[str, Any]], int], None],
        on_end: Callable[[int, str, str, Any], None],
    ) -> None:
        self.number = number
        self._take, self._on_end = take, on_end
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._is_unwanted = False
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._told_end: dict[str, Any] | None = None
        self._listening: asyncio.Task[None] | None = None
        self.tags: list[dict[str, Any]] = []
        self.targets: list[str] = []

    async def start(self, request: dict[str, Any], statistics_fd: int | None) -> _Ready:
        """Raises: _NotStarted."""
        ours, theirs = socket.socketpair()
        fds_ours, fds_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        shared = [request["gate_fd"], *(each["fd"] for each in request["kept"]), statistics_fd]
        opener = EventOpener()
        with contextlib.closing(opener), fds_ours:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *python("linnix_ls.playground.probe_worker"),
                    str(theirs.fileno()),
                    str(fds_theirs.fileno()),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[
                        theirs.fileno(),
                        fds_theirs.fileno(),
                        opener.fd,
                        *(fd for fd in shared if fd is not None),
                    ],
                    start_new_session=True,
                    cwd="/",
                    env=opener.environment(worker_environment()),
                )
            finally:
                theirs.close()
                fds_theirs.close()
                opener.child_started()
                if statistics_fd is not None:
                    os.close(statistics_fd)  # the worker holds it: statistics are on while it is
            reader, self._writer = await asyncio.open_unix_connection(
                sock=ours, limit=MAX_LINE_BYTES
            )
            self._listening = asyncio.create_task(self._listen(reader))
            self._write(request)
            try:
                told = await asyncio.wait_for(asyncio.shield(self._ready), START_TIMEOUT_S)
            except TimeoutError:
                await self.kill()
                raise _NotStarted("limit", "loading it took too long, and was ended") from None
            except _NotStarted:
                await self.kill()
                raise
            _, fds, _, _ = socket.recv_fds(fds_ours, 1, 253, socket.MSG_CMSG_CLOEXEC)
        self.tags, self.targets = told["tags"], told["targets"]
        definitions = {each["name"]: each["definition"] for each in told["maps"]}
        maps = {
            name: (definition, fd)
            for (name, definition), fd in zip(definitions.items(), fds[1:], strict=True)
        }
        return _Ready(told["ready"], told["kept"], told["places"], fds[0], maps)

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def order(self, name: str) -> Any:
        """Raises: PlaygroundError: it has ended, or does not answer."""
        if self.ended.done():
            raise PlaygroundError("the probe's process has ended", fix="load it again")
        order_id = next(self._ids)
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[order_id] = reply
        self._is_unwanted |= name == "stop"
        self._write({"id": order_id, "name": name})
        try:
            return await asyncio.wait_for(reply, ORDER_TIMEOUT_S)
        except TimeoutError:
            raise PlaygroundError(
                f"the probe's process does not answer to {name}", fix="unload it"
            ) from None
        finally:
            self._replies.pop(order_id, None)

    async def kill(self) -> None:
        """At once; the kernel detaches what it held."""
        self._is_unwanted = True
        if self._process is not None:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)  # with a compiler of its own
            await self._process.wait()
        if self._listening is not None:
            await self._listening

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            while line := await reader.readline():
                self._on_message(json.loads(line))
        except (ConnectionError, ValueError):  # it speaks no more, or more than anyone can read
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.stdin.close()
        self._writer.close()
        status = await self._process.wait()
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        error = PlaygroundError(f"the probe's process has ended ({how})", fix="load it again")
        if not self._ready.done():
            self._ready.set_exception(_NotStarted("compile", f"the compiler ended ({how})"))
        elif not self._is_unwanted:
            end = self._told_end or {"why": "died", "ended": error.message, "reading": None}
            self._on_end(self.number, end["why"], end["ended"], end["reading"])
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(error)
        self.ended.set_result(None)

    def _on_message(self, message: dict[str, Any]) -> None:
        if "events" in message:
            self._take(self.number, message["events"], message["n_lost"])
        elif "ready" in message:
            self._ready.set_result(message)
        elif "refused" in message:
            self._ready.set_exception(_NotStarted(message["kind"], message["refused"]))
        elif "ended" in message:
            self._told_end = message
        elif (reply := self._replies.get(message["id"])) and not reply.done():
            reply.set_result(message["result"])


def statistics_fd() -> int | None:
    """What keeps the kernel counting the run times of programs; None: it does so anyway.

    Raises:
        ProbeRefused: it does not, and then nothing could tell what a probe costs.
    """
    try:
        return bpf_syscall.enable_statistics()
    except OSError:
        with contextlib.suppress(OSError):
            if Path("/proc/sys/kernel/bpf_stats_enabled").read_text().strip() == "1":
                return None
        raise ProbeRefused(
            "the kernel does not measure what probes cost, so none is loaded",
            kind="permission",
            fix="sudo sysctl kernel.bpf_stats_enabled=1",
        ) from None


async def _explained(asked: Request, error: _NotStarted, user: User) -> ProbeRefused:
    """With the place in the source, by a check."""
    problems: tuple[Problem, ...] = ()
    if error.kind != "limit":
        checked = await asyncio.to_thread(diagnose, asked, await try_out(asked, user))
        problems = tuple(each for each in checked.problems if each.severity is Severity.ERROR)
    message = visible(error.message, 500)
    if problems:
        message = f"line {problems[0].span.line}: {problems[0].message}"
        if len(problems) > 1:
            message += f" (and {len(problems) - 1} more)"
    return ProbeRefused(message, kind=error.kind, fix=_FIXES.get(error.kind), problems=problems)


def user_of(client: Client) -> User:
    """Whom a worker becomes.

    Raises:
        ProbeRefused: nothing would keep a compiler from opening what that user may not.
    """
    if client.uid != os.geteuid() and not landlock_version():
        raise ProbeRefused(
            "this kernel cannot fence in a compiler (landlock), so the agent loads no probe of"
            " users",
            kind="permission",
            fix=None,
        )
    return User(client.uid, client.gid)
