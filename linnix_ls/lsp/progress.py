"""Work-done progress that a user can cancel, where the client shows any.

Not here: what takes the time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

_numbers = itertools.count(1)


@asynccontextmanager
async def cancellable_progress(
    server: LanguageServer, title: str
) -> AsyncIterator[Callable[[str], None]]:
    """Show progress while the body runs; yields what takes the message to show.

    When the user cancels, the task of the body is cancelled, as by ``$/cancelRequest``.
    """
    progress = server.work_done_progress
    token = f"linnix-{next(_numbers)}"
    try:
        if not get_capability(server.client_capabilities, "window.work_done_progress"):
            raise JsonRpcException
        await progress.create_async(token)
    except JsonRpcException:
        yield lambda _: None
        return
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()

    def cancel(future: Any) -> None:
        if future.cancelled():
            loop.call_soon_threadsafe(task.cancel)

    progress.tokens[token].add_done_callback(cancel)
    progress.begin(token, types.WorkDoneProgressBegin(title=title, cancellable=True))
    try:
        yield lambda message: progress.report(
            token, types.WorkDoneProgressReport(message=message, cancellable=True)
        )
    finally:
        progress.end(token, types.WorkDoneProgressEnd(message=None))
        progress.tokens.pop(token, None)
