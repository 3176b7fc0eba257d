"""Reading source files for places in them. They are the user's, or hostile: bounded, never run."""

from __future__ import annotations

import ast
import builtins
import functools
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from linnix_ls.sources import Identity, identity_of, is_file, parse_python, read_regular

MAX_SOURCE_BYTES = 2 << 20
MAX_CALLS = 6

# Installed code, of whatever language: not the user's to change.
_INSTALLED = re.compile(
    r"/(site-packages|dist-packages|node_modules|\.cargo/registry|\.rustup)/"
    r"|^/usr/(lib|lib64|include|share|src)/|^/lib(64)?/|^/rustc/|^/build/|^/snap/|^/nix/store/"
    r"|/lib(64)?/(python|pypy)\d[\d.]*/|/lib/pypy\d"
)


def is_installed(path: str) -> bool:
    """Whether a file of that path is part of something installed, here or where it was built."""
    return _INSTALLED.search(path) is not None


def is_user_file(path: str | None) -> bool:
    """Whether `path` is a source file that exists and is not part of something installed."""
    return path is not None and not is_installed(path) and is_file(path)


def resolve(path: str, cwd: str | None) -> str | None:
    """`path` as seen from `cwd`, absolute and normalised; None when it cannot be known."""
    if not path or "\0" in path:
        return None
    if not os.path.isabs(path):
        if cwd is None:
            return None
        path = os.path.join(cwd, path)
    return os.path.normpath(path)


def read_lines(path: str) -> list[str]:
    """The lines of a text file, [] when it cannot be read or is too large."""
    content = read_regular(path, MAX_SOURCE_BYTES + 1)
    if content is None or len(content) > MAX_SOURCE_BYTES:
        return []
    return content.decode("utf-8", "replace").splitlines()


def line_of(path: str, pattern: str) -> int | None:
    """The first line (1-based) that matches the regular expression `pattern`."""
    for number, text in enumerate(read_lines(path), start=1):
        if re.search(pattern, text):
            return number
    return None


# Words for the time of day, or a clock's; not those for sleeping.
_CLOCKS = frozenset("time monotonic perf_counter process_time time_ns monotonic_ns now".split())
_TRIES = frozenset("attempt attempts tries try retry retries round n i".split()) | {""}
_EXITS = (ast.Return, ast.Raise, ast.Yield, ast.YieldFrom)
_LOOPS = (ast.While, ast.For, ast.AsyncFor)
_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_OWN_FUNCTIONS = frozenset(dir(builtins)) - {"input", "open", "print", "next"}
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class PythonSource:
    """What the syntax of a Python file tells about its lines. The tree itself, which takes thirty
    times what the text does, is not kept."""

    def __init__(self, tree: ast.Module) -> None:
        self._loops: list[tuple[int, int]] = []
        self._whiles: dict[tuple[int, int], _While] = {}
        self._definitions = list(_definitions(tree))
        self._calls: dict[int, list[_Call]] = {}
        self._feeds: list[tuple[int, int, frozenset[str]]] = []
        self._regex_names: set[str] = {"re", "regex"}
        for node in ast.walk(tree):
            if isinstance(node, _LOOPS):
                self._loops.append(_span(node))
            if isinstance(node, ast.While):
                self._whiles.setdefault(_span(node), _while(node))
            elif isinstance(node, (ast.For, ast.AsyncFor)):
                self._feeds.append((*_span(node), _names(node.target)))
            elif isinstance(node, _Comprehension):
                targets = frozenset().union(*(_names(part.target) for part in node.generators))
                self._feeds.append((*_span(node), targets))
            elif isinstance(node, ast.Call):
                call = _call(node)
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    self._calls.setdefault(line, []).append(call)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_regex_compile(node.value):
                to = node.targets if isinstance(node, ast.Assign) else [node.target]
                self._regex_names.update(filter(None, map(_last_name, to)))
        self._loops.sort()

    def loops_around(self, line: int) -> tuple[tuple[int, int], ...]:
        """First and last lines of the loops around `line`, innermost first."""
        around = [(first, last) for first, last in self._loops if first <= line <= last]
        return tuple(sorted(around, key=lambda loop: loop[1] - loop[0]))

    def names_around(self, line: int) -> tuple[str, ...]:
        """The function that `line` lies in, after the classes and functions around that."""
        around = [d for d in self._definitions if d.first <= line <= d.last]
        return max((d.names for d in around), key=len, default=())

    def definition(self, names: Sequence[str]) -> int | None:
        """The line of the last function or class of that name, given with those around it."""
        lines = (d.first for d in self._definitions if d.names == tuple(names))
        return max(lines, default=None)

    def has_call(self, line: int) -> bool:
        """Whether anything is called there. A line without calls cannot be stuck in one."""
        return bool(self._calls.get(line))

    def condition_of(self, line: int) -> frozenset[str]:
        """The names in the condition of the innermost loop, if that alone can end it. Python's
        own functions are none of them: what they say follows from what they are given."""
        loop = self._innermost_while(line)
        if loop is None or loop.has_other_exit:
            return frozenset()
        return loop.names - _OWN_FUNCTIONS

    def is_timed(self, line: int) -> bool:
        """Whether nothing but a comparison with a clock ends the innermost loop."""
        loop = self._innermost_while(line)
        return loop is not None and loop.compares_a_clock and not loop.has_other_exit

    def is_fed(self, line: int) -> bool:
        """Whether what is called there gets what a loop around it goes through. The number of a
        try is none of it."""
        through = {
            name
            for first, last, names in self._feeds
            if first <= line <= last
            for name in names
            if name.strip("_") not in _TRIES
        }
        return any(name in through for call in self._calls.get(line, ()) for name in call.names)

    def _innermost_while(self, line: int) -> _While | None:
        """None when a loop of another kind is further in."""
        innermost = next(iter(self.loops_around(line)), None)
        return self._whiles.get(innermost) if innermost else None

    def calls_at(self, line: int) -> tuple[str, ...]:
        """Names of what is called on the line, and in the condition of the loop around it."""
        loop = self._innermost_while(line)
        names = [*(call.name for call in self._calls.get(line, ())), *(loop.calls if loop else ())]
        return tuple(dict.fromkeys(filter(None, names)))[:MAX_CALLS]

    def calls_regex(self, line: int) -> bool:
        """Whether the statement there calls a regular expression's method."""
        return any(
            call.is_of_new_regex
            or (call.name in _REGEX_METHODS and call.receiver in self._regex_names)
            for call in self._calls.get(line, ())
        )


