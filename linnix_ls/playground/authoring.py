"""Help with writing probes: what may stand at the cursor, and what a name means.

What clangd can tell with our header (`shim`), it tells better; then only the rest is said here.
All of it is quick: it is asked at each keystroke. Not here: LSP (`lsp.authoring`), where the facts
come from (`knowledge`), and what is wrong with a program (`diagnosis`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from linnix_ls.playground.base import (
    MAX_AUTHORED_CHARS,
    Completion,
    Completions,
    Described,
    Hovered,
    Part,
    Place,
    Signature,
    Sort,
    Span,
    Token,
)
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.knowledge import maps, tracepoints
from linnix_ls.playground.knowledge.btf import Btf, Kind
from linnix_ls.playground.knowledge.helpers import Helper, as_bcc_has_them, read_helpers
from linnix_ls.playground.knowledge.tracepoints import Event, Tracepoints
from linnix_ls.playground.probe_text import (
    Call,
    Chain,
    FunctionDefinition,
    MapDefinition,
    ProbeText,
    probe_text,
)
from linnix_ls.playground.targets import Kernel, this_kernel
from linnix_ls.tracer.bpf_source import bpf_dir

MAX_ITEMS = 100
_MAX_TOKENS = 20_000
_MAX_PRINT_FORMAT_CHARS = 300
_MIN_INFIX_CHARS = 3
_BRIEF_CHARS = 300

_IN_QUOTES = re.compile(r'\b(SEC|BPF_TABLE\w*|BPF_F_TABLE)\s*\(\s*"([^"\n]*)\Z')
_SECTION = re.compile(r'\bSEC\s*\(\s*"(\??[^"\n]*)"')
_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">\n]+)')
_WORD = re.compile(r"\b[A-Za-z_]\w*", re.ASCII)
_RECORD = re.compile(r"\b(?:struct|union)\s+(\w+)")
_CORE_READS = ("BPF_CORE_READ", "BPF_CORE_READ_INTO", "BPF_PROBE_READ", "bpf_core_field_exists")
_DATA_LOCS = {"TP_DATA_LOC": 0, "TP_DATA_LOC_READ": 1, "TP_DATA_LOC_READ_CONST": 1}
_TRACEPOINTS = ("tracepoint", "tp")
_RAW = ("raw_tracepoint", "raw_tp", "tp_btf")
_ITERATORS = ("bpf_link", "bpf_map", "bpf_map_elem", "bpf_prog", "cgroup", "ksym", "task",
              "task_file", "task_vma")  # fmt: skip
_SECTIONS = {
    "tracepoint/": "a tracepoint: its record is the context",
    "tp/": "the same, shorter",
    "raw_tp/": "a raw tracepoint: its arguments as u64",
    "tp_btf/": "a raw tracepoint: its arguments with their types",
    "perf_event": "samples of a perf event, such as a CPU clock",
    "iter/": "walks through things of the kernel",
    "license": "the text of the licence; helpers want GPL",
    ".maps": "a map",
}


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of any record. `record`: the struct that it leads to, as `_Records` knows it."""

    name: str
    declaration: str
    text: str
    record: _Record | None


@dataclass(frozen=True, slots=True)
class _Record:
    """A struct: of a text, or of the kernel."""

    text: ProbeText | None
    key: str | int


