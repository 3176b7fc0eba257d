"""Where loops, calls and functions are in a source file, by tree-sitter's grammars.

Only what sits around a line is asked for, so that large files cost one parse (10 ms for 100 kB)
and nothing more. Python has its own parser in `locate.source`. Files are the user's, or hostile:
bounded, parsed, never run. Where a grammar is not installed nothing is known; that is no error.
"""

from __future__ import annotations

import functools
import os
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query, Tree

MAX_PARSED_BYTES = 512 << 10


class _Grammar(NamedTuple):
    """One language: the package, its function, and the names of its nodes."""

    module: str
    function: str
    loops: str
    calls: str
    functions: str


_C_LOOPS = "for_statement while_statement do_statement"
_JS_CALLS = "call_expression new_expression"
_JS_LOOPS = "for_statement for_in_statement while_statement do_statement"
_JS_FUNCTIONS = (
    "function_declaration function_expression arrow_function method_definition"
    " generator_function_declaration generator_function"
)
_TYPESCRIPT = ("tree_sitter_typescript", "language_typescript")
_GRAMMARS: dict[str, _Grammar] = {
    "shell": _Grammar(
        *("tree_sitter_bash", "language"),
        "for_statement while_statement c_style_for_statement",
        "command test_command declaration_command",
        "function_definition",
    ),
    "javascript": _Grammar(
        *("tree_sitter_javascript", "language"), _JS_LOOPS, _JS_CALLS, _JS_FUNCTIONS
    ),
    "typescript": _Grammar(*_TYPESCRIPT, _JS_LOOPS, _JS_CALLS, _JS_FUNCTIONS),
    "tsx": _Grammar(_TYPESCRIPT[0], "language_tsx", _JS_LOOPS, _JS_CALLS, _JS_FUNCTIONS),
    "java": _Grammar(
        *("tree_sitter_java", "language"),
        _C_LOOPS + " enhanced_for_statement",
        "method_invocation object_creation_expression",
        "method_declaration constructor_declaration lambda_expression",
    ),
    "c": _Grammar(
        *("tree_sitter_c", "language"), _C_LOOPS, "call_expression", "function_definition"
    ),
    "c++": _Grammar(
        *("tree_sitter_cpp", "language"),
        _C_LOOPS + " for_range_loop",
        "call_expression new_expression",
        "function_definition lambda_expression",
    ),
    "rust": _Grammar(
        *("tree_sitter_rust", "language"),
        "loop_expression while_expression for_expression",
        "call_expression macro_invocation",
        "function_item closure_expression",
    ),
}
_SUFFIXES = {
    **dict.fromkeys((".sh", ".bash", ".bats", ".ksh"), "shell"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    ".tsx": "tsx",
    ".java": "java",
    **dict.fromkeys((".c", ".h"), "c"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".ipp"), "c++"),
    ".rs": "rust",
}

Lines = tuple[int, int]


class Syntax:
    """One parsed file. Lines are 1-based, spans inclusive."""

    def __init__(self, grammar: _Grammar, language: Language, tree: Tree) -> None:
        self._grammar = grammar
        self._language = language
        self._root = tree.root_node

    def loops_around(self, line: int) -> tuple[Lines, ...]:
        """The loops that `line` lies in, innermost first."""
        return self._around(self._grammar.loops, line)

    def function_around(self, line: int) -> Lines | None:
        """The innermost function that `line` lies in."""
        return next(iter(self.functions_around(line)), None)

    def functions_around(self, line: int) -> tuple[Lines, ...]:
        """The functions that `line` lies in, innermost first. A span begins with what is written
        before the name: modifiers, annotations."""
        return self._around(self._grammar.functions, line)

    def loops(self, first: int, last: int) -> list[Lines]:
        """The loops between those lines, in the order in which they begin."""
        return self._between(self._grammar.loops, first, last)

    def functions(self, first: int, last: int) -> list[Lines]:
        """The functions between those lines, in the order in which they begin."""
        return self._between(self._grammar.functions, first, last)

    def calls(self, first: int, last: int) -> list[tuple[str, Lines]]:
        """The source text and lines of the calls that touch those lines, in their order."""
        return [
            ((node.text or b"").decode("utf-8", "replace"), _lines(node))
            for node in self._nodes(self._grammar.calls, first, last)
        ]

    def has_call(self, line: int) -> bool:
        """Whether anything is called there. A line without calls cannot be stuck in one."""
        return bool(self._spans(self._grammar.calls, line, line))

    def _between(self, kinds: str, first: int, last: int) -> list[Lines]:
        return [
            span for span in self._spans(kinds, first, last) if first <= span[0] and span[1] <= last
        ]

    def _around(self, kinds: str, line: int) -> tuple[Lines, ...]:
        around = {span for span in self._spans(kinds, line, line) if span[0] <= line <= span[1]}
        return tuple(sorted(around, key=lambda span: span[1] - span[0]))

    def _spans(self, kinds: str, first: int, last: int) -> list[Lines]:
        return [_lines(node) for node in self._nodes(kinds, first, last)]

    def _nodes(self, kinds: str, first: int, last: int) -> list[Node]:
        from tree_sitter import QueryCursor

        cursor = QueryCursor(_query(self._language, kinds))
        cursor.set_point_range((first - 1, 0), (last, 0))
        nodes = cursor.captures(self._root).get("node", [])
        return sorted(nodes, key=lambda node: (node.start_byte, -node.end_byte))


def syntax_of(path: str, language: str | None = None) -> Syntax | None:
    """A file's syntax; None when it cannot be read, is too large, or its language is unknown.

    Args:
        language: a name of ours ("shell", "javascript", …) where the file's name does not tell.
    """
    language = language or language_of(path)
    if language not in _GRAMMARS:
        return None
    try:
        stat = os.stat(path)
    except OSError:
        return None
    if stat.st_size > MAX_PARSED_BYTES:
        return None
    return _parse(path, language, stat.st_mtime_ns)


def language_of(path: str) -> str | None:
    """By the file's name; one of ours ("shell", "javascript", …)."""
    return _SUFFIXES.get(os.path.splitext(path)[1].lower())


def tree_of(text: bytes, language: str) -> Tree | None:
    """The syntax tree of a text that need not be in a file; None where there is no grammar."""
    loaded = _language(language) if language in _GRAMMARS else None
    if loaded is None or len(text) > MAX_PARSED_BYTES:
        return None
    from tree_sitter import Parser

    return Parser(loaded).parse(text)


@functools.lru_cache(maxsize=64)
def _parse(path: str, language: str, _mtime_ns: int) -> Syntax | None:
    loaded = _language(language)
    if loaded is None:
        return None
    from tree_sitter import Parser

    try:
        with open(path, "rb") as file:
            source = file.read(MAX_PARSED_BYTES)
    except OSError:
        return None
    return Syntax(_GRAMMARS[language], loaded, Parser(loaded).parse(source))


@functools.cache
def _language(name: str) -> Language | None:
    grammar = _GRAMMARS[name]
    try:
        from tree_sitter import Language

        return Language(getattr(import_module(grammar.module), grammar.function)())
    except ImportError:
        return None


@functools.cache
def _query(language: Language, kinds: str) -> Query:
    from tree_sitter import Query

    return Query(language, "[" + " ".join(f"({kind})" for kind in kinds.split()) + "] @node")


def _lines(node: Node) -> Lines:
    last = node.end_point[0] + (1 if node.end_point[1] else 0)
    return node.start_point[0] + 1, max(last, node.start_point[0] + 1)
