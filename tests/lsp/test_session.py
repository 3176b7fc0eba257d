"""A session that watches without an agent, and one that comes later."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from linnix_ls.config import Settings
from linnix_ls.core.events import Source
from linnix_ls.errors import TracerUnavailable
from linnix_ls.feed.base import FeedState, FeedStatus
from linnix_ls.lsp.session import MAX_UNLOOKED_WATCHES, FeedSession
from tests.lsp.memory_feed import WATCHING, MemoryFeed

pytestmark = pytest.mark.asyncio

DEGRADED = FeedStatus(FeedState.WATCHING, tracer="psutil", degraded="no agent is running")


class Quiet:
    """A listener whom nothing of it matters."""

    def __getattr__(self, name):
        return lambda *args, **named: None


@contextlib.asynccontextmanager
async def a_session(socket, open_feed, **options):
    session = FeedSession(open_feed, Quiet(), look_delays_s=(0,), **options)
    session.start(Settings(agent_socket=str(socket)))
    try:
        yield session
    finally:
        await session.close()


async def test_an_agent_that_comes_is_taken(tmp_path):
    socket = Path(tmp_path, "agent.sock")
    opened = []
    is_opened_anew = asyncio.Event()

    async def open_feed(settings, *, on_progress):
        opened.append(settings.tracer)
        if opened == ["auto", "bcc", "auto"]:
            is_opened_anew.set()
        return MemoryFeed(now=WATCHING if socket.exists() else DEGRADED)

    async with a_session(socket, open_feed) as session:
        await session.feed()
        assert session.status.tracer == "psutil"
        socket.touch()
        await is_opened_anew.wait()
        await session.feed()
        assert session.status.tracer == "bcc"


async def test_a_socket_that_a_dead_agent_left_behind_changes_nothing(tmp_path):
    socket = Path(tmp_path, "agent.sock")
    socket.touch()
    tried = asyncio.Semaphore(0)
    feeds = []

    async def open_feed(settings, *, on_progress):
        if settings.tracer == "bcc":
            tried.release()
            raise TracerUnavailable("nobody listens", cause="no_agent")
        feeds.append(MemoryFeed(now=DEGRADED))
        return feeds[-1]

    async with a_session(socket, open_feed) as session:
        feed = await session.feed()
        for _ in range(3):
            await tried.acquire()
        assert await session.feed() is feed
        assert (len(feeds), feed.is_closed) == (1, False)


async def test_what_breaks_while_looking_for_an_agent_is_told_and_watching_goes_on(tmp_path):
    socket = Path(tmp_path, "agent.sock")
    socket.touch()
    is_opened_anew = asyncio.Event()
    opened = []

    async def open_feed(settings, *, on_progress):
        if settings.tracer == "bcc":
            raise RuntimeError("a bug of foreign code")
        opened.append(MemoryFeed(now=DEGRADED if not opened else WATCHING))
        if len(opened) > 1:
            is_opened_anew.set()
        return opened[-1]

    async with asyncio.timeout(20):
        async with a_session(socket, open_feed, retry_delays_s=(0,)) as session:
            await is_opened_anew.wait()
            await session.feed()
    assert opened[0].is_closed


async def test_processes_that_have_ended_are_not_remembered(tmp_path):
    feed = MemoryFeed()

    async def open_feed(settings, *, on_progress):
        return feed

    async with a_session(tmp_path / "none", open_feed) as session:
        for _ in range(3 * MAX_UNLOOKED_WATCHES):
            process = await asyncio.create_subprocess_exec("true")
            await session.watch(process.pid, "task", is_root_judged=True, source=Source.TASK)
            await process.wait()
        # What MemoryFeed calls a process's start is never the real one.
        assert len(session._watches) <= MAX_UNLOOKED_WATCHES