class _Records:
    """Structs by name: the text's own, those of the kernel, and those of the product's probes."""

    def __init__(self, text: ProbeText, btf: Btf | None, product: Sequence[ProbeText]) -> None:
        self._texts = (text, *product)
        self.btf = btf

    def find(self, name: str) -> _Record | None:
        own, *others = self._texts
        if name in own.records:
            return _Record(own, name)
        if self.btf and (found := self.btf.find(name)) is not None:
            return _Record(None, found)
        return next((_Record(each, name) for each in others if name in each.records), None)

    def fields(self, record: _Record) -> list[_Field]:
        if record.text is not None:
            found = record.text.fields(record.text.records[str(record.key)])
            return [_Field(each.name, each.declaration, "", None) for each in found]
        if self.btf is None:
            return []
        return [
            _Field(
                each.name,
                each.declaration,
                f"At byte {each.offset}"
                + (f", {each.bits} bits." if each.bits else f", {each.size} bytes.")
                if each.size is not None
                else "",
                None
                if (inner := self.btf.record(each.type_id)) is None
                else _Record(None, inner[0]),
            )
            for each in self.btf.members(int(record.key))
        ]

    def _kernel_record(self, type_id: int) -> _Record | None:
        inner = self.btf.record(type_id) if self.btf else None
        return _Record(None, inner[0]) if inner else None

    def field(self, record: _Record, name: str) -> _Field | None:
        return next((each for each in self.fields(record) if each.name == name), None)

    def behind(self, record: _Record, steps: Iterable[str]) -> _Record | None:
        """Where these fields lead."""
        for step in steps:
            field = self.field(record, step)
            if field is None:
                return None
            inner = field.record
            if inner is None and (named := _RECORD.search(field.declaration)):
                inner = self.find(named[1])
            if inner is None:
                return None
            record = inner
        return record

    def of(self, chain: Chain, text: ProbeText, offset: int) -> _Record | None:
        """Of what a chain's last step is, or points to."""
        name = chain.cast or text.record_of(chain.base, offset)
        record = self.find(name) if name else None
        return None if record is None else self.behind(record, chain.steps)


