"""A verifier's refusal as a problem: which rule, at which line, in which words.

The numbers are the log's, the names the source's: a reader of the message never needs to know
what a register is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from linnix_ls.playground.base import Problem, Related, Severity, Span
from linnix_ls.playground.c_source import CSource, Function
from linnix_ls.playground.verifier.log import Log, Step, read_log
from linnix_ls.playground.verifier.origin import Origin, known_of, origin_of
from linnix_ls.playground.verifier.rules import match

_CALL = re.compile(r"^call (?P<helper>\w+)(?:#\d+)?")
_MEMORY = re.compile(r"\*\(\w+ \*\)\(r(?P<reg>\d+) (?P<off>[+-]\d+)\)")
_JUMP = re.compile(r"^if [rw](?P<left>\d+) (?P<operator>\S+) (?P<right>\S+) goto")
_BOUND = re.compile(
    r"(?P<name>[us](?:min|max)(?:32)?)=(?:(?=[us])|(?P<value>-?(?:0x[0-9a-f]+|\d+)))"
)
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
        file: as the log calls the source: without its folder.
        lines: of its instructions, the editor's line of each that has one.
    """

    source: CSource
    file: str
    program: str
    errno_text: str
    log_text: str
    lines: Mapping[int, int]
    is_bcc: bool = False


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
        self.file_variable: str | None = None
        holds = ["released"] if self._is_released() else []
        if self._was_given_away():
            holds.append("given away")
        if refusal.is_bcc and self._is_of_a_variable():
            holds.append("variable in bcc")
        if refusal.is_bcc and self._call_of_own():
            holds.append("calls in bcc")
        if self._is_null():
            holds.append("null")
        self.match = match(log.messages, holds)
        self.facts = self.match.facts if self.match else {}
        self.insn = self.steps[-1].at if self.steps else None
        if "insn" in self.facts:
            self.insn = int(self.facts["insn"])
        self.register = self._register()
        self.origin = origin_of(self.steps, self.register) if self.register else None
        self.line = self._line()
        self.argument: str | None = None
        if self.match and self.match.rule.id in _OF_AN_ARGUMENT and (said := self._argument()):
            self.argument, self.line = said
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
        """By the log itself where it has lines: it knows those of functions that the loader has
        put behind this one."""
        if step.file and step.file == self.refusal.file:
            return step.line
        return self._line_of(step.at)

    def _line(self) -> int:
        report = self.log.report
        if report and report.line:
            return report.line
        place = self.match.rule.place if self.match else "last"
        line = self._line_at(self.insn)
        if line is None and self.steps:
            # Of a path that came in through a header: the last that is the user's.
            line = next(
                (known for step in reversed(self.steps) if (known := self._line_of_step(step))),
                None,
            )
        head = self.function.head.line if self.function else 1
        if place == "calls":
            return self._call_of_own() or head
        if line is None or place in ("function", "named"):
            return self._named_in_function() or (line if place == "named" else None) or head
        if self.steps and self.steps[-1].text == "exit" and line == head:
            return self._return_of_path() or line
        if place == "last" and self.steps and self.steps[-1].at == self.insn:
            # The log goes on with the line of the jump to the end, where it prints no other.
            is_end = self.steps[-1].text == "exit" and "return" not in self.source.code(line)
            if is_end and (left_at := self._return_of_path()):
                return left_at
        if place == "loop":
            return self.source.loop_around(line) or self._loop_of_path() or line
        if place == "return":
            inside = self.source.function_at(line) or self.function
            if not re.search(r"\breturn\b", self.source.code(line)) and inside:
                return self.source.last_return(inside) or line
        is_null = self.match is not None and self.match.rule.id.startswith("null-")
        if is_null and (used_at := self._use_of_value(line)):
            return used_at
        if not re.search(r"[^\s{}()]", self.source.code(line)) and self.function:
            # A brace: what was refused is the end of the function.
            return self.source.last_return(self.function) or line
        return line

    def _use_of_value(self, line: int) -> int | None:
        """Where a pointer is followed first that the refused line only makes: the compiler takes
        the address of a field as soon as there is a pointer, and gives it that line."""
        made = re.search(r"\b([A-Za-z_]\w*)\s*=(?!=)", self.source.code(line))
        inside = self.source.function_at(line)
        if not (made and inside and self.origin):
            return None
        if self._line_of_step(self.origin.step) != line:
            return None
        name = re.escape(made[1])
        used = re.compile(rf"\b{name}\s*(?:->|\[)|(?:^|[^\w)\]\s])\s*\*\s*{name}\b")
        if re.search(rf"\b{name}\s*(?:->|\[)", self.source.code(line)):
            return None
        return next(
            (
                at
                for at in range(line + 1, inside.last_line + 1)
                if used.search(self.source.code(at))
            ),
            None,
        )

    def _line_at(self, insn: int | None) -> int | None:
        """Of an instruction that the verifier has walked over."""
        step = next((each for each in reversed(self.steps) if each.at == insn), None)
        return self._line_of_step(step) if step else self._line_of(insn)

    def _return_of_path(self) -> int | None:
        """Where the walk left the function, when the exit itself has no line of its own: behind
        the last line that it came through."""
        head = self.function.head.line if self.function else 0
        for step in reversed(self.steps):
            line = self._line_of_step(step)
            if line and line != head:
                near = range(line, min(line + 3, len(self.source.lines) + 1))
                return next((at for at in near if "return" in self.source.code(at)), line)
        return None

    def _call_of_own(self) -> int | None:
        """Where the program calls another function of this source."""
        if not self.function:
            return None
        names = "|".join(re.escape(each.name) for each in self.source.functions if each.name)
        return next(
            (
                line
                for line in range(self.function.head.line + 1, self.function.last_line + 1)
                if re.search(rf"\b(?:{names})\s*\(", self.source.code(line))
            ),
            None,
        )

    def _named_in_function(self) -> int | None:
        """Of a complaint without a position: where what it names is used, as a field if it can
        be: here, or in a function that was put into this one."""
        what = self.facts.get("what")
        if not what or not self.function:
            return None
        here = _lines_of(self.function)
        inside = (at for each in self.source.functions for at in _lines_of(each))
        field = re.compile(rf"(?:->|\.|,)\s*{re.escape(what)}\b")
        word = re.compile(rf"\b(?:bpf_)?{re.escape(what)}(?![a-z0-9])")
        return next(
            (
                line
                for pattern, lines in ((field, here), (field, inside), (word, here))
                for line in lines
                if pattern.search(self.source.code(line))
            ),
            None,
        )

    def _loop_of_path(self) -> int | None:
        """The loop in which the walk went on last: a macro may hide it from the last step."""
        for step in reversed(self.steps[-2000:]):
            line = self._line_of_step(step)
            if line and (loop := self.source.loop_around(line)):
                return loop
        return None

    def _span(self) -> Span:
        if self.function and self.line == self.function.head.line:
            return self.function.head
        place = self.match.rule.place if self.match else "last"
        if place == "last":
            if self.match and self.match.rule.id in _OF_AN_ARGUMENT and self.argument:
                return self.source.find(self.line, re.escape(self.argument)) or self.source.whole(
                    self.line
                )
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
        call = self._call()
        if call is None:
            return None
        text, column = call
        first = text.split("\n")[0]
        return Span(self.line, column, column + len(first))

    def _call(self) -> tuple[str, int] | None:
        """The text of the call at the line, which may go on behind it, and its column."""
        if not self._helper():
            return None
        code = self.source.code(self.line)
        for found in re.finditer(r"\b[A-Za-z_]\w*(?:\s*\.\s*\w+)?\s*\(", code):
            if re.match(r"(?:if|while|for|switch|return|sizeof)\b", found[0]):
                continue
            text = "\n".join(self.source.code(line) for line in range(self.line, self.line + 12))
            depth = 0
            for at in range(found.end() - 1, len(text)):
                depth += (text[at] == "(") - (text[at] == ")")
                if depth == 0:
                    return text[found.start() : at + 1], found.start() + 1
        return None

    # -- what ----------------------------------------------------------------------------------

    def _is_released(self) -> bool:
        """Whether the path gave away a reference, and the refused value came from one."""
        return any(_RELEASES.match(step.text) for step in self.steps)

    def _was_given_away(self) -> bool:
        """Whether the refused value itself is what was reserved or acquired."""
        register = self._refused_register()
        origin = origin_of(self.steps, register) if register else None
        return bool(self._is_released() and origin and origin.helper in _RELEASED_BY)

    def _is_of_a_variable(self) -> bool:
        """Whether what is refused uses a variable of the whole file, for which BCC has no memory:
        its address is 0."""
        register = self._refused_register()
        origin = origin_of(self.steps, register) if register else None
        line = self._line_of_step(self.steps[-1]) if self.steps else None
        if origin is None or line is None or not re.search(r"^r\d+ = 0x0\b|= 0$", origin.step.text):
            return False
        self.file_variable = next(
            iter(sorted(self.source.variables & set(re.findall(r"\w+", self.source.code(line))))),
            None,
        )
        return self.file_variable is not None

    def _refused_register(self) -> str | None:
        for message in self.log.messages:
            if found := re.match(r"R(\d+)\b", message):
                return f"R{found[1]}"
        return None

    def _is_null(self) -> bool:
        """Whether the refused register is what a function returned, and is known to be 0."""
        said = re.match(r"(R\d+) invalid mem access", self.log.message)
        if not said or known_of(self.steps, said[1]) != "0":
            return False
        origin = origin_of(self.steps, said[1])
        return origin is not None and origin.helper is not None

    def _register(self) -> str | None:
        for name in ("reg", "reg2"):
            if name in self.facts:
                return f"R{self.facts[name]}"
        if "trusted" in self.facts:
            return f"R{int(self.facts['trusted']) + 1}"
        if found := self._refused_register():
            return found
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
            assigned = re.search(
                r"\b([A-Za-z_]\w*)\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)", self.source.code(line)
            )
            # By another name since then: a parameter of a function, a copy of it.
            if assigned and assigned[1] in used:
                return assigned[1]
        pointer = re.search(
            r"(?:^|[^\w)\]\s])\s*\*\s*([A-Za-z_]\w*)\b|\b([A-Za-z_]\w*)\s*(?:->|\[)",
            self.source.code(self.line),
        )
        return (pointer[1] or pointer[2]) if pointer else None

    def _index(self) -> str | None:
        inside = re.search(r"\[([^\[\]]+)\]", self.source.code(self.line))
        if inside is None or inside[1].strip().isdigit():
            return None
        # From the text itself: in the code characters are blank.
        return self.source.lines[self.line - 1][inside.start(1) : inside.end(1)].strip()

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
        if name in self.facts and name != "map":
            return self.facts[name]
        known = self._known() or ""
        match name:
            case "value":
                index = self._index()
                if index and self.match and self.match.rule.id in _OF_AN_INDEX:
                    return f"`{index}`"
                if self.match and self.match.rule.id in _OF_AN_ARGUMENT:
                    return f"`{self.argument}`" if self.argument else "this value"
                variable = self._variable()
                return f"`{variable}`" if variable else "this value"
            case "name":
                return self._variable() or "pointer"
            case "release":
                helper = self._helper() or ""
                if helper in _RELEASED_BY:
                    return _RELEASED_BY[helper]
                return (
                    f"{helper.replace('_new', '_destroy')}()"
                    if "_new" in helper
                    else "its release function"
                )
            case "unlock":
                lock = self.facts.get("lock", "")
                names = {"disable": "enable", "save": "restore"}
                before, _, last = lock.rpartition("_")
                return f"{before}_{names.get(last, 'un' + last)}"
            case "missing":
                kind, what = self.facts.get("type"), self.facts.get("what")
                owner = f"struct {kind.split('___')[0]}" if kind else "such type or field"
                return f"field `{what}` in {owner}" if what else owner
            case "unset":
                return (
                    "the result of this function" if self.register == "R0" else "a value used here"
                )
            case "helper":
                called = self._helper()
                return f"{self._as_written(called)}()" if called else "the function"
            case "variable":
                return f"`{self.file_variable}`"
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

    def _as_written(self, helper: str) -> str:
        """As the line calls it: where a kernel lacks bpf_probe_read_user(), BCC takes another."""
        written = re.search(rf"\b{helper}(?:_user|_kernel)(?:_str)?\b", self.source.code(self.line))
        return written[0] if written and self.refusal.is_bcc else helper

    def _last_map(self) -> str:
        for step in reversed(self.steps):
            for state in step.registers.values():
                if "map=" in state:
                    return state
        return ""

    def _argument(self) -> tuple[str, int] | None:
        """The source of the helper's argument that is in the register, and its line."""
        call = self._call()
        if call is None or not self.register:
            return None
        text, _ = call
        callee = text[: text.index("(")].strip()
        number = int(self.register[1:])
        if "." in callee:
            # BCC's methods: the map goes before what is written, or behind the context.
            number = {4: 2, 5: 3}.get(number, number) if callee.endswith("submit") else number - 1
            number = max(number, 1) if callee.endswith("reserve") else number
        parts = _arguments(text)
        if not 0 < number <= len(parts):
            return None
        argument, offset = parts[number - 1]
        return argument, self.line + text.count("\n", 0, offset)

    # -- other places --------------------------------------------------------------------------

    def _related(self) -> list[Related]:
        found: list[Related] = []
        rule = self.match.rule.id if self.match else ""
        if self.origin:
            self._add(found, self._line_of_step(self.origin.step), _came_from(self.origin, rule))
        if rule in _OF_A_BOUND and _range(self._known() or "") and (check := self._weak_check()):
            self._add(found, check, "this check is not enough")
        if rule == "ref-leak" and self.steps:
            end = self._line_of_step(self.steps[-1])
            if self.function and end == self.function.head.line:
                end = self._return_of_path()
            self._add(found, end, "on this path the program ends without it")
        state = _MAP.search(self._known() or "") or _MAP.search(self._last_map())
        if state and (line := self._map_line(state[1])):
            self._add(found, line, f"`{state[1]}` is defined here")
        return found

    def _map_line(self, shown: str) -> int | None:
        """The kernel keeps 15 characters of a name."""
        return next((line for name, line in self.source.maps.items() if name[:15] == shown), None)

    def _add(self, found: list[Related], line: int | None, message: str) -> None:
        lines = {self.line, *(each.span.line for each in found)}
        if line and line not in lines and line <= len(self.source.lines):
            found.append(Related(self.source.whole(line), message))

    def _weak_check(self) -> int | None:
        """The last comparison on the way whose line names the index or the variable."""
        names = [name for name in (self._index() or self._variable(),) if name]
        words = {word for name in names for word in re.findall(r"[A-Za-z_]\w*", name)}
        for step in reversed(self.steps):
            if _JUMP.match(step.text) and (line := self._line_of_step(step)) and line != self.line:
                code = self.source.code(line)
                if "if" in code and words & set(re.findall(r"[A-Za-z_]\w*", code)):
                    return line
        return None


