"""Work-done progress that a user can cancel, where the client shows any.

Not here: what takes the time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from linnix_ls.lsp.ext import clean

_numbers = itertools.count(1)


@asynccontextmanager
async def cancellable_progress(
    server: LanguageServer, title: str, on_cancel: Callable[[], object] | None = None
) -> AsyncIterator[Callable[[str], None]]:
    """Show progress while the body runs; yields what takes the message to show.

    Args:
        on_cancel: called when the user cancels; by default the body's task is cancelled, as by
            ``$/cancelRequest``.
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
    if on_cancel is None:
        task = asyncio.current_task()
        assert task is not None
        on_cancel = task.cancel
    cancel = on_cancel
    progress.tokens[token].add_done_callback(
        lambda future: cancel() if future.cancelled() else None
    )
    progress.begin(token, types.WorkDoneProgressBegin(title=title, cancellable=True))
    try:
        yield lambda message: progress.report(
            token, types.WorkDoneProgressReport(message=clean(message), cancellable=True)
        )
    finally:
        progress.end(token, types.WorkDoneProgressEnd(message=None))
        progress.tokens.pop(token, None)
