"""Tests without a runner: scripts and programs that by their names are tests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from linnix_ls.core.tree import script_argument
from linnix_ls.locate.runners.base import FoundTest, Process, Scope, place, shown
from linnix_ls.locate.source import is_user_file, resolve

_FOLDER = re.compile(r"(^|/)(tests?|t|spec|__tests__)/")
_NAME = re.compile(r"(^|/)(tests?|run[-_]tests?|test[-_][^/]*|[^/]*[-_.](test|spec))(\.\w+)?$")


class ProgramRunner:
    """See `locate.runners.base.Runner`. Its path, from its working folder or that of a process
    above it; what lies elsewhere is a tool."""

    variables: frozenset[str] = frozenset()

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        folders = [process.cwd, *(ancestor.cwd for ancestor in above)]
        script = resolve(script_argument(process.argv) or "", process.cwd)
        if is_user_file(script):
            name = _name(script, folders)
            is_test = name and (_FOLDER.search(name) or _NAME.search(name))
        else:
            script = None
            exe = process.facts.exe
            name = _name(exe, folders) if process.argv and is_user_file(exe) else None
            is_test = name and _NAME.search(name)
        if not name or not is_test:
            return None
        for frame in process.user_frames():
            source = _name(frame.path, folders)
            if frame.path == script or (
                script is None and source and (_FOLDER.search(source) or _NAME.search(source))
            ):
                at = place(frame.path, frame.line, frame.function)
                return FoundTest(name, Scope.PROGRAM, at)
        return FoundTest(name, Scope.PROGRAM, place(script, 1))


def _name(path: str | None, folders: Iterable[str | None]) -> str | None:
    names = (shown(path, folder) for folder in folders) if path else ()
    return next((name for name in names if name != path), None)
