"""The composition root: the only module that names concrete tracers, feeds and examiners.

It imports each when it is needed: to start an agent takes little of all this, and to get it ready
goes on while the agent loads its probes.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnix_ls import agent_start, capabilities, children
from linnix_ls.errors import AgentError, AlreadyServing, LinnixError, TracerUnavailable
from linnix_ls.invocation import enable_tracing
from linnix_ls.places import cache_dir, default_socket_path, socket_paths
from linnix_ls.privilege import has_bpf_permission
from linnix_ls.revision import revision

if TYPE_CHECKING:
    from linnix_ls.agent_start import StartedAgent
    from linnix_ls.config import ExplainSettings, Settings
    from linnix_ls.core.examination import Examination, ExaminationRequest
    from linnix_ls.core.ids import ProcessKey
    from linnix_ls.core.policy import Policy
    from linnix_ls.explain.base import NoAnswer, Notes, Writer
    from linnix_ls.feed.base import Feed, FeedChange
    from linnix_ls.feed.local import LocalFeed
    from linnix_ls.feed.protocol import Peer
    from linnix_ls.locate.base import Examiner, Reading
    from linnix_ls.playground.base import DocumentChecker, LessonDesk, ServedPlayground
    from linnix_ls.tracer.base import ExchangeableTracer, Tracer
    from linnix_ls.tracer.trace_file import Trace

AGENT_START_TIMEOUT_S = 60.0
# An agent that is on its way out keeps its place for a moment.
LEAVING_TIMEOUT_S = 5.0
# Without clients an agent that a client started goes away; until the first one connects it
# waits this long.
FIRST_CLIENT_TIMEOUT_S = 15.0

AGENT_NICE = -10

Progress = Callable[[str], None]


def _say_nothing(_text: str) -> None:
    pass


async def open_feed(
    settings: Settings,
    *,
    on_progress: Progress = _say_nothing,
    started: StartedAgent | None = None,
) -> Feed:
    """The best feed there is: a running agent's, one of an agent that we start because we have
    the privilege, or a degraded one of our own without eBPF.

    Returns when the probes are attached. `on_progress` is told in words what takes the time.

    Args:
        started: an agent that was started for this already.

    Raises:
        TracerUnavailable: only when the settings ask for eBPF and it cannot be had.
        AgentError: the agent does not know what the settings ask for, or went at once.
    """
    feed = await _best_feed(settings, on_progress, started)
    if not settings.attach_to_jvm:
        await feed.allow_jvm_attach(False)
    from linnix_ls.core.policy import Policy

    if settings.thresholds != Policy():
        await feed.use_thresholds(settings.thresholds)
    return feed


async def _best_feed(
    settings: Settings, on_progress: Progress, started: StartedAgent | None
) -> Feed:
    if settings.tracer == "psutil":
        return await _own_feed(None, None)
    problem: AgentError | TracerUnavailable | None = None
    for path in () if started else socket_paths(settings.agent_socket):
        if os.path.exists(path):  # Path.exists() raises where we may not look
            from linnix_ls.feed.remote import RemoteFeed

            try:
                return await RemoteFeed.connect(path)
            except AgentError as error:
                problem = error
    if has_bpf_permission():
        on_progress("loading eBPF probes")
        try:
            return await _start_agent(settings, started)
        except (AgentError, TracerUnavailable) as error:
            problem = error
    else:
        no_agent = problem.message if problem else "no agent is running"
        fix = problem.fix if problem else None
        problem = TracerUnavailable(
            f"{no_agent}, and loading eBPF programs needs CAP_BPF and CAP_PERFMON",
            fix=fix or enable_tracing(),
            cause="no_permission",
        )
    if settings.tracer == "bcc":
        if isinstance(problem, TracerUnavailable):
            raise problem
        raise TracerUnavailable(problem.message, fix=problem.fix, cause="no_agent")
    return await _own_feed(problem.message, problem.fix)


async def _own_feed(degraded: str | None, fix: str | None) -> Feed:
    from linnix_ls.feed.local import Hub
    from linnix_ls.tracer.psutil_tracer import PsutilTracer

    tracer = PsutilTracer()
    reason = f"{tracer.degraded} ({degraded})" if degraded else tracer.degraded
    hub = Hub(tracer, _examiner_maker(tracer), degraded=reason, fix=fix, stops_with_last_feed=True)
    await hub.start()
    return hub.open(os.geteuid())


def note_writer(settings: ExplainSettings) -> Writer | None:
    """Who writes notes, by the settings; None where rules alone explain. Nothing is loaded or
    sent before the first question.

    Raises:
        NoAnswer: the model that was asked for is not there.
        LinnixError: the store of models cannot be read.
    """
    from linnix_ls.explain.writer import make_writer
    from linnix_ls.models import store

    model = None
    if settings.source in ("auto", "llama"):
        model = store.find(settings.model) if settings.model else store.in_use()
    path, name = (model.path, model.name) if model else (None, None)
    return make_writer(settings, path, model_name=name)


async def open_notes(
    settings: ExplainSettings,
    text_of: Callable[[str], str | None],
    *,
    on_note: Callable[[str], None],
    on_problem: Callable[[NoAnswer], None],
) -> Notes | None:
    """Notes by the model that the settings ask for; None where rules alone explain.

    Raises:
        NoAnswer: the model that was asked for is not there.
    """
    from linnix_ls.explain.base import NoAnswer

    try:
        writer = await asyncio.to_thread(note_writer, settings)  # it looks at the disk
    except LinnixError as error:
        if isinstance(error, NoAnswer):
            raise
        raise NoAnswer(error.message, cause="no_model", fix=error.fix) from error
    if writer is None:
        return None
    from linnix_ls.explain.notes import ModelNotes

    return ModelNotes(writer, text_of, on_note=on_note, on_problem=on_problem, when=settings.when)


async def load_checker(text_at: Callable[[str], str | None]) -> DocumentChecker:
    """What checks probe source, imported only when there is some: it brings parsers."""
    documents: Any = await asyncio.to_thread(
        importlib.import_module, "linnix_ls.playground.documents"
    )
    service: Any = importlib.import_module("linnix_ls.playground.service")
    local = service.LocalPlayground(cache_dir(), is_privileged=has_bpf_permission())
    checker: DocumentChecker = documents.Documents(text_at, local)
    return checker


def load_desk() -> LessonDesk:
    """The user's lessons, in their own folder."""
    desk: Any = importlib.import_module("linnix_ls.playground.lesson_desk")
    folder: Any = importlib.import_module("linnix_ls.playground.lesson_folder")
    made: LessonDesk = desk.Desk(folder.default_folder(), cache_dir())
    return made


