"""A session that watches without an agent, and one that comes later."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from linnix_ls.config import Settings
from linnix_ls.errors import TracerUnavailable
from linnix_ls.feed.base import FeedState, FeedStatus
from linnix_ls.lsp.session import FeedSession
from tests.lsp.memory_feed import WATCHING, MemoryFeed

pytestmark = pytest.mark.asyncio

DEGRADED = FeedStatus(FeedState.WATCHING, tracer="psutil", degraded="no agent is running")


class Quiet:
    """A listener whom nothing of it matters."""

    def __getattr__(self, name):
        return lambda *args, **named: None


@contextlib.asynccontextmanager
async def a_session(socket, open_feed):
    session = FeedSession(open_feed, Quiet(), look_delays_s=(0,))
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