class ProbeAuthor:
    """See `base.Author`.

    Args:
        product: the product's own probes, by path.
    """

    def __init__(
        self,
        points: Tracepoints,
        helpers: dict[str, Helper],
        btf: Btf | None,
        kernel: Kernel,
        product: dict[str, ProbeText],
    ) -> None:
        self.points = points
        self.helpers = helpers
        self._helpers_of = {Dialect.LIBBPF: helpers, Dialect.BCC: as_bcc_has_them(helpers)}
        self.btf = btf
        self._kernel = kernel
        self._product = product
        points.raw  # noqa: B018 - sorted now, and not at the first keystroke

    # -- completion ------------------------------------------------------------------------

    def complete(
        self, source: str, line: int, column: int, *, has_clangd: bool = False
    ) -> Completions | None:
        if len(source) > MAX_AUTHORED_CHARS:
            return None
        text = probe_text(source)
        offset = text.offset(line, column)
        quoted = _IN_QUOTES.search(text.line_to(offset)[-300:])
        if quoted:
            start = offset - len(quoted[2])
            if text.code[start - len(quoted[0]) + len(quoted[2]) : start].strip():  # no comment
                items = self._in_quotes(quoted[1], quoted[2])
                return _narrowed(items, text.span(start, offset), quoted[2])
        start, _ = text.word(offset)
        prefix = source[start:offset]
        if text.code[start:offset] != prefix or prefix[:1].isdigit():
            return None
        found = self._at(text, start, prefix, has_clangd=has_clangd)
        return _narrowed(found, text.span(start, offset), prefix) if found else None

    def _in_quotes(self, macro: str, content: str) -> list[Completion]:
        if macro != "SEC":
            return [
                Completion(each.name, Sort.CONSTANT, each.text, Described(each.constant, each.text))
                for each in maps.TYPES.values()
            ]
        kind, slash, target = content.removeprefix("?").partition("/")
        if not slash:
            return [Completion(*each) for each in self._sections()]
        if kind in _TRACEPOINTS:
            category, slash, _ = target.partition("/")
            if not slash:
                return [
                    Completion(f"{kind}/{each}/", Sort.CATEGORY, self._n_events(each))
                    for each in self.points.categories
                ]
            return [
                Completion(f"{kind}/{category}/{each}", Sort.EVENT, "tracepoint")
                for each in self.points.events(category)
            ]
        if kind in _RAW:
            return [
                Completion(f"{kind}/{each}", Sort.EVENT, "raw tracepoint")
                for each in self.points.raw
            ]
        if kind == "iter":
            return [Completion(f"iter/{each}", Sort.EVENT, "iterator") for each in _ITERATORS]
        if self.btf and kind in self._function_sections():
            names = self.btf.names(Kind.FUNC, target, MAX_ITEMS + 1)
            return [Completion(f"{kind}/{each}", Sort.FUNCTION, "of the kernel") for each in names]
        return []

    def _sections(self) -> Iterator[tuple[str, Sort, str]]:
        for section, meaning in _SECTIONS.items():
            yield section, Sort.CONSTANT, meaning
        for kind in self._function_sections():
            yield f"{kind}/", Sort.CONSTANT, "a function of the kernel"

    def _function_sections(self) -> list[str]:
        found = ["kprobe", "kretprobe"] if self._kernel.has_kprobes else []
        return found + (["fentry", "fexit"] if self._kernel.has_trampolines else [])

    def _n_events(self, category: str) -> str:
        n_events = len(self.points.events(category))
        return "1 event" if n_events == 1 else f"{n_events} events"

    def _at(
        self, text: ProbeText, start: int, prefix: str, *, has_clangd: bool
    ) -> list[Completion]:
        """What may begin at `start`."""
        before = text.code[max(0, start - 200) : start].rstrip()
        if before.endswith(("->", ".")):
            return [] if has_clangd else self._members(text, start)
        if call := text.call(start):
            found = self._as_argument(text, call, start, has_clangd=has_clangd)
            if found is not None:
                return found
        if has_clangd or not prefix:
            return self._heads(text, prefix) if prefix else []
        if re.search(r"\b(?:struct|union)\Z", before):
            kind = Kind.UNION if before.endswith("union") else Kind.STRUCT
            own = [name for name in text.records if name.startswith(prefix)]
            names = self.btf.names(kind, prefix, MAX_ITEMS + 1) if self.btf else []
            return [
                Completion(each, Sort.STRUCT, "of the kernel" if each in names else "of this file")
                for each in dict.fromkeys([*own, *names])
            ]
        return [*self._names(text), *self._heads(text, prefix)]

    def _heads(self, text: ProbeText, prefix: str) -> list[Completion]:
        if text.dialect is not Dialect.BCC or not prefix:
            return []
        return [
            Completion(each.name, Sort.MACRO, each.signature, Described(each.signature, each.text))
            for each in maps.HEADS.values()
        ]

    def _names(self, text: ProbeText) -> Iterator[Completion]:
        """Names that stand for themselves."""
        for each in text.maps.values():
            yield Completion(each.name, Sort.MAP, _kind_of(each), _described_map(each))
        for function in text.functions:
            if not function.macro:
                yield Completion(function.name, Sort.FUNCTION, "of this file")
        for helper in self._helpers_of[text.dialect].values():
            yield Completion(
                helper.name,
                Sort.HELPER,
                f"refused: {helper.refused}" if helper.refused else helper.prototype,
                Described(helper.prototype, _brief(helper.text)),
                is_refused=helper.refused is not None,
            )
        if text.dialect is Dialect.BCC:
            for macro in maps.MACROS.values():
                yield Completion(
                    macro.name, Sort.MACRO, macro.signature, Described(macro.signature, macro.text)
                )

    def _members(self, text: ProbeText, start: int) -> list[Completion]:
        chain = text.chain(start)
        if chain is None:
            return []
        return [
            Completion(each.name, sort, each.declaration, Described(each.declaration, each.text))
            for each, sort in self._fields_of(text, chain, start)
        ]

    def _fields_of(
        self, text: ProbeText, chain: Chain, offset: int
    ) -> Iterator[tuple[_Field, Sort]]:
        """What may follow a chain."""
        is_plain = not chain.steps and not chain.cast
        if is_plain and (found := text.maps.get(chain.base)) and text.dialect is Dialect.BCC:
            for method in _methods(found):
                label, _ = _method_label(method, found)
                yield _Field(method.name, label, method.text, None), Sort.METHOD
            return
        function = text.function_at(offset)
        if is_plain and chain.base == "args" and (event := self._event_of(function)):
            for field in event.fields:
                yield _of_event(field), Sort.FIELD
            return
        if is_plain and chain.base == "ctx" and _is_raw(function):
            assert function is not None
            for index, each in enumerate(self.points.raw_arguments(function.arguments[0]) or ()):
                name = f"args[{index}]"
                yield _Field(name, each, f"A u64 that is to be cast: {each}.", None), Sort.FIELD
            return
        records = _Records(text, self.btf, list(self._product.values()))
        record = records.of(chain, text, offset)
        if record is not None:
            for found_field in records.fields(record):
                yield found_field, Sort.FIELD

    def _event_of(self, function: FunctionDefinition | None) -> Event | None:
        """The tracepoint whose record is `args` there."""
        if function is None or function.macro != "TRACEPOINT_PROBE" or len(function.arguments) < 2:
            return None
        return self.points.event(*function.arguments[:2])

    def _as_argument(
        self, text: ProbeText, call: Call, start: int, *, has_clangd: bool
    ) -> list[Completion] | None:
        """What an argument may be of which we know more than that it is an expression."""
        callee, index = call.callee, call.index
        if callee == "TRACEPOINT_PROBE" and index == 0:
            return [
                Completion(each, Sort.CATEGORY, self._n_events(each))
                for each in self.points.categories
            ]
        if callee == "TRACEPOINT_PROBE" and index == 1:
            return [
                Completion(each, Sort.EVENT, "tracepoint")
                for each in self.points.events(call.arguments[0])
            ]
        if callee == "RAW_TRACEPOINT_PROBE" and index == 0:
            return [Completion(each, Sort.EVENT, "raw tracepoint") for each in self.points.raw]
        if callee == "__uint" and index == 1 and call.arguments[0] == "type":
            return [
                Completion(each.constant, Sort.CONSTANT, each.text, Described("", each.text))
                for each in maps.TYPES.values()
            ]
        event = self._event_of(text.function_at(start))
        if event and _DATA_LOCS.get(callee) == index:
            return [
                Completion(each.name, Sort.FIELD, each.declaration)
                for each in event.fields
                if each.is_data_loc
            ]
        if callee in _CORE_READS and index >= 1 and not has_clangd:
            chain = Chain(call.arguments[0], call.arguments[1:-1])
            records = _Records(text, self.btf, list(self._product.values()))
            record = records.of(chain, text, start)
            if record is not None:
                return [
                    Completion(each.name, Sort.FIELD, each.declaration)
                    for each in records.fields(record)
                ]
        return None

    # -- hover -----------------------------------------------------------------------------

    def hover(
        self, source: str, line: int, column: int, *, has_clangd: bool = False
    ) -> Hovered | None:
        if len(source) > MAX_AUTHORED_CHARS:
            return None
        text = probe_text(source)
        offset = text.offset(line, column)
        if section := _section_at(text, offset):
            start, content = section
            described = self._described_section(content)
            end = start + len(content)
            return Hovered(text.span(start, end), described) if described else None
        start, end = text.word(offset)
        word = text.code[start:end]
        if not word or word[0].isdigit() or not word.strip():
            return None
        described = self._described_word(text, start, end, has_clangd=has_clangd)
        return Hovered(text.span(start, end), described) if described else None

    def _described_section(self, content: str) -> Described | None:
        kind, _, target = content.removeprefix("?").partition("/")
        if kind in _TRACEPOINTS:
            category, _, name = target.partition("/")
            return self._described_event(category, name, is_bcc=False)
        if kind in _RAW:
            return self._described_raw(target)
        meaning = _SECTIONS.get(kind) or _SECTIONS.get(f"{kind}/")
        return Described("", f"{kind}: {meaning}.") if meaning else None

    def _described_word(
        self, text: ProbeText, start: int, end: int, *, has_clangd: bool
    ) -> Described | None:
        word = text.code[start:end]
        before = text.code[max(0, start - 200) : start].rstrip()
        if before.endswith(("->", ".")):
            found_member = self._described_member(text, start, word)
            if has_clangd and found_member:  # it knows the type, and no text of what macros make
                is_method = word in maps.METHODS and before.endswith(".")
                return Described("", found_member.text) if is_method else None
            return found_member
        call = text.call(start)
        if call and call.callee == "TRACEPOINT_PROBE" and call.index < 2:
            if call.index == 0:
                n_events = self._n_events(word)
                return (
                    Described("", f"{word}: a category of tracepoints, with {n_events}.")
                    if word in self.points.categories
                    else None
                )
            return self._described_event(call.arguments[0], word, is_bcc=True)
        if call and call.callee == "RAW_TRACEPOINT_PROBE" and call.index == 0:
            return self._described_raw(word)
        if helper := self._helpers_of[text.dialect].get(word):
            if has_clangd:  # it has prototype and text
                return Described("", _refusal(helper)) if helper.refused else None
            return _described_helper(helper)
        if macro := maps.MACROS.get(word) or maps.HEADS.get(word):
            return Described(macro.signature, macro.text)
        if word in maps.TYPES_BY_CONSTANT:
            return Described("", f"{word}: {maps.TYPES_BY_CONSTANT[word].text}")
        if has_clangd:
            return None
        if found := text.maps.get(word):
            return _described_map(found)
        if re.search(r"\b(?:struct|union)\Z", before):
            return self._described_record(text, word)
        return None

    def _described_member(self, text: ProbeText, start: int, word: str) -> Described | None:
        chain = text.chain(start)
        if chain is None:
            return None
        for field, _ in self._fields_of(text, chain, start):
            if field.name == word:
                return Described(field.declaration, field.text)
        return None

    def _described_record(self, text: ProbeText, name: str) -> Described | None:
        records = _Records(text, self.btf, list(self._product.values()))
        record = records.find(name)
        if record is None:
            return None
        fields = records.fields(record)
        shown = [f"    {each.declaration};" for each in fields[:20]]
        more = [f"    /* and {len(fields) - 20} more */"] if len(fields) > 20 else []
        size = self.btf.size(int(record.key)) if self.btf and record.text is None else None
        lines = [f"struct {name} {{", *shown, *more, "};"]
        return Described("\n".join(lines), f"{size} bytes, in this kernel." if size else "")

    def _described_event(self, category: str, name: str, *, is_bcc: bool) -> Described | None:
        event = self.points.event(category, name)
        if event is None:
            return None
        if not event.fields:
            return Described(
                f"{category}:{name}",
                "Its fields cannot be read here: that takes an agent, or root."
                if not self.points.has_all_names
                else "It has no fields.",
            )
        lines = [
            f"    {each.bcc_declaration if is_bcc else each.declaration};"
            f"  /* at {each.offset}, {each.size} bytes */"
            for each in event.fields
        ]
        lines = [
            f"/* {category}:{name} */",
            "struct {",
            *lines,
            f"}} *{'args' if is_bcc else 'ctx'};",
        ]
        texts = [f"As the kernel prints it: {event.print_format[:_MAX_PRINT_FORMAT_CHARS]}"]
        if is_bcc and any(each.is_data_loc for each in event.fields):
            texts.append(
                "A data_loc field says where a text is: TP_DATA_LOC_READ_CONST(destination, "
                "name, n_bytes) reads it."
            )
        return Described("\n".join(lines), "\n\n".join(texts) if event.print_format else "")

    def _described_raw(self, name: str) -> Described | None:
        arguments = self.points.raw_arguments(name)
        if arguments is None:
            return None
        lines = [f"ctx->args[{index}]  /* {each} */" for index, each in enumerate(arguments)]
        return Described(
            "\n".join([f"/* raw tracepoint {name} */", *lines]), "Each is a u64, to be cast."
        )

    # -- signature -------------------------------------------------------------------------

    def signature(
        self, source: str, line: int, column: int, *, has_clangd: bool = False
    ) -> Signature | None:
        if len(source) > MAX_AUTHORED_CHARS:
            return None
        text = probe_text(source)
        offset = text.offset(line, column)
        call = text.call(offset)
        if call is None:
            return None
        if call.receiver:
            found = text.maps.get(call.receiver)
            method = maps.METHODS.get(call.callee)
            if has_clangd or found is None or method not in _methods(found):
                return None
            label, arguments = _method_label(method, found)
            return _signature(label, arguments, call.index, method.text)
        if macro := maps.MACROS.get(call.callee) or maps.HEADS.get(call.callee):
            return _signature(macro.signature, macro.parameters, call.index, macro.text)
        helper = self._helpers_of[text.dialect].get(call.callee)
        if has_clangd or helper is None or helper.arguments is None:
            return None
        described = f"{_refusal(helper)}\n\n{helper.text}" if helper.refused else helper.text
        return _signature(helper.prototype, helper.arguments, call.index, described)

    # -- tokens ----------------------------------------------------------------------------

    def tokens(self, source: str, *, has_clangd: bool = False) -> list[Token]:
        """In order. None where clangd is: editors show those of one server."""
        if len(source) > MAX_AUTHORED_CHARS or has_clangd:
            return []
        text = probe_text(source)
        found = sorted(
            [*self._word_tokens(text), *self._section_tokens(text)],
            key=lambda each: (each.span.line, each.span.column or 0),
        )
        return found[:_MAX_TOKENS]

    def _word_tokens(self, text: ProbeText) -> Iterator[Token]:
        code = text.code
        definitions = {each.start for each in text.maps.values()}
        heads: dict[int, Sort] = {}
        for match in re.finditer(r"\b(RAW_)?TRACEPOINT_PROBE\s*\(\s*(\w+)(?:\s*,\s*(\w+))?", code):
            heads[match.start(2)] = Sort.EVENT if match[1] else Sort.CATEGORY
            if match[3] and not match[1]:
                heads[match.start(3)] = Sort.EVENT
        for match in _WORD.finditer(code):
            word, start = match[0], match.start()
            span = None
            before = code[max(0, start - 2) : start]
            if start in heads:
                sort = heads[start]
            elif before.endswith("."):
                receiver_start, receiver_end = text.word(start - 1)
                if word not in maps.METHODS or code[receiver_start:receiver_end] not in text.maps:
                    continue
                sort = Sort.METHOD
            elif before == "->":
                receiver_start, receiver_end = text.word(start - 2)
                if code[receiver_start:receiver_end] not in ("args", "ctx"):
                    continue
                sort = Sort.FIELD
            elif word in text.maps:
                sort = Sort.MAP
            elif word in self.helpers:
                sort = Sort.HELPER
            elif word in maps.MACROS or word in maps.HEADS:
                sort = Sort.MACRO
            else:
                continue
            helper = self.helpers.get(word) if sort is Sort.HELPER else None
            span = text.span(start, match.end())
            yield Token(span, sort, start in definitions, bool(helper and helper.refused))

    def _section_tokens(self, text: ProbeText) -> Iterator[Token]:
        for match in _SECTION.finditer(text.text):
            if text.code[match.start()] != "S":
                continue  # in a comment
            at = match.start(1)
            kind, *parts = match[1].removeprefix("?").split("/")
            at += len(match[1]) - len(match[1].removeprefix("?")) + len(kind) + 1
            if kind not in (*_TRACEPOINTS, *_RAW):
                continue
            sorts = [Sort.CATEGORY, Sort.EVENT] if kind in _TRACEPOINTS else [Sort.EVENT]
            for part, sort in zip(parts, sorts, strict=False):
                if part:
                    yield Token(text.span(at, at + len(part)), sort)
                at += len(part) + 1

    # -- definition ------------------------------------------------------------------------

    def definition(
        self, source: str, line: int, column: int, *, has_clangd: bool = False
    ) -> Place | None:
        """In this text (clangd's business, if it is there), else in the product's own probes."""
        if len(source) > MAX_AUTHORED_CHARS:
            return None
        text = probe_text(source)
        offset = text.offset(line, column)
        if included := _INCLUDE.match(text.line_to(offset)):
            name = Path(included[1]).name
            path = next((each for each in self._product if Path(each).name.startswith(name)), None)
            return Place(path, Span(1, 1, 1)) if path else None
        start, end = text.word(offset)
        word = text.code[start:end]
        if not word.strip() or text.code[max(0, start - 2) : start] == "->":
            return None
        if (span := _defined_in(text, word)) is not None:
            return None if has_clangd else Place(None, span)
        for path, other in self._product.items():
            if (span := _defined_in(other, word)) is not None:
                return Place(path, span)
        return None

    # -- the whole of it -------------------------------------------------------------------

    def tell(self, source: str) -> tuple[Part, ...]:
        if len(source) > MAX_AUTHORED_CHARS:
            return ()
        from linnix_ls.playground.telling import tell  # it brings a parser

        return tell(source, self.points, self.helpers)


