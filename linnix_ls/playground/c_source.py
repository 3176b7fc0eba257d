"""What probe source says of itself: functions, loops, returns, maps, and the expressions of a line.

By tree-sitter's grammar for C, which knows nothing of BCC: ``TRACEPOINT_PROBE(…) {…}`` is a call
with a block after it there, and is put together here. Lines count from 1, columns from 1 in
characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from linnix_ls.playground.base import Span
from linnix_ls.playground.dialect import without_comments
from linnix_ls.sources import parsed

if TYPE_CHECKING:
    from tree_sitter import Node

# BCC's macros that stand for a function's head, and how it calls the function.
_BCC_HEADS = {
    "TRACEPOINT_PROBE": "tracepoint__",
    "RAW_TRACEPOINT_PROBE": "raw_tracepoint__",
    "KFUNC_PROBE": "kfunc__",
    "KRETFUNC_PROBE": "kretfunc__",
    "LSM_PROBE": "lsm__",
    "KMOD_RET": "kmod_ret__",
}
_LOOPS = ("for_statement", "while_statement", "do_statement")
_BCC_MAP = re.compile(r"^[ \t]*(BPF_[A-Z_]+)\s*\(\s*(\w+)", re.MULTILINE)
_NO_MAPS = frozenset({"BPF_PROG", "BPF_KPROBE", "BPF_KRETPROBE", "BPF_CORE_READ"})
_LIBBPF_MAP = re.compile(r"\}\s*(\w+)\s+SEC\s*\(\s*\"\.maps\"\s*\)")
# What sends a record, by the names of BCC's methods and of the helpers, with where it stands among
# the arguments; and what reserves one in a ring buffer, whose map stands first.
_SENDS = re.compile(
    r"\b(?:(?P<map>\w+)\s*\.\s*(?P<method>perf_submit|ringbuf_output|ringbuf_submit)"
    r"|(?P<helper>bpf_perf_event_output|bpf_ringbuf_output|bpf_ringbuf_submit))\s*\("
)
_RECORD_AT = {"perf_submit": 1, "ringbuf_output": 0, "ringbuf_submit": 0}
_HELPER_RECORD_AT = {"bpf_perf_event_output": (1, 3), "bpf_ringbuf_output": (0, 1)}
_RESERVED = r"\b{}\s*=\s*(?:\([^()]*\)\s*)?bpf_ringbuf_reserve\s*\(\s*&?\s*(\w+)"
_DECLARED = r"\b((?:struct|union)\s+\w+|[A-Za-z_]\w*)\s*(?:\*\s*)?\b{}\s*(?:[=;,\[])"
_SCALARS = frozenset(
    "u8 u16 u32 u64 s8 s16 s32 s64 __u8 __u16 __u32 __u64 __s8 __s16 __s32 __s64 int long short"
    " char pid_t uid_t size_t".split()
)
_LOG2 = re.compile(r"\bbpf_log2l?\s*\(")
_CONTEXT = re.compile(r"\b(\w+)\s*\(\s*struct\s+(\w+)\s*\*")


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `name`: as the loader calls it. `head`: where it is named. `attached_at`: where
    the source says what it is attached to."""

    name: str
    head: Span
    attached_at: Span
    first_line: int
    last_line: int


