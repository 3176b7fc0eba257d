"""What is written to a terminal: stderr, shared with CMD, in whole blocks or not at all, and tables
on stdout; with colours only where they are wanted.

Writing happens on a thread of its own, because a reader that does not read must not keep us
from passing signals on to CMD. Not here: what is written.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import sys
import termios
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_ERASE_LINE = "\r\x1b[K"


class Screen:
    """See the module. `close` waits until all is written.

    Args:
        fd: where to; stderr.
    """

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._is_terminal = os.isatty(fd)
        self._has_colour = wants_colour(is_terminal=self._is_terminal)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="screen")
        self._held_back = ""
        self._has_progress = False

    def show(self, text: Text) -> None:
        """Write one block. Held back while a full-screen program has the terminal."""
        self._held_back += render(text, has_colour=self._has_colour)
        if not (self._is_terminal and _is_full_screen(self._fd)):
            self._write(self._held_back)
            self._held_back = ""

    def progress(self, message: str) -> None:
        """On a terminal, replace the line that says what we wait for; "" removes it."""
        if self._is_terminal and (message or self._has_progress):
            self._has_progress = bool(message)
            self._write(_ERASE_LINE + message)

    def close(self) -> None:
        self._write(self._held_back)
        self._writer.shutdown()

    def _write(self, text: str) -> None:
        if text:
            encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
            self._writer.submit(write_all, self._fd, text.encode(encoding, "backslashreplace"))


def wants_colour(*, is_terminal: bool) -> bool:
    """NO_COLOR first, then FORCE_COLOR, then whether there is a terminal that knows colours."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal and os.environ.get("TERM", "") not in ("", "dumb")


def render(text: Text, *, has_colour: bool) -> str:
    """As characters for a terminal, or as plain text. Long lines stay long."""
    from rich.console import Console

    file = io.StringIO()
    console = Console(
        file=file,
        force_terminal=has_colour,
        color_system="standard" if has_colour else None,
        no_color=not has_colour,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(text, end="", soft_wrap=True)
    return file.getvalue()


def print_out(what: RenderableType) -> None:
    """On stdout: as wide as the terminal, elsewhere as wide as a table's longest lines."""
    from rich.console import Console

    is_terminal = os.isatty(1)
    has_colour = wants_colour(is_terminal=is_terminal)
    console = Console(
        file=io.StringIO(),
        width=shutil.get_terminal_size().columns if is_terminal else 200,
        force_terminal=has_colour,
        color_system="standard" if has_colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(what, soft_wrap=isinstance(what, str))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    write_all(1, ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))


def plain_table(title: str, columns: Iterable[str]) -> Table:
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        is_size = column in ("size", "download", "memory")
        table.add_column(
            column,
            justify="right" if is_size else "left",
            overflow="fold",
            no_wrap=is_size or column == "name",
        )
    return table


def write_all(fd: int, content: bytes) -> None:
    """Write in one go where the system lets us. What nobody can read any more is dropped."""
    with contextlib.suppress(OSError):  # hung up, or the reader has gone
        while content:
            try:
                content = content[os.write(fd, content) :]
            except BlockingIOError:  # CMD made the shared stderr non-blocking
                select.select([], [fd], [])


def _is_full_screen(fd: int) -> bool:
    """Whether a program draws on the terminal: it has switched off the translation of line ends."""
    try:
        output_flags: int = termios.tcgetattr(fd)[1]
    except termios.error:
        return False
    wanted = termios.OPOST | termios.ONLCR
    return output_flags & wanted != wanted