class _LateExaminer:
    """An examiner that is imported when there is a first suspect, which most runs never have."""

    def __init__(self, make: Callable[[], Examiner]) -> None:
        self._make = make
        self._made: asyncio.Task[Examiner] | None = None

    async def _get(self) -> Examiner:
        if self._made is None or _has_failed(self._made):
            self._made = asyncio.create_task(self._import())
        return await asyncio.shield(self._made)

    async def _import(self) -> Examiner:
        try:
            await asyncio.to_thread(importlib.import_module, "linnix_ls.locate.examiner")
        except ImportError as error:
            raise OSError(f"what looks at processes cannot be loaded: {error}") from error
        return self._make()

    async def look(self, key: ProcessKey) -> Reading:
        return await (await self._get()).look(key)

    async def examine(
        self, request: ExaminationRequest, ancestors: Sequence[ProcessKey]
    ) -> Examination:
        return await (await self._get()).examine(request, ancestors)


def _has_failed(task: asyncio.Task[Any]) -> bool:
    """So that the next who needs it tries again: there may have been no file descriptors."""
    return task.done() and (task.cancelled() or task.exception() is not None)


def _examiner_maker(tracer: Tracer) -> Callable[[LocalFeed], Examiner]:
    from linnix_ls.locate.turns import Turns

    turns = Turns()

    def make(feed: LocalFeed) -> Examiner:
        from linnix_ls.locate.examiner import Examiner

        return Examiner(
            tracer.count_syscalls, feed.recent_user_stacks, turns, lambda: feed.may_attach_to_jvm
        )

    return lambda feed: _LateExaminer(lambda: make(feed))


