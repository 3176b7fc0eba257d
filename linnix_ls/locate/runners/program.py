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
            return FoundTest(name, Scope.PROGRAM, place(script, 1)) if name and is_test else None
        exe = process.facts.exe
        name = _name(exe, folders) if process.argv and is_user_file(exe) else None
        return FoundTest(name, Scope.PROGRAM) if name and _NAME.search(name) else None


def _name(path: str | None, folders: Iterable[str | None]) -> str | None:
    names = (shown(path, folder) for folder in folders) if path else ()
    return next((name for name in names if name != path), None)