_OF_AN_INDEX = frozenset(
    {"unbounded-index", "negative-index", "outside-range", "ptr-math-unbounded"}
)
_OF_AN_ARGUMENT = frozenset({"helper-size", "helper-zero-size", "arg-not-const"})
_OF_A_BOUND = _OF_AN_INDEX | {"map-value-bounds", "mem-bounds", "helper-size", "stack-bounds"}


_RELEASED_BY = {
    "bpf_ringbuf_reserve": "bpf_ringbuf_submit() or bpf_ringbuf_discard()",
    "bpf_ringbuf_reserve_dynptr": "bpf_ringbuf_submit_dynptr() or bpf_ringbuf_discard_dynptr()",
    "bpf_task_from_pid": "bpf_task_release()",
    "bpf_task_acquire": "bpf_task_release()",
    "bpf_cgroup_from_id": "bpf_cgroup_release()",
    "bpf_cgroup_acquire": "bpf_cgroup_release()",
    "bpf_sk_lookup_tcp": "bpf_sk_release()",
    "bpf_sk_lookup_udp": "bpf_sk_release()",
}


def _lines_of(function: Function) -> range:
    return range(function.first_line, function.last_line + 1)


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
                value = int(found["value"], 0)
                # Hexadecimal ones have no sign.
                is_negative = name[0] == "s" and value >= 1 << 63
                bounds[name] = value - (1 << 64) if is_negative else value
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


def _arguments(call: str) -> list[tuple[str, int]]:
    """Of the text of a call: each argument, and where it begins."""
    begin, end = call.index("(") + 1, call.rindex(")")
    parts, depth, start = [], 0, begin
    for at in range(begin, end + 1):
        character = call[at]
        if at == end or (character == "," and depth == 0):
            text = call[start:at]
            parts.append((text.strip(), start + len(text) - len(text.lstrip())))
            start = at + 1
        depth += (character in "([{") - (character in ")]}")
    return [part for part in parts if part[0]]


def _came_from(origin: Origin, rule: str) -> str:
    if origin.helper == "bpf_map_lookup_elem" and rule.startswith("null"):
        return "the value comes from this lookup, which may find nothing"
    if origin.helper:
        return f"the value comes from here ({origin.helper}())"
    return "the value comes from here"