def load(told: bytes | None = None) -> ProbeAuthor:
    """All that is known of this machine. Takes 0.15 s.

    Args:
        told: what an agent knows that we may not read (`knowledge_of_root`).
    """
    facts = _facts(told)
    btf = Btf.of_this_kernel()
    points = tracepoints.from_tracefs(btf) or tracepoints.from_json(facts.get("tracepoints"), btf)
    callers = facts.get("callers")
    helpers = read_helpers(btf, callers if isinstance(callers, dict) else None)
    product = {}
    for path in sorted(bpf_dir().glob("*")):
        if path.suffix in (".h", ".c"):
            product[str(path)] = ProbeText(path.read_text(encoding="utf-8", errors="replace"))
    return ProbeAuthor(points or tracepoints.from_types(btf), helpers, btf, this_kernel(), product)


def _facts(told: bytes | None) -> dict[str, object]:
    try:
        facts = json.loads(told) if told else {}
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _narrowed(items: Sequence[Completion], span: Span, prefix: str) -> Completions | None:
    """Those that the prefix fits: the ones that begin so before those that have it within."""
    lowered = prefix.lower()
    begin = [each for each in items if each.text.lower().startswith(lowered)]
    found = list(begin)
    if len(prefix) >= _MIN_INFIX_CHARS:
        found += [
            each
            for each in items
            if lowered in each.text.lower() and not each.text.lower().startswith(lowered)
        ]
    if not found:
        return None
    return Completions(span, tuple(found[:MAX_ITEMS]), has_more=len(found) > MAX_ITEMS)


