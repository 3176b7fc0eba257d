"""Files as this client sees them: under which URI, with which text, and where a line went.

A process runs the file on disk, under its real path; the client may have the same file open
through a symbolic link, and edited. Not here: LSP ranges (`to_proto`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote_from_bytes

from linnix_ls.lsp import from_proto
from linnix_ls.sources import read_source

MAX_FILE_BYTES = 4 << 20

# LSP counts these as line ends and no others; str.splitlines would also split at form feeds.
_LINE_END = re.compile(r"\r\n|\n|\r")


def uri_of_path(path: str) -> str:
    """As ``Path.as_uri`` does it, also for names that are no UTF-8."""
    return "file://" + quote_from_bytes(os.fsencode(path))


def split_lines(text: str) -> list[str]:
    return _LINE_END.split(text)


def line_end(text: str) -> str:
    """The first one of a text."""
    match = _LINE_END.search(text)
    return match[0] if match else "\n"


def read_text(path: str) -> str | None:
    """The text of a regular, not too big text file; None for everything else. Never blocks."""
    content = read_source(path)
    if content is None or len(content) > MAX_FILE_BYTES:
        return None
    return content.decode("utf-8-sig", errors="replace")


def line_after_edit(line: int, first: int, last: int, last_column: int, inserted: str) -> int:
    """Where `line` is after the text from line `first` to `last`, column `last_column`, was
    replaced by `inserted`. All numbers count from 0.
    """
    n_inserted = len(split_lines(inserted)) - 1
    if last < line or (last == line and last_column == 0):
        return line + n_inserted - (last - first)
    return min(line, first + n_inserted) if first < line else line


class Documents:
    """What is open in the client, and where its workspace folders really are.

    Args:
        text_of_open: the text of an open document by URI, None when it is not open.
    """

    def __init__(self, text_of_open: Callable[[str], str | None]) -> None:
        self._text_of_open = text_of_open
        self._open_uris: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def set_folders(self, paths: Iterable[str]) -> None:
        self._folders = {os.path.realpath(path): path.rstrip("/") or "/" for path in paths}

    def opened(self, uri: str) -> None:
        if path := from_proto.path(uri):
            self._open_uris[os.path.realpath(path)] = uri

    def closed(self, uri: str) -> None:
        if path := from_proto.path(uri):
            self._open_uris.pop(os.path.realpath(path), None)

    def uri(self, path: str) -> str:
        """How the client itself would name the file at `path`."""
        real_path = os.path.realpath(path)
        if uri := self._open_uris.get(real_path):
            return uri
        for real_folder, folder in self._folders.items():
            if real_folder != folder and real_path.startswith(real_folder + "/"):
                return uri_of_path(folder + real_path[len(real_folder) :])
        return uri_of_path(path)

    def lines(self, path: str) -> list[str] | None:
        """The lines as the client has them: from the editor if open there, else from disk."""
        text = self.text(path)
        return None if text is None else split_lines(text)

    def text(self, path: str) -> str | None:
        """The same as it is, with line ends."""
        uri = self._open_uris.get(os.path.realpath(path))
        text = self._text_of_open(uri) if uri else None
        return read_text(path) if text is None else text

    @property
    def open_paths(self) -> list[str]:
        return list(self._open_uris)

    @property
    def folders(self) -> list[str]:
        return list(self._folders)