class _While(NamedTuple):
    """Of a `while`: what its condition asks, and whether that alone can end it."""

    names: frozenset[str]
    calls: tuple[str | None, ...]
    compares_a_clock: bool
    has_other_exit: bool


def _while(loop: ast.While) -> _While:
    asked = [node for node in ast.walk(loop.test) if isinstance(node, ast.Call)]
    calls = tuple(_last_name(call.func) for call in asked)
    return _While(
        _names(loop.test),
        calls,
        isinstance(loop.test, ast.Compare) and not _CLOCKS.isdisjoint(filter(None, calls)),
        _has_other_exit(loop),
    )


class _Call(NamedTuple):
    """Of a call: what is called, of what, and the names in all of it."""

    name: str | None
    receiver: str | None
    names: tuple[str, ...]
    is_of_new_regex: bool


def _call(call: ast.Call) -> _Call:
    of = call.func.value if isinstance(call.func, ast.Attribute) else None
    return _Call(
        _last_name(call.func),
        _last_name(of) if of is not None else None,
        tuple(_names(call)),
        _is_regex_compile(getattr(call.func, "value", None)),
    )


class _Definition(NamedTuple):
    names: tuple[str, ...]
    first: int
    last: int


def _definitions(tree: ast.Module) -> Iterator[_Definition]:
    todo: list[tuple[tuple[str, ...], ast.AST]] = [((), tree)]
    while todo:
        names, node = todo.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = (*names, child.name)
                yield _Definition(inner, child.lineno, child.end_lineno or child.lineno)
                todo.append((inner, child))
            elif isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                todo.append((names, child))


def _span(node: ast.stmt | ast.expr) -> tuple[int, int]:
    return node.lineno, node.end_lineno or node.lineno


def _names(node: ast.expr) -> frozenset[str]:
    return frozenset(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _has_other_exit(loop: ast.While) -> bool:
    """Whether a statement of its body may end it: break, return, raise; yield, as whoever it
    yields to may let go of it. A break of a loop within ends that one."""
    todo: list[tuple[ast.AST, bool]] = [(statement, False) for statement in loop.body]
    while todo:
        node, is_further_in = todo.pop()
        if isinstance(node, _LATER):
            continue
        if isinstance(node, _EXITS) or (isinstance(node, ast.Break) and not is_further_in):
            return True
        body = set(map(id, node.body)) if isinstance(node, _LOOPS) else set()
        todo += [
            (child, is_further_in or id(child) in body) for child in ast.iter_child_nodes(node)
        ]
    return False


_REGEX_METHODS = frozenset(
    ["match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "split"]
)


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


def _is_regex_compile(node: ast.expr | None) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "compile"
        and _last_name(node.func.value) in ("re", "regex")
    )


def python_source(path: str) -> PythonSource | None:
    """The syntax of a Python file; None when it cannot be read or parsed. Kept for a while."""
    identity = identity_of(path)
    return _parse_python(path, identity) if identity else None


@functools.lru_cache(maxsize=64)
def _parse_python(path: str, _identity: Identity) -> PythonSource | None:
    tree = parse_python("\n".join(read_lines(path)))
    return PythonSource(tree) if tree else None
