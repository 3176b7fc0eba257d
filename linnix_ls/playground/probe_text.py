"""Probe source as it is while somebody writes it: what is defined, and what stands at the cursor.

No parser: half a program is the usual case here, and each keystroke makes a new text. One pass over
the braces, and regular expressions on pieces of bounded length; the time grows with the text only.
Not here: whole programs, for the checks (`c_source`), and what names mean (`authoring`).
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from linnix_ls.playground.base import Span
from linnix_ls.playground.dialect import Dialect, dialect_of, without_comments
from linnix_ls.playground.knowledge.maps import MACROS, TYPES_BY_CONSTANT

_MAX_HEAD_CHARS = 600
_MAX_LOOK_BACK_CHARS = 2000
_MAX_STEPS = 40

_LINE_END = re.compile(r"\r\n|\n|\r")
_BRACE = re.compile(r"[{};]")
_WORD_END = re.compile(r"\w*\Z", re.ASCII)
_WORD_START = re.compile(r"\w*", re.ASCII)
_BCC_MAP = re.compile(r"\b(BPF_[A-Z_]+)[ \t]*\(([^();{}]*(?:\([^();{}]*\)[^();{}]*)*)\)")
_LIBBPF_MAP = re.compile(r"\bstruct\s*(?:\w+\s*)?\{([^{}]*)\}\s*(\w+)\s+SEC\s*\(")
_MAP_FACT = re.compile(r"__(?:uint|type)\s*\(\s*(\w+)\s*,\s*([^();]*)\)")
_HEAD = re.compile(r"\b(\w+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*\Z")
_RECORD = re.compile(r"\b(struct|union)(?:\s+(\w+))?\s*\Z")
_ALIAS = re.compile(r"\s*(\w+)\s*;")
_DECLARED = re.compile(
    r"\s*(?P<type>\w.*?[\s*])(?P<name>(?!struct\b|union\b|enum\b)\w+)\s*"
    r"(?P<array>(?:\[[^\]]*\]\s*)*)(?::\s*\w+\s*)?",
    re.DOTALL,
)
_MORE = re.compile(r"\s*(?P<stars>\**)\s*(?P<name>\w+)\s*(?P<array>(?:\[[^\]]*\]\s*)*)")
_CAST = re.compile(r"\(\s*\(\s*(?:const\s+)?(?:struct|union)\s+(\w+)\s*\*\s*\)")


@dataclass(frozen=True, slots=True)
class MapDefinition:
    """A map. `kind`: as `maps.TYPES` calls it; `start`, `end`: of its name."""

    name: str
    macro: str
    kind: str
    key: str
    leaf: str
    declaration: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """A function or program. `macro`: of BCC or libbpf, that made it, or ""; `arguments`: of the
    macro, else of the function; `start`, `end`: of all of it; `named_at`: of its name."""

    name: str
    macro: str
    arguments: tuple[str, ...]
    start: int
    end: int
    named_at: int


@dataclass(frozen=True, slots=True)
class RecordDefinition:
    """A struct or union at the top level, by its name or its typedef's."""

    name: str
    body_start: int
    body_end: int
    named_at: int


@dataclass(frozen=True, slots=True)
class LocalField:
    name: str
    declaration: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What an access goes through: ``task->real_parent->`` is ("task", ("real_parent",)). `cast`:
    the struct that a cast names, in place of a name."""

    base: str
    steps: tuple[str, ...]
    cast: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose brackets are around the cursor. `receiver`: the map whose method it is."""

    callee: str
    receiver: str
    arguments: tuple[str, ...]
    named_at: int

    @property
    def index(self) -> int:
        """Which argument the cursor is in."""
        return len(self.arguments) - 1


