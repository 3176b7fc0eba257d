"""A verifier's refusal as a problem: which rule, at which line, in which words.

The numbers are the log's, the names the source's: a reader of the message never needs to know
what a register is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from linnix_ls.playground.base import Problem, Related, Severity, Span
from linnix_ls.playground.c_source import CSource, Function
from linnix_ls.playground.verifier.log import Log, Step, read_log
from linnix_ls.playground.verifier.origin import Origin, known_of, origin_of
from linnix_ls.playground.verifier.rules import Match, match

_CALL = re.compile(r"^call (?P<helper>\w+)#\d+")
_MEMORY = re.compile(r"\*\(\w+ \*\)\(r(?P<reg>\d+) (?P<off>[+-]\d+)\)")
_JUMP = re.compile(r"^if [rw](?P<left>\d+) (?P<operator>\S+) (?P<right>\S+) goto")
_BOUND = re.compile(r"(?P<name>[us](?:min|max)(?:32)?)=(?:(?=[us])|(?P<value>-?(?:0x[0-9a-f]+|\d+)))")
_MAP = re.compile(r"\bmap=(\w+)")
_RELEASES = re.compile(r"^call bpf_(?:ringbuf_(?:submit|discard)|sk_release|\w+_release)")
_UNBOUNDED = 1 << 32

# What a verifier's type is in words; the first that is in it.
_KINDS = (
    ("or_null", "a pointer that may be NULL"),
    ("map_value", "a value of a map"),
    ("map_ptr", "a map"),
    ("ringbuf_mem", "a ring buffer's record"),
    ("mem", "memory that was checked"),
    ("fp", "a local variable"),
    ("stack", "a local variable"),
    ("ctx", "the context"),
    ("pkt", "a packet"),
    ("scalar", "a number"),
    ("inv", "a number"),
    ("trusted", "a kernel's object"),
    ("ptr_", "a kernel's object"),
)
# enum bpf_map_type, include/uapi/linux/bpf.h
_MAP_TYPES = (
    "unspecified hash array prog_array perf_event_array percpu_hash percpu_array stack_trace"
    " cgroup_array lru_hash lru_percpu_hash lpm_trie array_of_maps hash_of_maps devmap sockmap"
    " cpumap xskmap sockhash cgroup_storage reuseport_sockarray percpu_cgroup_storage queue stack"
    " sk_storage devmap_hash struct_ops ringbuf inode_storage task_storage bloom_filter"
    " user_ringbuf cgrp_storage arena"
).split()


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused program.

    Attributes:
        lines: of its instructions, the editor's line of each that has one.
    """

    source: CSource
    program: str
    errno_text: str
    log_text: str
    lines: Mapping[int, int]


def explain(refusal: Refusal) -> Problem:
    """Never fails: a message that no rule knows is shown as it is, at the best line."""
    return _Explanation(refusal, read_log(refusal.log_text)).problem()


