"""From the paths that debug information holds to files that are here.

A compiler writes down what it was called with: paths from a folder that only the build knew
(cargo's workspace, ``-ffile-prefix-map=…=.``), or of a machine that built it (``/build/…``). The
file is searched from the folder and the program of the process upwards, and taken only if there is
one such file and it mentions the function.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from linnix_ls.locate.source import is_installed, read_lines
from linnix_ls.sources import is_file, real_path

MAX_PARENTS = 6
MAX_PARTS = 12
# What distributions install has sources that the user has not; if they have such a file, it is
# another one.
_SYSTEM = re.compile(r"^/(usr|s?bin|lib\w*)/(?!local/src/|src/)")
_BUILT_ELSEWHERE = "/build/"


def is_user_program(path: str | None) -> bool:
    """Whether a program or library may have been built from sources that are here."""
    return path is not None and not _SYSTEM.match(path) and not _is_installed(path)


def _is_installed(path: str) -> bool:
    return is_installed(path) and not path.startswith(_BUILT_ELSEWHERE)


class SourceFinder:
    """For one mapped file of a process.

    Args:
        program: the mapped file.
    """

    def __init__(self, program: str, cwd: str | None) -> None:
        self._folders: list[str] = []
        if is_user_program(program):
            self._folders = list(_with_parents((cwd, os.path.dirname(program))))
        self._found: dict[tuple[str, str], str | None] = {}

    def find(self, path: str, function: str) -> str | None:
        """The file, absolute; where it is not found, the path if that is absolute."""
        if os.path.isabs(path) and is_file(path):
            return path
        key = (path, function)
        if key not in self._found:
            self._found[key] = self._search(path, function)
        return self._found[key] or (path if os.path.isabs(path) else None)

    def _search(self, path: str, function: str) -> str | None:
        word = _own_name(function)
        if not word or "\0" in path or _is_installed(path):
            return None
        for tail in _tails(path):
            candidates = {
                real_path(candidate)
                for folder in self._folders
                if is_file(candidate := os.path.normpath(os.path.join(folder, tail)))
            }
            if candidates:
                [*rest, first] = candidates
                is_it = not rest and any(word in line for line in read_lines(first))
                return first if is_it else None
        return None


def _tails(path: str) -> Iterator[str]:
    """What a path may be from another folder on: a relative one all of it; of an absolute one at
    least a file in a folder, the longest first."""
    if not os.path.isabs(path):
        yield path
        return
    parts = path.strip("/").split("/")[-MAX_PARTS:]
    for first in range(1, len(parts) - 1):
        yield "/".join(parts[first:])


def _with_parents(folders: Sequence[str | None]) -> Iterator[str]:
    for folder in folders:
        above = folder
        for _ in range(MAX_PARENTS):
            if not above or above == "/":
                break
            yield above
            above = os.path.dirname(above)


def _own_name(function: str) -> str | None:
    """Of ``ns::Class<T>::method::{{closure}}``: method."""
    names = re.findall(r"[^\W\d]\w*", re.sub(r"\{[^{}]*\}|<[^<>]*>", "", function))
    return names[-1] if names else None