def _section_at(text: ProbeText, offset: int) -> tuple[int, str] | None:
    """What is in the quotes of a SEC() around that."""
    line_start = offset - len(text.line_to(offset))
    line_end = text.text.find("\n", offset)
    for match in _SECTION.finditer(
        text.text, line_start, line_end if line_end >= 0 else len(text.text)
    ):
        if match.start(1) <= offset <= match.end(1) and text.code[match.start()] == "S":
            return match.start(1), match[1]
    return None


def _kind_of(found: MapDefinition) -> str:
    parts = [found.kind.replace("_", " ") or "map"]
    if found.key and found.leaf and found.kind not in ("ringbuf", "perf_event_array"):
        parts.append(f"{found.key} → {found.leaf}")
    return ", ".join(parts)


def _described_map(found: MapDefinition) -> Described:
    kind = maps.TYPES.get(found.kind)
    texts = [f"{kind.name}: {kind.text}"] if kind else []
    if kind and kind.methods and found.macro:
        texts.append("Methods: " + ", ".join(kind.methods) + ".")
    return Described(found.declaration, "\n\n".join(texts))


def _methods(found: MapDefinition) -> list[maps.Method]:
    kind = maps.TYPES.get(found.kind)
    return [maps.METHODS[name] for name in kind.methods] if kind and found.macro else []