class _Explanation:
    def __init__(self, refusal: Refusal, log: Log) -> None:
        self.refusal = refusal
        self.source = refusal.source
        self.log = log
        self.steps = log.steps
        self.function = self._function()
        holds = ["released"] if self._is_released() else []
        self.match = match(log.messages, holds)
        self.facts = self.match.facts if self.match else {}
        self.insn = self.steps[-1].at if self.steps else None
        if "insn" in self.facts:
            self.insn = int(self.facts["insn"])
        self.register = self._register()
        self.origin = origin_of(self.steps, self.register) if self.register else None
        self.line = self._line()
        self.value_span = self._value_span()

    def problem(self) -> Problem:
        return Problem(
            span=self._span(),
            severity=Severity.ERROR,
            code=f"verifier/{self.match.rule.id}" if self.match else "verifier/unknown",
            message=self._message(),
            related=tuple(self._related()),
            program=self.refusal.program,
            log=self.refusal.log_text,
        )

    # -- where ---------------------------------------------------------------------------------

    def _function(self) -> Function | None:
        if self.log.validating and (found := self.source.function(self.log.validating)):
            return found
        return self.source.function(self.refusal.program)

    def _line_of(self, insn: int | None) -> int | None:
        """Of an instruction, or of the last one before it in the program that has a line."""
        if insn is None:
            return None
        before = [at for at in self.refusal.lines if at <= insn]
        return self.refusal.lines[max(before)] if before else None

    def _line_of_step(self, step: Step) -> int | None:
        """By the table, which knows the user's file only; else what the log itself says."""
        return self._line_of(step.at) or step.line

    def _line(self) -> int:
        report = self.log.report
        if report and report.line:
            return report.line
        place = self.match.rule.place if self.match else "last"
        line = self._line_of(self.insn)
        if line is None and self.steps:
            # Of a path that came in through a header: the last that is the user's.
            line = next(
                (known for step in reversed(self.steps) if (known := self._line_of_step(step))),
                None,
            )
        head = self.function.head.line if self.function else 1
        if place in ("function", "named") or line is None:
            return self._named_in_function() or (line if place == "named" else None) or head
        if place == "loop":
            return self.source.loop_around(line) or self._loop_of_path() or line
        if place == "return":
            inside = self.source.function_at(line) or self.function
            if not re.search(r"\breturn\b", self.source.code(line)) and inside:
                return self.source.last_return(inside) or line
        if not re.search(r"[^\s{}()]", self.source.code(line)) and self.function:
            # A brace: what was refused is the end of the function.
            return self.source.last_return(self.function) or line
        return line

    def _named_in_function(self) -> int | None:
        """Of a complaint without a position: where what it names is used."""
        what = self.facts.get("what")
        if not what or not self.function:
            return None
        return next(
            (
                line
                for line in range(self.function.first_line, self.function.last_line + 1)
                if what in self.source.code(line)
            ),
            None,
        )

    def _loop_of_path(self) -> int | None:
        """The loop in which the walk went on last: a macro may hide it from the last step."""
        for step in reversed(self.steps[-2000:]):
            line = self._line_of(step.at)
            if line and (loop := self.source.loop_around(line)):
                return loop
        return None

    def _span(self) -> Span:
        if self.function and self.line == self.function.head.line:
            return self.function.head
        place = self.match.rule.place if self.match else "last"
        if place == "last":
            for span in (self.value_span, self._call_span()):
                if span and span.line == self.line:
                    return span
        if place == "acquired" and (call := self._call_span()):
            return call
        return self.source.whole(self.line)

    def _value_span(self) -> Span | None:
        """The expression of the refused line that stands for the register, as far as that can be
        told: the variable that was given the value, where it is used."""
        if not self.register or not self.steps:
            return None
        name = self._variable()
        if name is None:
            return None
        word = re.escape(name)
        used = rf"\*\s*{word}\b|\b{word}\s*(?:->\s*\w+(?:\[[^\]]*\])?|\[[^\]]*\])|\b{word}\b"
        return self.source.find(self.line, used)

    def _call_span(self) -> Span | None:
        call = r"\b[A-Za-z_]\w*(?:\s*\.\s*\w+)?\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
        calls = [
            match
            for match in re.finditer(call, self.source.code(self.line))
            if not re.match(r"(?:if|while|for|switch|return|sizeof)\b", match[0])
        ]
        if not calls or not self._helper():
            return None
        return Span(self.line, calls[0].start() + 1, calls[0].end() + 1)

    # -- what ----------------------------------------------------------------------------------

    def _is_released(self) -> bool:
        """Whether the path gave away a reference, and the refused value came from one."""
        return any(_RELEASES.match(step.text) for step in self.steps)

    def _register(self) -> str | None:
        for name in ("reg", "reg2"):
            if name in self.facts:
                return f"R{self.facts[name]}"
        for message in self.log.messages:
            if found := re.match(r"R(\d+)\b", message):
                return f"R{found[1]}"
        if self.steps and (memory := _MEMORY.search(self.steps[-1].text)):
            return f"R{memory['reg']}"
        return None

    def _variable(self) -> str | None:
        """The name that the source gives to what is in the register."""
        used = set(re.findall(r"\b[A-Za-z_]\w*\b", self.source.code(self.line)))
        lines: list[int | None] = [self._line_of_step(self.origin.step)] if self.origin else []
        for line in lines:
            if line is None:
                continue
            assigned = re.search(r"\b([A-Za-z_]\w*)\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)", self.source.code(line))
            if assigned and (line != self.line or assigned[1] in used):
                if assigned[1] in used:
                    return assigned[1]
                # By another name since then: a parameter of a function, a copy of it.
        pointer = re.search(
            r"(?:^|[^\w)\]\s])\s*\*\s*([A-Za-z_]\w*)\b|\b([A-Za-z_]\w*)\s*(?:->|\[)",
            self.source.code(self.line),
        )
        return (pointer[1] or pointer[2]) if pointer else None

    def _index(self) -> str | None:
        inside = re.search(r"\[([^\[\]]+)\]", self.source.code(self.line))
        return inside[1].strip() if inside and not inside[1].strip().isdigit() else None

    def _helper(self) -> str | None:
        if "helper" in self.facts:
            return self.facts["helper"]
        step = self.steps[-1] if self.steps else None
        if self.insn is not None:
            step = next((each for each in reversed(self.steps) if each.at == self.insn), step)
        call = _CALL.match(step.text) if step else None
        return call["helper"] if call else None

    def _known(self) -> str | None:
        return known_of(self.steps, self.register) if self.register else None

    # -- words ---------------------------------------------------------------------------------

    def _message(self) -> str:
        if self.match is None:
            report = self.log.report
            said = (report.reason if report else "") or self.log.message or self.refusal.errno_text
            return f"the verifier refuses this: {said}"
        rule = self.match.rule
        words = _Words(self._fact)
        said = rule.says.format_map(words)
        return f"{said}. Fix: {rule.fix.format_map(words)}"

    def _fact(self, name: str) -> str:
        if name in self.facts and name not in ("map",):
            return self.facts[name]
        known = self._known() or ""
        match name:
            case "value":
                index = self._index()
                if index and self.match and self.match.rule.id in _OF_AN_INDEX:
                    return f"`{index}`"
                if self.match and self.match.rule.id in _OF_AN_ARGUMENT:
                    return self._argument() or "this value"
                variable = self._variable()
                return f"`{variable}`" if variable else "this value"
            case "name":
                return self._variable() or "pointer"
            case "missing":
                kind, what = self.facts.get("type"), self.facts.get("what")
                owner = f"struct {kind.split('___')[0]}" if kind else "such type or field"
                return f"field `{what}` in {owner}" if what else owner
            case "unset":
                return "the result of this function" if self.register == "R0" else "a value used here"
            case "helper":
                helper = self._helper()
                return f"{helper}()" if helper else "the function"
            case "map":
                found = _MAP.search(known) or _MAP.search(self._last_map())
                return f"`{found[1]}`" if found else "the map"
            case "kind_words":
                return _kind(self.facts.get("kind", known))
            case "wanted_words":
                kinds = self.facts.get("wanted", "").split(", ")
                words = list(dict.fromkeys(_kind(kind) for kind in kinds if kind))
                # Of the eight that take any memory, two say enough.
                return " or ".join(words) if len(words) < 3 else "the address of a variable"
            case "map_type_words":
                number = int(self.facts.get("map_type", 0))
                return _MAP_TYPES[number] if number < len(_MAP_TYPES) else f"type {number}"
            case "reach":
                is_before = int(self.facts.get("off", 0)) < 0
                return "before the beginning" if is_before else "beyond the end"
            case "end_words":
                return "small" if self.facts.get("end") == "min" else "large"
            case "because":
                said = _range(known)
                index = self._index()
                if said and index:
                    return f", because of `{index}`: the offset may be {said}"
                return f", the offset may be {said}" if said else ""
            case "range_said":
                said = _range(known)
                return f": it may be {said}" if said else ""
        return "?"

    def _last_map(self) -> str:
        for step in reversed(self.steps):
            for state in step.registers.values():
                if "map=" in state:
                    return state
        return ""

    def _argument(self) -> str | None:
        """The source of the helper's argument that is in the register."""
        call = self._call_span()
        if call is None or not self.register:
            return None
        text = self.source.code(call.line)[(call.column or 1) - 1 : (call.end_column or 1) - 1]
        arguments = _arguments(text)
        number = int(self.register[1:])
        # BCC's methods put the map before, or what follows the context.
        if "." in text.split("(")[0]:
            number -= 1 if not text.split("(")[0].endswith("perf_submit") else -0
            if text.split("(")[0].endswith("perf_submit"):
                number = {4: 2, 5: 3}.get(number, number)
        if 0 < number <= len(arguments):
            return f"`{arguments[number - 1]}`"
        return None

    # -- other places --------------------------------------------------------------------------

    def _related(self) -> list[Related]:
        found: list[Related] = []
        rule = self.match.rule.id if self.match else ""
        if self.origin:
            self._add(found, self._line_of_step(self.origin.step), _came_from(self.origin, rule))
        if rule in _OF_A_BOUND and _range(self._known() or "") and (check := self._weak_check()):
            self._add(found, check, "this check is not enough")
        if rule == "ref-leak" and self.steps:
            self._add(found, self._line_of(self.steps[-1].at), "on this path the program ends without it")
        state = _MAP.search(self._known() or "") or _MAP.search(self._last_map())
        if state and (line := self._map_line(state[1])):
            self._add(found, line, f"`{state[1]}` is defined here")
        return found

    def _map_line(self, shown: str) -> int | None:
        """The kernel keeps 15 characters of a name."""
        return next(
            (line for name, line in self.source.maps.items() if name[:15] == shown), None
        )

    def _add(self, found: list[Related], line: int | None, message: str) -> None:
        lines = {self.line, *(each.span.line for each in found)}
        if line and line not in lines and line <= len(self.source.lines):
            found.append(Related(self.source.whole(line), message))

    def _weak_check(self) -> int | None:
        """The last comparison on the way whose line names the index or the variable."""
        names = [name for name in (self._index() or self._variable(),) if name]
        words = {word for name in names for word in re.findall(r"[A-Za-z_]\w*", name)}
        for step in reversed(self.steps):
            if _JUMP.match(step.text) and (line := self._line_of(step.at)) and line != self.line:
                code = self.source.code(line)
                if "if" in code and words & set(re.findall(r"[A-Za-z_]\w*", code)):
                    return line
        return None


