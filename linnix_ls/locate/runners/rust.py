"""``cargo test``. libtest gives each test a thread that is called after it, and so are the
threads that this one starts without a name; the kernel keeps 15 bytes of it. The native stack
holds the function."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from linnix_ls.core.examination import StackFrame
from linnix_ls.locate.runners.base import FoundTest, Process, Scope, place
from linnix_ls.locate.source import is_user_file, read_lines
from linnix_ls.locate.syntax import syntax_of
from linnix_ls.sources import walk

MAX_FOLDERS = 500
MAX_FILES = 500
MAX_LINES_OF_ATTRIBUTES = 24
_MAX_COMM_BYTES = 15
_BINARY = re.compile(r"/deps/(?P<name>\w[\w-]*)-[0-9a-f]{16}$")
_ATTRIBUTE = re.compile(r"^\s*#\[\s*(?:\w+::)*\w*test\w*\b")
_ENDS_SOMETHING = re.compile(r"[{};]\s*$")
_FUNCTION = re.compile(r"\bfn\s+(\w+)")
_HASH = re.compile(r"::h[0-9a-f]{16}$")
_NO_SOURCES = frozenset({"target", "node_modules"})


class CargoRunner:
    """See `locate.runners.base.Runner`."""

    variables = frozenset({"CARGO_MANIFEST_DIR"})

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        binary = _BINARY.search(process.facts.exe or next(iter(process.argv), ""))
        if binary is None:
            return None
        return _on_stack(process) or _in_arguments(process) or _of_threads(process, binary["name"])


def _on_stack(process: Process) -> FoundTest | None:
    for frame in process.user_frames():
        source = syntax_of(frame.path or "")
        lines = read_lines(frame.path or "")
        for first, _ in source.functions_around(frame.line or 0) if source else ():
            if name := _test_at(lines, first):
                return FoundTest(_id(frame, name), Scope.TEST, place(frame.path, first, name))
    return None


def _in_arguments(process: Process) -> FoundTest | None:
    """When it was told to run just one, as cargo-nextest does."""
    if "--exact" not in process.argv:
        return None
    names = [argument for argument in process.argv[1:] if re.fullmatch(r"\w+(::\w+)*", argument)]
    if len(names) != 1:
        return None
    tests = _tests_called(names[0].rpartition("::")[2], process, is_whole=True)
    return FoundTest(names[0], Scope.TEST, place(*tests[0]) if len(tests) == 1 else None)


def _of_threads(process: Process, binary: str) -> FoundTest | None:
    """By the name of the busiest thread that is called like one test of the sources."""
    for thread in process.thread_names:
        modules, _, name = thread.rpartition("::")
        is_whole = len(thread.encode()) < _MAX_COMM_BYTES
        if not re.fullmatch(r"\w+", name) or binary.startswith(thread.partition("-")[0]):
            continue
        tests = _tests_called(name, process, is_whole=is_whole, binary=binary)
        if len(tests) == 1:
            path, line, function = tests[0]
            test = f"{modules}::{function}" if modules else function
            return FoundTest(test, Scope.TEST, place(path, line, function))
    return None


def _id(frame: StackFrame, name: str) -> str:
    """As ``cargo test`` lists it: the path within its crate."""
    path = _HASH.sub("", frame.function).split("::")
    return "::".join(path[1 : path.index(name) + 1]) if name in path[1:] else name


def _test_at(lines: list[str], first: int) -> str | None:
    """The name of the function that begins on line `first`, if an attribute makes it a test."""
    if not 0 < first <= len(lines):
        return None
    for text in reversed(lines[max(0, first - 1 - MAX_LINES_OF_ATTRIBUTES) : first - 1]):
        if _ENDS_SOMETHING.search(text):
            return None
        if _ATTRIBUTE.match(text):
            match = _FUNCTION.search(lines[first - 1])
            return match[1] if match else None
    return None


def _tests_called(
    name: str, process: Process, *, is_whole: bool, binary: str | None = None
) -> list[tuple[str, int, str]]:
    """File, line and name of the tests whose name is `name`, or begins with it."""
    rest = "" if is_whole else r"\w*"
    function = re.compile(rf"\bfn\s+{re.escape(name)}{rest}\s*[(<]")
    found = []
    for path in _sources(process, binary):
        lines = read_lines(path)
        for number, text in enumerate(lines, start=1):
            if function.search(text[:1024]) and (whole := _test_at(lines, number)):
                found.append((path, number, whole))
    return found


def _sources(process: Process, binary: str | None) -> Iterator[str]:
    """Of the crate; of a file in ``tests/``, which is a crate of its own, only that."""
    folder = process.variables.get("CARGO_MANIFEST_DIR") or process.cwd
    if not folder or folder == "/" or not os.path.isabs(folder):
        return
    for own in (f"tests/{binary}.rs", f"tests/{binary}/main.rs") if binary else ():
        if is_user_file(os.path.join(folder, own)):
            yield os.path.join(folder, own)
            return
    n_found = 0
    for inside, folders, names in walk(folder, MAX_FOLDERS):
        folders[:] = sorted(n for n in folders if n[:1] != "." and n not in _NO_SOURCES)
        for name in sorted(names):
            if name.endswith(".rs") and n_found < MAX_FILES:
                n_found += 1
                yield os.path.join(inside, name)