class ProbeText:
    """One text. `code` has the same length and lines, with comments and contents of strings
    blanked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.code = without_comments(text)
        self._line_starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    @functools.cached_property
    def dialect(self) -> Dialect:
        return dialect_of(self.text)

    def offset(self, line: int, column: int) -> int:
        """Of a position, drawn into the text."""
        line = max(1, min(line, len(self._line_starts)))
        start = self._line_starts[line - 1]
        end = self._line_starts[line] if line < len(self._line_starts) else len(self.text)
        return max(start, min(start + column - 1, end))

    def span(self, start: int, end: int) -> Span:
        """Of a part of one line."""
        line = bisect.bisect_right(self._line_starts, start)
        first = self._line_starts[line - 1]
        return Span(line, start - first + 1, end - first + 1)

    def line_to(self, offset: int) -> str:
        """The line's text up to there."""
        return self.text[
            self._line_starts[bisect.bisect_right(self._line_starts, offset) - 1] : offset
        ]

    def word(self, offset: int) -> tuple[int, int]:
        """Of the word in which that is, or that ends there: where it begins and ends."""
        before = _WORD_END.search(self.code[max(0, offset - 200) : offset])
        after = _WORD_START.match(self.code, offset)
        n_before = len(before[0]) if before else 0
        return offset - n_before, after.end() if after else offset

    @functools.cached_property
    def maps(self) -> dict[str, MapDefinition]:
        found: dict[str, MapDefinition] = {}
        for each in self._maps():
            found.setdefault(each.name, each)
        return found

    def _maps(self) -> Iterator[MapDefinition]:
        for match in _BCC_MAP.finditer(self.code):
            is_table = match[1].startswith(("BPF_TABLE", "BPF_F_TABLE"))
            macro = MACROS.get("BPF_TABLE" if is_table else match[1])
            if macro is None:
                continue
            parts = match[2].split(",")
            place = 3 if is_table else 0
            if len(parts) <= place or not (name := parts[place].strip()).isidentifier():
                continue
            start = match.start(2) + sum(len(each) + 1 for each in parts[:place])
            start += len(parts[place]) - len(parts[place].lstrip())
            given = [each.strip() for each in parts]
            kind = macro.type
            if is_table:  # what is in the quotes is blanked in the code
                kind = self.text[match.start(2) : match.end(2)].split(",")[0].strip().strip('"')
            names = [each.split(" ")[0] for each in macro.parameters]
            defaults = [each.partition(" = ")[2] for each in macro.parameters]
            values = dict(zip(names, [*given, *defaults[len(given) :]], strict=False))
            key = values.get("key_type") or (
                "int" if macro.type in ("array", "percpu_array") else "u64"
            )
            declaration = " ".join(self.text[match.start() : match.end()].split())
            yield MapDefinition(
                name,
                match[1],
                kind,
                key,
                values.get("leaf_type") or "u64",
                declaration[:300],
                start,
                start + len(name),
            )
        for match in _LIBBPF_MAP.finditer(self.code):
            facts = dict(_MAP_FACT.findall(match[1]))
            map_type = TYPES_BY_CONSTANT.get(facts.get("type", "").strip())
            if '".maps"' not in self.text[match.end() : match.end() + 20] or not facts:
                continue
            declaration = "\n".join(
                line.rstrip() for line in self.text[match.start() : match.end(2)].splitlines()[:20]
            )
            yield MapDefinition(
                match[2],
                "",
                map_type.name if map_type else "",
                facts.get("key", "").strip(),
                facts.get("value", "").strip(),
                f'{declaration} SEC(".maps");',
                match.start(2),
                match.end(2),
            )

    @functools.cached_property
    def _blocks(self) -> tuple[list[FunctionDefinition], dict[str, RecordDefinition]]:
        """Functions and structs, by one pass over the braces. One in the first column ends what is
        open, for the braces of a text that is being written do not match."""
        functions: list[FunctionDefinition] = []
        records: dict[str, RecordDefinition] = {}
        depth = head_start = opened_at = 0
        for match in _BRACE.finditer(self.code):
            at, sign = match.start(), match[0]
            is_first = at == 0 or self.code[at - 1] in "\r\n"
            if sign == "{":
                if depth and is_first and self.code[head_start:at].rstrip().endswith(")"):
                    self._close(functions, records, head_start, opened_at, at)
                    head_start = self.code.rfind("\n\n", 0, at) + 1
                    depth = 0
                if not depth:
                    opened_at = at
                depth += 1
            elif sign == "}":
                if depth == 1 or (depth and is_first):
                    self._close(functions, records, head_start, opened_at, at + 1)
                    depth = 0
                depth = max(0, depth - 1)
                if not depth:
                    head_start = at + 1
            elif not depth:
                head_start = at + 1
        if depth:
            self._close(functions, records, head_start, opened_at, len(self.code))
        return functions, records

    def _close(
        self,
        functions: list[FunctionDefinition],
        records: dict[str, RecordDefinition],
        head_start: int,
        opened_at: int,
        end: int,
    ) -> None:
        """Take in a block with its head."""
        start = max(head_start, opened_at - _MAX_HEAD_CHARS)
        head = self.code[start:opened_at]
        if match := _RECORD.search(head):
            name, named_at = match[2] or "", start + (match.start(2) if match[2] else match.start())
            alias = _ALIAS.match(self.code, end) if "typedef" in head else None
            for each, at in ((name, named_at), (alias[1], alias.start(1)) if alias else ("", 0)):
                if each:
                    records.setdefault(each, RecordDefinition(each, opened_at + 1, end - 1, at))
        elif match := _HEAD.search(head):
            arguments = tuple(each.strip() for each in match[2].split(","))
            first = start + len(head) - len(head.lstrip())
            if match[1].isupper() and "_" in match[1]:
                begins = start + match.start(2)
                begins += len(match[2]) - len(match[2].lstrip())
                found = FunctionDefinition(arguments[0], match[1], arguments, first, end, begins)
            else:
                found = FunctionDefinition(
                    match[1], "", arguments, first, end, start + match.start(1)
                )
            functions.append(found)

    @property
    def functions(self) -> list[FunctionDefinition]:
        return self._blocks[0]

    @property
    def records(self) -> dict[str, RecordDefinition]:
        return self._blocks[1]

    def function_at(self, offset: int) -> FunctionDefinition | None:
        return next((each for each in self.functions if each.start <= offset <= each.end), None)

    def fields(self, record: RecordDefinition) -> list[LocalField]:
        """Of a struct of this file; those of unnamed ones within count as its own."""
        found = []
        body = self.code[record.body_start : record.body_end][: 16 << 10]
        for statement in re.split(r"[;{}]", body)[:1000]:
            first, *more = statement[:400].split(",")
            match = _DECLARED.fullmatch(first)
            if match is None or "(" in first:
                continue
            kind = " ".join(match["type"].split())
            found.append(_local_field(kind, match))
            base = kind.rstrip("* ")
            found += [
                _local_field(f"{base} {further['stars']}", further)
                for each in more
                if (further := _MORE.match(each))
            ]
        return found

    def record_of(self, variable: str, offset: int) -> str | None:
        """The struct (or typedef of this file) of which a variable is declared to be, or to point
        to: by the last declaration before `offset` in its function, else in the file."""
        function = self.function_at(offset)
        kinds = "|".join(["(?:struct|union)\\s+(\\w+)", *map(re.escape, list(self.records)[:200])])
        declaration = re.compile(
            rf"\b(?:{kinds})\b(?:(?!\bstruct\b|\bunion\b)[^;(){{}}=])*?[\s*]{re.escape(variable)}\b"
        )
        for start in [function.start, 0] if function else [0]:
            found = None
            for match in declaration.finditer(self.code, start, offset):
                found = match[1] or re.match(r"\w+", match[0])[0]  # type: ignore[index]
            if found:
                return found
        return None

    def chain(self, end: int) -> Chain | None:
        """The access that goes on at `end`, just after ``->`` or ``.``; None if there is none."""
        code = self.code
        at = len(code[max(0, end - _MAX_LOOK_BACK_CHARS) : end].rstrip()) + max(
            0, end - _MAX_LOOK_BACK_CHARS
        )
        steps: list[str] = []
        for _ in range(_MAX_STEPS):
            if code.endswith("->", 0, at):
                at -= 2
            elif code.endswith(".", 0, at):
                at -= 1
            else:
                break
            at = self._before_brackets(at)
            if at and code[at - 1] == ")":
                start = self._opening(at)
                cast = _CAST.match(code, start) if start is not None else None
                return Chain("", tuple(reversed(steps)), cast[1]) if cast else None
            start = self.word(at)[0] if at else 0
            name = code[start:at]
            if not name or name[0].isdigit():
                return None
            steps.append(name)
            at = self._before_space(start)
        return Chain(steps[-1], tuple(reversed(steps[:-1]))) if steps else None

    def _before_space(self, at: int) -> int:
        while at and self.code[at - 1] in " \t\r\n":
            at -= 1
        return at

    def _before_brackets(self, at: int) -> int:
        """Before the indices that end there."""
        at = self._before_space(at)
        while at and self.code[at - 1] == "]":
            start = self._opening(at)
            if start is None:
                break
            at = self._before_space(start)
        return at

    def _opening(self, end: int) -> int | None:
        """Where the bracket begins that ends there."""
        depth = 0
        for at in range(end - 1, max(-1, end - _MAX_LOOK_BACK_CHARS), -1):
            sign = self.code[at]
            if sign in ")]":
                depth += 1
            elif sign in "([":
                depth -= 1
                if not depth:
                    return at
        return None

    def call(self, offset: int) -> Call | None:
        """The innermost call around that."""
        depth, ends = 0, [offset]
        for at in range(offset - 1, max(-1, offset - _MAX_LOOK_BACK_CHARS), -1):
            sign = self.code[at]
            if sign in ")]":
                depth += 1
            elif sign in ";{}":
                return None
            elif sign == "," and not depth:
                ends.append(at)
            elif sign in "([":
                if depth:
                    depth -= 1
                    continue
                if sign == "[":
                    ends = [offset]  # an index in an argument
                    continue
                start, end = self.word(self._before_space(at))
                if end > start:
                    return self._call(start, end, at, ends)
                ends = [offset]  # brackets around an expression in an argument
        return None

    def _call(self, start: int, end: int, opened_at: int, ends: list[int]) -> Call:
        receiver = ""
        before = self._before_space(start)
        if self.code.endswith(".", 0, before):
            receiver_start, receiver_end = self.word(self._before_space(before - 1))
            receiver = self.code[receiver_start:receiver_end]
        starts = [opened_at, *reversed(ends[1:])]
        arguments = tuple(
            self.text[first + 1 : last].strip()
            for first, last in zip(starts, reversed(ends), strict=True)
        )
        return Call(self.code[start:end], receiver, arguments, start)


def _local_field(kind: str, match: re.Match[str]) -> LocalField:
    space = "" if kind.endswith("*") else " "
    array = "".join(match["array"].split())
    return LocalField(match["name"], f"{kind.rstrip()}{space}{match['name']}{array}")


@functools.lru_cache(maxsize=4)  # one keystroke asks for several things
def probe_text(text: str) -> ProbeText:
    return ProbeText(text)
