"""jest, vitest, mocha and ``node --test``. None of them says which test runs: the source around
the lines on the stack does, else the file that a process was started for."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from linnix_ls.core.tree import script_argument
from linnix_ls.locate.runners.base import MAX_ID_CHARS, FoundTest, Process, Scope, place, shown
from linnix_ls.locate.source import is_user_file, read_lines, resolve
from linnix_ls.locate.syntax import syntax_of

MAX_CALL_CHARS = 4096
MAX_LINES_OF_IMPORTS = 200
_CALL = re.compile(
    r"(?:\w+\.)*(?P<kind>test|it|specify|describe|suite|context)(?:\.\w+)*\s*"
    r"(?:\(\s*\[.*?\]\s*\)\s*)?"  # .each([…])
    r"\(\s*(?P<quote>['\"`])(?P<title>.*?)(?P=quote)\s*,.*?(?:=>|\bfunction\b)",
    re.DOTALL,
)
_IS_TEST = frozenset({"test", "it", "specify"})
_IMPORTS_NODE_TEST = re.compile(r"['\"]node:test['\"]")


class _Framework(NamedTuple):
    """`marks`: in the paths of its files, and in arguments. `joint`: between titles."""

    name: str
    marks: re.Pattern[str]
    joint: str


_FRAMEWORKS = (
    _Framework("jest", re.compile(r"(^|/)jest(-\w+)?(\.[cm]?js)?(/|$)"), " › "),
    _Framework("vitest", re.compile(r"(^|/)@?vitest(\.[cm]?js)?(/|$)"), " > "),
    _Framework("mocha", re.compile(r"(^|/)_?mocha(\.[cm]?js)?(/|$)"), " > "),
)
_NODE = _Framework("node", re.compile("$^"), " > ")


class JavaScriptRunner:
    """See `locate.runners.base.Runner`."""

    variables = frozenset({"JEST_WORKER_ID", "VITEST", "NODE_TEST_CONTEXT"})

    def find(self, process: Process, above: Sequence[Process]) -> FoundTest | None:
        framework = _framework(process)
        if framework is None:
            return None
        if found := _around_stack(process, framework):
            return found
        path = (
            _file_of_node(process, above)
            if framework is _NODE
            else _file_on_stack(process) or _only_file(process)
        )
        return FoundTest(shown(path, process.cwd), Scope.FILE, place(path, 1)) if path else None


def _framework(process: Process) -> _Framework | None:
    if os.path.basename(process.facts.exe or process.program) not in ("node", "nodejs"):
        return None
    paths = [frame.path or "" for stack in process.stacks for frame in stack.frames]
    for framework in _FRAMEWORKS:
        if any(
            framework.marks.search(path)
            for path in (*process.argv[:8], *paths)
            if "/node_modules/" in path or path in process.argv[:8]
        ):
            return framework
    if "JEST_WORKER_ID" in process.variables:
        return _FRAMEWORKS[0]
    if "VITEST" in process.variables:
        return _FRAMEWORKS[1]
    if "NODE_TEST_CONTEXT" in process.variables or "--test" in process.argv[1:]:
        return _NODE
    script = _script(process)
    if script and any(map(_IMPORTS_NODE_TEST.search, read_lines(script)[:MAX_LINES_OF_IMPORTS])):
        return _NODE
    return None


def _around_stack(process: Process, framework: _Framework) -> FoundTest | None:
    """The innermost test around one of the lines, with the suites around it."""
    for frame in process.user_frames():
        path, line = frame.path or "", frame.line or 0
        source = syntax_of(path)
        if source is None:
            continue
        titles: list[str] = []
        line_of_test: int | None = None
        outer = ""
        for text, (first, last) in source.calls(line, line):
            match = _CALL.match(text[:MAX_CALL_CHARS])
            if match is None or not first <= line <= last or (outer and text not in outer):
                continue
            outer = text
            titles.append(match["title"])
            if match["kind"] in _IS_TEST:
                line_of_test = first
        if line_of_test is not None:
            test = framework.joint.join([shown(path, process.cwd), *titles])
            return FoundTest(test[:MAX_ID_CHARS], Scope.TEST, place(path, line_of_test))
    return None


def _file_of_node(process: Process, above: Sequence[Process]) -> str | None:
    """``node --test`` runs each file in a process of its own."""
    is_child = "NODE_TEST_CONTEXT" in process.variables
    # What a test starts inherits the variable, too.
    if is_child and above and "--test" not in above[0].argv:
        return None
    return _script(process)


def _file_on_stack(process: Process) -> str | None:
    """The outermost file of the user's: vitest runs what it makes of a file, so that a frame has
    no line. What runs the tests has its own frames further out."""
    for stack in process.stacks:
        for frame in reversed(stack.frames):
            if is_user_file(frame.path):
                return frame.path
    return None


def _only_file(process: Process) -> str | None:
    """When it was told to run just one."""
    files = [
        path
        for argument in process.argv[2:]
        if argument[:1] != "-" and (path := resolve(argument, process.cwd)) and is_user_file(path)
        if path.endswith(("js", "ts", "jsx", "tsx"))
    ]
    return files[0] if len(files) == 1 else None


def _script(process: Process) -> str | None:
    if "--test" in process.argv[1:]:
        return None  # the files' parent
    path = resolve(script_argument(process.argv) or "", process.cwd)
    return path if is_user_file(path) else None