class _LatePlayground:
    """What an agent offers for probes of the user's, imported when somebody asks for it first.

    Args:
        tracer: whose probes can be edited.
    """

    def __init__(self, tracer: ExchangeableTracer) -> None:
        self._tracer = tracer
        self._own: Any = None
        self._making: asyncio.Task[Any] | None = None

    async def open(self, peer: Peer, groups: frozenset[int]) -> ServedPlayground:
        """For one client."""
        if self._making is None or _has_failed(self._making):
            self._making = asyncio.create_task(self._make())
        service = await asyncio.shield(self._making)
        permission: Any = importlib.import_module("linnix_ls.playground.permission")
        opened: ServedPlayground = service.open(permission.Client(*peer, groups))
        return opened

    async def _make(self) -> Any:
        for name in ("loader", "own_probes", "service"):
            await asyncio.to_thread(importlib.import_module, f"linnix_ls.playground.{name}")
        from linnix_ls.playground.loader import ProbeHost
        from linnix_ls.playground.own_probes import OwnProbesHost
        from linnix_ls.playground.service import Service

        self._own = OwnProbesHost(self._tracer, cache_dir())
        return Service(cache_dir(), ProbeHost(cache_dir()).open, self._own.open)

    async def close(self) -> None:
        if self._own is not None:
            await self._own.close()