_OF_AN_INDEX = frozenset(
    {"unbounded-index", "negative-index", "outside-range", "ptr-math-unbounded"}
)
_OF_AN_ARGUMENT = frozenset({"helper-size", "helper-zero-size", "arg-not-const"})
_OF_A_BOUND = _OF_AN_INDEX | {"map-value-bounds", "mem-bounds", "helper-size", "stack-bounds"}


class _Words(dict[str, str]):
    """Facts for a template, found when they are asked for."""

    def __init__(self, fact: Callable[[str], str]) -> None:
        super().__init__()
        self._find = fact

    def __missing__(self, name: str) -> str:
        return self._find(name)


def _kind(state: str) -> str:
    return next((words for name, words in _KINDS if name in state), state or "something else")


def _range(state: str) -> str | None:
    """ "from 0 to 20", as far as the log knows it; None where it knows nothing."""
    bounds: dict[str, int] = {}
    pending: list[str] = []
    for found in _BOUND.finditer(state):
        pending.append(found["name"])
        if found["value"] is not None:
            for name in pending:
                bounds[name] = int(found["value"], 0)
            pending.clear()
    low = bounds.get("smin", bounds.get("umin", 0 if "umax" in bounds else None))
    high = bounds.get("smax", bounds.get("umax"))
    if not bounds:
        return "any number" if "scalar()" in state else None
    if high is None or abs(high) >= _UNBOUNDED - 1:
        return "any number" if low is None or low <= -(1 << 62) else f"{low} or more"
    if low is None or low <= -(1 << 62):
        return f"{high} or less, negative too"
    return f"{low}" if low == high else f"from {low} to {high}"


def _arguments(call: str) -> list[str]:
    """Of the text of a call, split at commas that are not inside parentheses."""
    inside = call[call.index("(") + 1 : call.rindex(")")]
    parts, depth, start = [], 0, 0
    for at, character in enumerate(inside):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(inside[start:at].strip())
            start = at + 1
    return [*parts, inside[start:].strip()] if inside.strip() else []


def _came_from(origin: Origin, rule: str) -> str:
    if origin.helper == "bpf_map_lookup_elem" and rule.startswith("null"):
        return "the value comes from this lookup, which may find nothing"
    if origin.helper:
        return f"the value comes from here ({origin.helper}())"
    return "the value comes from here"


def matched(messages: Sequence[str]) -> Match | None:
    """For tests of the catalogue: the rule of messages alone."""
    return match(messages)
