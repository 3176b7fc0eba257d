"""``go test``: the functions on the native stack, or what it was told to run; else the package,
for ``go test`` leaves the names of functions out of the programs that it runs at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from linnix_ls.core.examination import PlaceHint, StackFrame
from linnix_ls.locate.runners.base import FoundTest, Process, Scope, blocks_around, place
from linnix_ls.locate.source import line_of, read_lines
from linnix_ls.sources import names_in

MAX_FILES = 500
_FUNCTION = re.compile(r"(?:^|/)\w[^/]*?\.((?:Test|Benchmark|Fuzz|Example)\w*)(?:\.[\w.]+)?$")
_SUBTEST = re.compile(r"\.Run\(\s*(?:\"([^\"]*)\"|`([^`]*)`)")
_RUN_ONE = re.compile(r"-test\.run=\^?\(?((?:Test|Fuzz|Example)\w*)\)?\$(?:/\^?([^/$^]+)\$?)?")


class GoRunner:
    """See `locate.runners.base.Runner`. `package.TestName/subtest`."""

    variables: frozenset[str] = frozenset()

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        # Its binary is called after the package, and is given its options with their full names.
        if not process.program.endswith(".test") or not any(
            argument.startswith("-test.") for argument in process.argv[1:]
        ):
            return None
        package = process.program.removesuffix(".test")
        return (
            self._on_stack(process, package)
            or self._told(process, package)
            or FoundTest(package, Scope.FILE)
        )

    def _on_stack(self, process: Process, package: str) -> FoundTest | None:
        """The test's function, and of its closures the innermost that is a subtest."""
        for stack in process.stacks:
            found: FoundTest | None = None
            for frame in reversed(stack.frames):
                match = _FUNCTION.search(frame.function)
                if match is None:
                    continue
                subtests, line = _subtests(frame)
                names = "/".join([match[1], *subtests])
                if found is None or subtests:
                    at = place(frame.path, line, match[1]) if line else _place(match[1], process)
                    found = FoundTest(f"{package}.{names}", Scope.TEST, at)
            if found is not None:
                return found
        return None

    def _told(self, process: Process, package: str) -> FoundTest | None:
        for argument in process.argv[1:]:
            if match := _RUN_ONE.fullmatch(argument):
                names = "/".join(filter(None, match.groups()))
                return FoundTest(f"{package}.{names}", Scope.TEST, _place(match[1], process))
        return None


def _subtests(frame: StackFrame) -> tuple[list[str], int | None]:
    """Names as go writes them, and the line of the innermost."""
    if not frame.is_user_code or not frame.path or not frame.line:
        return [], None
    blocks = blocks_around(read_lines(frame.path), frame.line, _SUBTEST)
    names = [(match[1] or match[2] or "").replace(" ", "_") for _, match in blocks]
    return names, blocks[-1][0] if blocks else None


def _place(function: str, process: Process) -> PlaceHint | None:
    """In the package's folder, where go runs its tests."""
    for path in _test_files(process.cwd):
        line = line_of(path, rf"^func {re.escape(function)}\(")
        if line is not None:
            return place(path, line, function)
    return None


def _test_files(folder: str | None) -> Iterator[str]:
    for name in sorted(names_in(folder or "/nowhere", MAX_FILES)):
        if name.endswith("_test.go"):
            yield os.path.join(folder or "", name)
