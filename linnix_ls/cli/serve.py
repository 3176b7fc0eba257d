"""`linnix-ls` without a subcommand: the language server, on stdio or on a TCP port.

Only this module knows both the server and the ways to open a feed, to try fixes and to help with
probes. What the server does is in `lsp.server`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from linnix_ls.cli.heap import give_back_memory
from linnix_ls.lsp.stdio import claim_stdio, exit_within

if TYPE_CHECKING:
    from linnix_ls.config import ExplainSettings, Settings
    from linnix_ls.explain.base import Notes
    from linnix_ls.feed.base import Feed
    from linnix_ls.fixes.base import Fixer
    from linnix_ls.playground.base import Author, DocumentChecker, LessonDesk, Workbench


def serve(args: argparse.Namespace) -> int:
    """Serve until the client leaves. `args.tcp` is ``HOST:PORT``, or None for stdio.

    Raises:
        UsageError: the TCP address is wrong or taken.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="linnix-ls: %(levelname)s: %(message)s"
    )
    # A tag (linnix/watchTag) says that something is the user's; what we start is not.
    os.environ.pop("LINNIX_SESSION", None)
    # It logs whole messages at INFO, command lines and all, and at WARNING each notification
    # and cancellation that it has no use for.
    logging.getLogger("pygls").setLevel(logging.ERROR)
    give_back_memory()
    return _serve_stdio() if args.tcp is None else _serve_tcp(args.tcp)


async def open_feed(settings: Settings, *, on_progress: Callable[[str], None]) -> Feed:
    """`app.open_feed`, imported only now and beside the loop: it brings psutil and more."""
    app = await asyncio.to_thread(importlib.import_module, "linnix_ls.app")
    feed: Feed = await app.open_feed(settings, on_progress=on_progress)
    return feed


async def open_notes(settings: ExplainSettings, *arguments: Any, **hooks: Any) -> Notes | None:
    """`app.open_notes`, imported as late."""
    app = await asyncio.to_thread(importlib.import_module, "linnix_ls.app")
    return cast("Notes | None", await app.open_notes(settings, *arguments, **hooks))


async def load_fixer() -> Fixer:
    """`fixes.fixer`, imported only when fixes are wanted: it brings parsers."""
    fixer: Any = await asyncio.to_thread(importlib.import_module, "linnix_ls.fixes.fixer")
    return cast("Fixer", fixer)


async def load_author(told: bytes | None) -> Author:
    """`playground.authoring`, imported only when probe source is edited; it reads for 0.2 s."""
    authoring: Any = await asyncio.to_thread(
        importlib.import_module, "linnix_ls.playground.authoring"
    )
    return cast("Author", await asyncio.to_thread(authoring.load, told))


async def load_checker(text_at: Callable[[str], str | None]) -> DocumentChecker:
    """`app.load_checker`, imported when probe source is opened."""
    app = await asyncio.to_thread(importlib.import_module, "linnix_ls.app")
    return cast("DocumentChecker", await app.load_checker(text_at))


async def load_desk() -> LessonDesk:
    """`app.load_desk`, imported when a lesson is opened."""
    app = await asyncio.to_thread(importlib.import_module, "linnix_ls.app")
    return cast("LessonDesk", app.load_desk())


async def load_workbench(text_at: Callable[[str], str | None]) -> Workbench:
    """`playground.workbench`, imported when there is a probe: it brings parsers."""
    workbench: Any = await asyncio.to_thread(
        importlib.import_module, "linnix_ls.playground.workbench"
    )
    return cast("Workbench", workbench.LocalWorkbench(text_at))


def _serve_stdio() -> int:
    if os.isatty(0):
        print(
            "linnix-ls speaks the Language Server Protocol on stdin and stdout: an editor starts "
            "it.\nTo watch a command from here: linnix-ls run -- COMMAND",
            file=sys.stderr,
        )
    # Before anything is imported that might print.
    source, sink = claim_stdio()
    return asyncio.run(_serve_streams(source, sink))


async def _serve_streams(source: BinaryIO, sink: BinaryIO) -> int:
    from linnix_ls.lsp.connection import Connection
    from linnix_ls.lsp.server import serve_connection

    def end_on_signals(connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, connection.end, signal.Signals(number).name)

    exit_code = await serve_connection(
        open_feed,
        source,
        sink,
        on_started=end_on_signals,
        open_notes=open_notes,
        load_fixer=load_fixer,
        load_author=load_author,
        load_checker=load_checker,
        load_desk=load_desk,
        load_workbench=load_workbench,
    )
    # asyncio.run still waits for worker threads; the client does not wait for us.
    exit_within(0.3, exit_code)
    return exit_code


def _serve_tcp(address: str) -> int:
    from linnix_ls.lsp.tcp import parse_address, serve_tcp

    def say_where(host: str, port: int) -> None:
        print(f"linnix-ls: listening on {host}:{port}", file=sys.stderr, flush=True)

    return asyncio.run(
        serve_tcp(
            open_feed,
            *parse_address(address),
            on_listening=say_where,
            open_notes=open_notes,
            load_fixer=load_fixer,
            load_author=load_author,
            load_checker=load_checker,
            load_desk=load_desk,
            load_workbench=load_workbench,
        )
    )
