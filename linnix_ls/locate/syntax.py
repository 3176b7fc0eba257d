"""Where loops, calls and functions are in a source file, by tree-sitter's grammars.

Only what sits around a line is asked for, so that large files cost one parse (10 ms for 100 kB)
and nothing more. Python has its own parser in `locate.source`. Files are the user's, or hostile:
bounded, parsed, never run. Where a grammar is not installed nothing is known; that is no error.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from linnix_ls.sources import Identity, identity_of, language_by_suffix, parsed, read_regular

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query, Tree

MAX_PARSED_BYTES = 512 << 10
MAX_CALLS = 6
MAX_TEXT_BYTES = 16 << 20  # of calls in one another, each with the text of those within
_CALLEES = ("function", "name", "constructor", "macro", "type")


class _Grammar(NamedTuple):
    """One language: the names of its nodes."""

    loops: str
    calls: str
    functions: str
    tells_calls: bool = True


_C_LOOPS = "for_statement while_statement do_statement"
_JS_CALLS = "call_expression new_expression"
_JS_LOOPS = "for_statement for_in_statement while_statement do_statement"
_JS_FUNCTIONS = (
    "function_declaration function_expression arrow_function method_definition"
    " generator_function_declaration generator_function"
)
_GRAMMARS: dict[str, _Grammar] = {
    "shell": _Grammar(
        "for_statement while_statement c_style_for_statement",
        "command test_command declaration_command",
        "function_definition",
        tells_calls=False,
    ),
    "javascript": _Grammar(_JS_LOOPS, _JS_CALLS, _JS_FUNCTIONS),
    "typescript": _Grammar(_JS_LOOPS, _JS_CALLS, _JS_FUNCTIONS),
    "tsx": _Grammar(_JS_LOOPS, _JS_CALLS, _JS_FUNCTIONS),
    "java": _Grammar(
        _C_LOOPS + " enhanced_for_statement",
        "method_invocation object_creation_expression",
        "method_declaration constructor_declaration lambda_expression",
    ),
    "c": _Grammar(_C_LOOPS, "call_expression", "function_definition"),
    "c++": _Grammar(
        _C_LOOPS + " for_range_loop",
        "call_expression new_expression",
        "function_definition lambda_expression",
    ),
    "rust": _Grammar(
        "loop_expression while_expression for_expression",
        "call_expression macro_invocation",
        "function_item closure_expression",
    ),
}
Lines = tuple[int, int]


class Syntax:
    """One parsed file. Lines are 1-based, spans inclusive."""

    def __init__(self, grammar: _Grammar, tree: Tree) -> None:
        self._grammar = grammar
        self._language = tree.language
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
        found = []
        n_bytes = 0
        for node in self._nodes(self._grammar.calls, first, last):
            n_bytes += node.end_byte - node.start_byte
            if n_bytes > MAX_TEXT_BYTES:
                break
            found.append(((node.text or b"").decode("utf-8", "replace"), _lines(node)))
        return found

    def has_call(self, line: int) -> bool:
        """Whether anything is called there. A line without calls cannot be stuck in one."""
        return bool(self._spans(self._grammar.calls, line, line))

    def names_called(self, line: int) -> tuple[str, ...]:
        """Names of what the innermost loop around `line` calls, or the line where there is none.
        Of shell, where any word may be a function of the user's, nothing is told."""
        first, last = next(iter(self.loops_around(line)), (line, line))
        nodes = self._nodes(self._grammar.calls, first, last) if self._grammar.tells_calls else []
        names = dict.fromkeys(filter(None, (_name_called(node) for node in nodes)))
        return tuple(names)[:MAX_CALLS]

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
    """A file's syntax; None when it cannot be read, is too large or made to be slow to read, or
    its language is unknown.

    Args:
        language: a name of ours ("shell", "javascript", …) where the file's name does not tell.
    """
    language = language or language_by_suffix(path)
    if language not in _GRAMMARS:
        return None
    identity = identity_of(path)
    if identity is None or identity.n_bytes > MAX_PARSED_BYTES:
        return None
    return _parse(path, language, identity)


def tree_of(text: bytes, language: str) -> Tree | None:
    """The syntax tree of a text that need not be in a file; None where there is no grammar."""
    if language not in _GRAMMARS or len(text) > MAX_PARSED_BYTES:
        return None
    return parsed(text, language)


@functools.lru_cache(maxsize=24)
def _parse(path: str, language: str, _identity: Identity) -> Syntax | None:
    source = read_regular(path, MAX_PARSED_BYTES)
    tree = None if source is None else tree_of(source, language)
    return Syntax(_GRAMMARS[language], tree) if tree else None


@functools.cache
def _query(language: Language, kinds: str) -> Query:
    from tree_sitter import Query

    return Query(language, "[" + " ".join(f"({kind})" for kind in kinds.split()) + "] @node")


def _name_called(node: Node) -> str | None:
    """`recv` of `socket.recv(…)`, `Thread` of `new Thread(…)`."""
    for field in _CALLEES:
        callee = node.child_by_field_name(field)
        if callee is not None and callee.text:
            text = callee.text[-200:].decode("utf-8", "replace")
            match = re.search(r"(\w+)\W*$", re.sub("<.*>", "", text, flags=re.DOTALL))
            return match[1] if match else None
    return None


def _lines(node: Node) -> Lines:
    last = node.end_point[0] + (1 if node.end_point[1] else 0)
    return node.start_point[0] + 1, max(last, node.start_point[0] + 1)