async def _start_agent(settings: Settings, started: StartedAgent | None) -> Feed:
    """Start an agent that goes away with its last client, and connect.

    It is shared: who comes while it runs uses it. Where its usual place cannot be used, it gets
    a private one.
    """
    path = Path(settings.agent_socket) if settings.agent_socket else default_socket_path()
    try:
        return await _start_agent_at(path, started)
    except AgentError:
        if settings.agent_socket:
            raise
    folder = tempfile.mkdtemp(prefix="linnix-ls-")
    try:
        return await _start_agent_at(Path(folder, "agent.sock"), removes_folder=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # as far as the agent has not done so
        raise


async def _start_agent_at(
    path: Path, started: StartedAgent | None = None, *, removes_folder: bool = False
) -> Feed:
    give_up_s = time.monotonic() + LEAVING_TIMEOUT_S
    while True:
        agent = started or agent_start.start(path, removes_folder=removes_folder)
        started = None
        # While the agent does its part:
        from linnix_ls.feed import protocol
        from linnix_ls.feed.remote import RemoteFeed

        protocol.SNAPSHOT.prepare()
        outcome = await agent.outcome(AGENT_START_TIMEOUT_S)
        if not (outcome.get("is_ready") or outcome.get("cause") == "already_serving"):
            break
        try:
            return await RemoteFeed.connect(path, hello_timeout_s=AGENT_START_TIMEOUT_S)
        except AgentError as error:
            # Whoever had the place was about to leave it; unless it is one not to be used.
            if error.fix or time.monotonic() > give_up_s:
                raise
    if "cause" in outcome:
        raise TracerUnavailable(outcome["message"], fix=outcome["fix"], cause=outcome["cause"])
    raise AgentError(outcome["message"], fix=outcome.get("fix"))


def _take_precedence() -> None:
    """Who watches a machine that others overload must get a CPU all the same; it needs little."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(AGENT_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if os.getsid(0) == os.getpid():  # else others have the same group, and it is not ours to favour
        with contextlib.suppress(OSError):
            # Between sessions the kernel shares CPUs by this one only: see sched(7), autogroup.
            Path("/proc/self/autogroup").write_text(str(AGENT_NICE))


async def run_agent(
    path: Path | None,
    *,
    exit_when_idle_s: float | None,
    ready_fd: int | None,
    removes_folder: bool = False,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Be the agent, until a signal, or until there has been no client for `exit_when_idle_s`.

    A listening socket that a service manager has passed is served where it is, whatever `path`.
    The folder of a socket that was made for this agent alone is removed at its end
    (`removes_folder`).

    Raises:
        TracerUnavailable: no eBPF here, or no more; an agent without it has no purpose.
        AgentError: the socket cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    children.notice_their_ends_by_pidfd()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _take_precedence()
    revision()  # of the code that runs here, whatever is installed in its place later on
    # As many clients and examinations as it allows at once fit into less than it is usually given,
    # but where there are no descriptors left it could not even tell who has ended.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    from linnix_ls.tracer.bcc import BccTracer

    tracer = BccTracer(cache_dir())
    tracer.begin()
    # Another process does that; meanwhile there is the rest of this one to be imported. The thread
    # ends with that: capabilities are given up for each thread, below.
    with ThreadPoolExecutor(1) as importing:
        name = "linnix_ls.feed.server"
        await loop.run_in_executor(importing, importlib.import_module, name)
    from linnix_ls.feed.activation import passed_socket
    from linnix_ls.feed.base import FeedState
    from linnix_ls.feed.local import Hub
    from linnix_ls.feed.server import FeedServer
    from linnix_ls.tracer import tracefs

    hub = Hub(tracer, _examiner_maker(tracer), on_failure=stop.set)
    idle: asyncio.TimerHandle | None = None

    def leave_if_idle_for(delay_s: float) -> None:
        nonlocal idle
        if idle is not None:
            idle.cancel()
        idle = loop.call_later(delay_s, lambda: None if server.has_clients else stop.set())

    def on_idle() -> None:
        if exit_when_idle_s is not None:
            leave_if_idle_for(exit_when_idle_s)

    playground = _LatePlayground(tracer)
    server = FeedServer(
        hub,
        path or default_socket_path(),
        on_idle,
        passed_socket(),
        playground.open,
        removes_folder=removes_folder,
    )
    try:
        server.bind()
        tracefs.ensure_mounted()  # later it could not
        # Whoever has started it. To measure the probes of users takes more, for a moment.
        capabilities.be_an_agent(aside=capabilities.SYS_ADMIN)
        await hub.start()
        await server.start()
        if not _report_ready(ready_fd, {"is_ready": True}):
            return  # who wanted us has gone meanwhile
        on_ready()
        if exit_when_idle_s is not None:
            leave_if_idle_for(max(exit_when_idle_s, FIRST_CLIENT_TIMEOUT_S))
        await stop.wait()
    except (AgentError, TracerUnavailable) as error:
        server.refuse(error)
        cause = getattr(error, "cause", None)
        if isinstance(error, AlreadyServing):
            cause = "already_serving"
        known = {"message": error.message, "fix": error.fix}
        _report_ready(ready_fd, known | ({"cause": cause} if cause else {}))
        raise
    finally:
        await server.stop()
        await playground.close()
        await hub.stop()
    if hub.status.state is FeedState.OFF:
        raise TracerUnavailable(hub.status.degraded or "", cause="worker_died")


def _report_ready(ready_fd: int | None, outcome: dict[str, object]) -> bool:
    """Tell who started us. False when it has gone."""
    if ready_fd is None:
        return True
    try:
        os.write(ready_fd, json.dumps(outcome).encode() + b"\n")
    except BrokenPipeError:
        return False
    finally:
        os.close(ready_fd)
    return True


async def replay_feed(
    path: Path,
    on_change: Callable[[FeedChange], None] | None = None,
    policy: Policy | None = None,
) -> tuple[Feed, Trace]:
    """Play a recording: the feed's snapshot then holds its findings, as live did.

    Args:
        on_change: called for each change, in order, as a subscriber would have been.
        policy: thresholds. Suspects that live did not look at were not recorded closely.

    Raises:
        TraceFileError: it cannot be read.
    """
    from linnix_ls.feed.local import Hub
    from linnix_ls.tracer.replay import ReplayTracer
    from linnix_ls.tracer.trace_file import read_trace

    trace = read_trace(path)
    hub = Hub(ReplayTracer(trace), lambda _feed: _RecordedExaminer(), stops_with_last_feed=True)
    feed = hub.open(0, policy)
    if on_change is not None:
        feed.subscribe(on_change)
    await hub.start()
    return feed, trace


class _RecordedExaminer:
    """The answers are in the recording; what it does not answer, nobody can any more."""

    async def look(self, key: ProcessKey) -> Reading:
        from linnix_ls.locate.base import Reading

        del key
        return Reading("none", notes=("this is a recording",))

    async def examine(
        self, request: ExaminationRequest, ancestors: Sequence[ProcessKey]
    ) -> Examination:
        from linnix_ls.core.examination import Examination

        del ancestors
        return Examination(request.id, request.key, request.depth, True, 0.0, None)