def _method_label(method: maps.Method, found: MapDefinition) -> tuple[str, tuple[str, ...]]:
    result, arguments = method.signature(found.key or "u64", found.leaf or "u64")
    space = "" if result.endswith("*") else " "
    return f"{result}{space}{found.name}.{method.name}({', '.join(arguments)})", arguments


def _of_event(field: tracepoints.Field) -> _Field:
    text = "" if field.offset is None else f"At byte {field.offset}, {field.size} bytes."
    if field.is_data_loc:
        text += (
            " Where the text is, and how long: read it with"
            f" TP_DATA_LOC_READ_CONST(destination, {field.name}, n_bytes)."
        )
    return _Field(field.bcc_name, field.bcc_declaration, text, None)


def _is_raw(function: FunctionDefinition | None) -> bool:
    return function is not None and function.macro == "RAW_TRACEPOINT_PROBE"


def _refusal(helper: Helper) -> str:
    return (
        f"Refused in the playground: it {helper.refused}. Record it in a map or ring buffer, and "
        "act in user space."
    )


def _described_helper(helper: Helper) -> Described:
    texts = [_refusal(helper)] if helper.refused else []
    texts.append(helper.text)
    if helper.callers is not None:
        texts.append(
            f"May be called by: {', '.join(helper.callers)}."
            if helper.callers
            else "On this kernel no program that only looks may call it."
        )
    if helper.number is not None:
        texts.append(f"Helper number {helper.number}.")
    return Described(helper.prototype, "\n\n".join(text for text in texts if text))


def _brief(text: str) -> str:
    first = text.partition("\n\n")[0]
    return first if len(first) <= _BRIEF_CHARS else first[: _BRIEF_CHARS - 1] + "…"


def _signature(label: str, parameters: Sequence[str], index: int, text: str) -> Signature | None:
    """None where there are more arguments than it takes."""
    last = max(0, len(parameters) - 1)
    if index > last and not (parameters and parameters[-1].endswith("...")):
        return None
    return Signature(label, tuple(parameters), min(index, last), Described("", text))


def _defined_in(text: ProbeText, word: str) -> Span | None:
    if found := text.maps.get(word):
        return text.span(found.start, found.end)
    for function in text.functions:
        if function.name == word and not function.macro.endswith("TRACEPOINT_PROBE"):
            return text.span(function.named_at, function.named_at + len(word))
    if record := text.records.get(word):
        return text.span(record.named_at, record.named_at + len(word))
    return None
