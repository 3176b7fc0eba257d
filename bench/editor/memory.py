"""The memory of the language server's process over a million events.

The server is the real one and reads from a real agent's socket; what the agent hears is the
recorded corpus, over and over, each time as new processes at a later time, faster than it happened.
So there are runs and findings as in months of work: each finding is raised, ends with its process,
and goes when the same work begins anew. Meanwhile an editor asks for everything that it shows.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from bench.editor.client import PlainEditor, plain_editor
from linnix_ls import procfs
from linnix_ls.core.events import (
    Event,
    Examined,
    Execed,
    Exited,
    Forked,
    ProcessSeen,
    Ticked,
    Watched,
)
from linnix_ls.core.examination import Examination, ExaminationRequest, SyscallCount
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.feed.local import Hub
from linnix_ls.feed.server import FeedServer
from linnix_ls.locate.base import Reading
from linnix_ls.tracer.base import Deliver
from linnix_ls.tracer.trace_file import read_trace

CORPUS = Path(__file__).parents[2] / "tests" / "traces" / "corpus"
ASK_EVERY_S = 1.0
SETTLE_S = 2.0


class StreamTracer:
    """See `tracer.base.Tracer`: delivers what it is given. The only process that is there is the
    editor's."""

    name = "bcc"
    degraded: str | None = None
    deliver: Deliver

    async def start(self, deliver: Deliver, on_failure: object) -> None:
        self.deliver = deliver

    async def watch(
        self, key: ProcessKey, *, ignored: Collection[ProcessKey] = ()
    ) -> tuple[ProcessSeen, ...]:
        seen = procfs.see(key.pid, time.monotonic_ns())
        return (seen,) if seen else ()

    async def unwatch(self, pids: Collection[int]) -> None: ...

    async def watch_users(self, uids: Collection[int]) -> None: ...

    async def count_syscalls(self, pid: int, window_s: float) -> tuple[SyscallCount, ...] | None:
        return None

    async def stop(self) -> None: ...


class Recorded:
    """An examiner that answers with what was seen of that process then, look by look."""

    def __init__(self) -> None:
        self.looks: dict[ProcessKey, list[Examination]] = {}

    async def examine(
        self, request: ExaminationRequest, ancestors: Sequence[ProcessKey]
    ) -> Examination:
        looks = self.looks.get(request.key)
        if not looks:
            return Examination(request.id, request.key, request.depth, True, 0.0, None)
        return dataclasses.replace(looks.pop(0), request_id=request.id)

    async def look(self, key: ProcessKey) -> Reading:
        return Reading("none")


async def measure(n_events: int, n_points: int = 4) -> dict[str, Any]:
    """Bytes at the start and after each part of the events; as plain JSON."""
    recordings = [read_trace(path).events for path in sorted(CORPUS.glob("*.trace"))]
    tracer, examiner = StreamTracer(), Recorded()
    hub = Hub(tracer, lambda _feed: examiner)
    with tempfile.TemporaryDirectory(prefix="linnix-editor-") as scratch:
        path = Path(scratch, "agent.sock")
        server = FeedServer(hub, path, on_idle=lambda: None)
        server.bind()
        await hub.start()
        await server.start()
        async with plain_editor() as editor:
            await editor.start(Path(scratch).resolve(), {"agent_socket": str(path)})
            asking = asyncio.create_task(_ask_for_all(editor))
            points = [await _point(editor, 0)]
            n_told = 0
            for events in _stream(recordings, examiner):
                tracer.deliver(events)
                n_told += len(events)
                # Twice: for the looks, and for the client and the server to be heard.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                if n_told >= len(points) * n_events / n_points:
                    points.append(await _point(editor, n_told))
                if len(points) > n_points:
                    break
            asking.cancel()
            await editor.stop()
        await server.stop()
        await hub.stop()
    return {"points": points, "n_findings": len(editor.findings)}


async def _point(editor: PlainEditor, n_events: int) -> dict[str, int]:
    await asyncio.sleep(SETTLE_S)
    rss_bytes = psutil.Process(editor.server.pid).memory_info().rss
    print(f"{n_events} events: {rss_bytes / 1e6:.1f} MB", flush=True)
    return {"events": n_events, "rss_bytes": rss_bytes}


def _stream(recordings: Sequence[Sequence[Event]], examiner: Recorded) -> Iterator[list[Event]]:
    """Endless, in portions that end with a tick."""
    editor = procfs.read_stat(os.getpid())
    assert editor is not None
    now_ns = time.monotonic_ns()
    for n_round in range(1, 1 << 30):
        for number, events in enumerate(recordings):
            shift = _Shift(now_ns - events[0].ktime_ns, n_round * 1_000 + number)
            examiner.looks.clear()
            told: list[Event] = []
            for event in _as_below(editor.key, [shift.of(event) for event in events], examiner):
                told.append(event)
                now_ns = max(now_ns, event.ktime_ns)
                if isinstance(event, Ticked):
                    yield told
                    told = []
            yield told
            now_ns += 10 * NS_PER_S


def _as_below(editor: ProcessKey, events: Sequence[Event], examiner: Recorded) -> Iterator[Event]:
    """A recorded run as one that an editor has started; at its end nothing of it is left."""
    alive: dict[ProcessKey, None] = {}
    at_ns = 0
    for event in events:
        at_ns = event.ktime_ns
        match event:
            case Watched():
                continue
            case Examined(examination=examination):
                examiner.looks.setdefault(examination.key, []).append(examination)
                continue
            case ProcessSeen():
                yield Forked(at_ns, event.key, editor, event.uid, event.comm)
                yield Execed(
                    at_ns, event.key, editor, event.uid, event.comm, event.argv,
                    exe=event.exe, cwd=event.cwd,
                )  # fmt: skip
                alive[event.key] = None
                continue
            case Forked():
                alive[event.key] = None
            case Exited():
                alive.pop(event.key, None)
            case _:
                pass
        yield event
    for key in alive:
        yield Exited(at_ns, key, exit_code=0, term_signal=None)


class _Shift:
    """The same at another time, of other processes, of this user."""

    def __init__(self, by_ns: int, number: int) -> None:
        self._by_ns = by_ns
        self._by_ticks = number * 1_000_000
        self._uid = os.geteuid()

    def of(self, value: Any) -> Any:
        if isinstance(value, ProcessKey):
            return value._replace(start_ticks=value.start_ticks + self._by_ticks)
        if isinstance(value, tuple):
            return tuple(map(self.of, value)) if not hasattr(value, "_fields") else value
        if not dataclasses.is_dataclass(value) or isinstance(value, type):
            return value
        changed: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            if field.name == "ktime_ns":
                changed[field.name] = inner + self._by_ns
            elif field.name == "uid":
                changed[field.name] = self._uid
            elif field.name not in ("user_ips", "kernel_ips", "argv"):
                changed[field.name] = self.of(inner)
        return dataclasses.replace(value, **changed)


async def _ask_for_all(editor: PlainEditor) -> None:
    """What an editor asks while its panel is open."""
    while True:
        await asyncio.sleep(ASK_EVERY_S)
        await editor.request("linnix/processTree")
        await editor.request("linnix/findings")
        for run in (await editor.request("linnix/runs"))["runs"][:1]:
            key = {"pid": run["pid"], "start_ticks": run["start_ticks"]}
            await editor.request("linnix/run", {"run": key})
        for finding in list(editor.findings.values())[-3:]:
            if place := finding["location"]:
                await editor.hover(place["uri"], place["line"])
                await editor.code_actions(place["uri"], place["line"])
