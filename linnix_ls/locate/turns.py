"""One at a time: who looks closely at a process, when several want to.

Two editors share an agent, and two suspects an ancestor. Two readers would stop a process twice as
often, a debugger's place is free for one only, and the kernel counts system calls for one window
at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from linnix_ls.core.ids import ProcessKey

MAX_WAIT_S = 5.0  # a close look takes one


class Turns:
    """Shared by all who look from this process."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[ProcessKey, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def at(self, key: ProcessKey) -> AsyncIterator[None]:
        """Have the process for oneself.

        Raises:
            TimeoutError: others have had it all the time.
        """
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with asyncio.timeout(MAX_WAIT_S):
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()