@dataclass
class CSource:
    """A source, parsed once."""

    text: str
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.text.split("\n")

    @cached_property
    def _root(self) -> Node | None:
        tree = parsed(self.text.encode(errors="surrogateescape"), "c")
        return tree.root_node if tree else None

    @cached_property
    def _code(self) -> list[str]:
        return without_comments(self.text).split("\n")

    @property
    def root(self) -> Node | None:
        """As tree-sitter has it, in bytes; None without its grammar, or where that gives up."""
        return self._root

    def code(self, line: int) -> str:
        """A line without comments and what is in strings, of the same length."""
        return self._code[line - 1] if 0 < line <= len(self._code) else ""

    def whole(self, line: int) -> Span:
        """The line's text from its first character that is not blank to its last."""
        line = max(1, min(line, len(self.lines)))
        code = self.code(line).rstrip() or self.lines[line - 1].rstrip()
        start = len(code) - len(code.lstrip())
        return Span(line, start + 1, max(len(code), start + 1) + 1)

    def find(self, line: int, pattern: str, group: int = 0) -> Span | None:
        """Where in that line's code something is."""
        match = re.search(pattern, self.code(line))
        return Span(line, match.start(group) + 1, match.end(group) + 1) if match else None

    @cached_property
    def functions(self) -> list[Function]:
        """Those with a body, in order."""
        if self._root is None:
            return []
        return list(self._functions(self._root.named_children))

    def _functions(self, siblings: list[Node]) -> Iterator[Function]:
        for index, node in enumerate(siblings):
            body = node.child_by_field_name("body")
            if node.type == "function_definition" and body is not None:
                yield self._function(node, self._text(node)[: body.start_byte - node.start_byte])
            elif node.type == "compound_statement" and index:
                head = siblings[index - 1]
                if head.type == "expression_statement":
                    yield self._function(node, self._text(head), head)
            elif node.type in ("ERROR", "preproc_ifdef", "preproc_if", "linkage_specification"):
                yield from self._functions(node.named_children)

    def _function(self, body: Node, head_text: str, head: Node | None = None) -> Function:
        first = (head or body).start_point[0] + 1
        name, at = _name_of(head_text)
        line = first + head_text.count("\n", 0, at)
        section = next(
            (
                at
                for at in range(line, max(0, line - 4), -1)
                if re.search(r"\bSEC\s*\(", self.code(at))
            ),
            line,
        )
        if any(";" in self.code(at) or "}" in self.code(at) for at in range(section, line)):
            section = line  # of something else
        return Function(name, self.whole(line), self.whole(section), first, body.end_point[0] + 1)

    def _text(self, node: Node) -> str:
        return (node.text or b"").decode(errors="replace")

    def function(self, name: str | None) -> Function | None:
        return next((each for each in self.functions if each.name == name), None)

    def function_at(self, line: int) -> Function | None:
        return next(
            (each for each in self.functions if each.first_line <= line <= each.last_line), None
        )

    def loop_around(self, line: int) -> int | None:
        """The line at which the innermost loop around that line begins."""
        found: Node | None = None
        for node in self._walk(line):
            if node.type in _LOOPS:
                found = node
        if found is None:
            return None
        return found.start_point[0] + 1

    def last_return(self, function: Function) -> int | None:
        """The line of a function's last return with a value."""
        returns = [
            line
            for line in range(function.first_line, function.last_line + 1)
            if re.search(r"\breturn\b\s*[^;\s]", self.code(line))
        ]
        return returns[-1] if returns else None

    def _walk(self, line: int) -> Iterator[Node]:
        """The nodes around a line, from the outside in."""
        nodes = [self._root] if self._root is not None else []
        while nodes:
            node = nodes.pop()
            if node.start_point[0] + 1 <= line <= node.end_point[0] + 1:
                yield node
                nodes.extend(reversed(node.named_children))

    @cached_property
    def maps(self) -> dict[str, int]:
        """Maps by name, with the line that defines each."""
        text = without_comments(self.text)
        found = {
            match[2]: text.count("\n", 0, match.start(2)) + 1
            for match in _BCC_MAP.finditer(text)
            if match[1] not in _NO_MAPS
        }
        # In strings nothing is left, and ".maps" is one.
        for match in _LIBBPF_MAP.finditer(self.text):
            found[match[1]] = self.text.count("\n", 0, match.start(1)) + 1
        return found

    @cached_property
    def variables(self) -> frozenset[str]:
        """Those of the whole file, by name; no maps of libbpf's."""
        nodes = self._root.named_children if self._root is not None else []
        found = set()
        for node in nodes:
            text = self._text(node)
            if node.type != "declaration" or re.search(r"\bSEC\b|^\s*(?:extern|typedef)\b", text):
                continue
            for declarator in node.children_by_field_name("declarator"):
                if name := self._declared_name(declarator):
                    found.add(name)
        return frozenset(found)

    def _declared_name(self, declarator: Node) -> str | None:
        """Of a variable: through its initial value, its pointers and lengths."""
        node: Node | None = declarator
        while node is not None and node.type != "identifier":
            is_function = node.type == "function_declarator"
            node = None if is_function else node.child_by_field_name("declarator")
        return self._text(node) if node is not None else None

    def is_histogram(self, name: str) -> bool:
        """Whether a map is declared as one, or counted up by slots of powers of two."""
        line = self.maps.get(name)
        if line is not None and "BPF_HISTOGRAM" in self.code(line):
            return True
        counts = re.compile(rf"\b{re.escape(name)}\s*\.\s*(?:atomic_)?increment\s*\(")
        return any(
            (counted := counts.search(statement)) and _LOG2.search(statement, counted.end())
            for statement in without_comments(self.text).split(";")
        )

    @cached_property
    def contexts(self) -> dict[str, str]:
        """Functions, and the struct that their first argument points to."""
        return dict(_CONTEXT.findall(without_comments(self.text)))

    @cached_property
    def records(self) -> dict[str, list[str]]:
        """Of each ring or perf buffer the types that are sent through it, where the text tells
        them and every line of the file may use them; no typedefs of structs without a name."""
        found: dict[str, list[str]] = {}
        for _, name, record, body in self._sent:
            kind = self._declared(record, body)
            if kind and kind not in found.setdefault(name, []):
                found[name].append(kind)
        return found

    @cached_property
    def senders(self) -> dict[str, int]:
        """Of each ring or perf buffer the line that sends through it, where it is the only one."""
        lines: dict[str, list[int]] = {}
        for line, name, *_ in self._sent:
            lines.setdefault(name, []).append(line)
        return {name: found[0] for name, found in lines.items() if len(found) == 1}

    @cached_property
    def _sent(self) -> list[tuple[int, str, str, str]]:
        """What is sent: the line, the map, what is written as the record, and the function's
        text."""
        text = without_comments(self.text)
        found = []
        for match in _SENDS.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            function = self.function_at(line)
            if function is None:
                continue
            body = "\n".join(map(self.code, range(function.first_line, function.last_line + 1)))
            arguments = _arguments(text, match.end())
            name, at = match["map"], _RECORD_AT.get(match["method"] or "")
            if match["helper"] == "bpf_ringbuf_submit" and arguments:
                at = 0
                reserved = re.search(_RESERVED.format(re.escape(arguments[0].strip())), body)
                name = reserved[1] if reserved else None
            elif match["helper"]:
                map_at, at = _HELPER_RECORD_AT[match["helper"]]
                name = arguments[map_at].strip("& \t\n") if map_at < len(arguments) else None
            if name is not None and at is not None and at < len(arguments):
                found.append((line, name, arguments[at], body))
        return found

    def _declared(self, argument: str, body: str) -> str | None:
        variable = re.search(r"\b(\w+)\s*$", argument)
        declared = variable and re.search(_DECLARED.format(re.escape(variable[1])), body)
        if not declared:
            return None
        kind = " ".join(declared[1].split())
        tag = kind.split()[-1]
        is_known = kind in _SCALARS or any(
            re.search(rf"\b(?:struct|union)\s+{tag}\s*\{{|\}}\s*{tag}\s*;", self.code(line))
            for line in range(1, len(self.lines) + 1)
            if self.function_at(line) is None
        )
        return kind if is_known else None


def _arguments(text: str, start: int) -> list[str]:
    """Of a call, from behind its opening parenthesis."""
    arguments, depth = [""], 0
    for character in text[start : start + 500]:
        if character == "," and not depth:
            arguments.append("")
            continue
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            return arguments
        arguments[-1] += character
    return []


def _name_of(head: str) -> tuple[str, int]:
    """A function's name as the loader has it, and where in its head it is."""
    macro = re.search(r"\b([A-Z]+(?:_[A-Z]+)+)\s*\(\s*(\w+)(?:\s*,\s*(\w+))?\s*", head)
    if macro and macro[1] in _BCC_HEADS:
        # Of most the rest are parameters.
        n_names = 2 if macro[1] == "TRACEPOINT_PROBE" else 1
        names = [name for name in macro.groups()[1 : 1 + n_names] if name]
        return _BCC_HEADS[macro[1]] + "__".join(names), macro.start()
    if macro and macro[1].startswith("BPF_"):  # BPF_PROG(name, …) of libbpf
        return macro[2], macro.start(2)
    for match in re.finditer(r"\b(\w+)\s*\(", head):
        if match[1] not in ("SEC", "__attribute__", "__section"):
            return match[1], match.start(1)
    return "", 0
