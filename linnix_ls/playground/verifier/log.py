"""A verifier's log, read into steps and messages; in both forms that kernels have.

Up to Linux 7.2 a log has the instructions in the order in which the verifier walked them, the
state of registers after each, and at the end what it refuses. From 7.3 on a report follows:
"Verification failed:", "Reason:", "At:", "Causal path:", "Suggestion:".

What a message means is not known here (`rules`), nor where it belongs (`place`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# libbpf puts words of its own in the place of an instruction that it could not relocate.
# A jump that is taken has the state at where it leads behind it: "goto pc+3 12: R0=0".
_STEP = re.compile(r"^(?P<at>\d{1,9}): (?:\([0-9a-f]{2}\) |(?=<invalid ))")
_THERE = re.compile(r"\s\d{1,9}: (?=(?:frame\d+: )?R\d+(?:_w)?=)")
# Of a jump without anything new about registers the kernel ends no line: its message follows.
_STEP_THAT_SAYS = re.compile(
    r"^(?=[^;]*$)(?P<step>\d{1,9}: \([0-9a-f]{2}\) .*?(?:\bgotol? pc[+-]\d+|exit))"
    r" (?P<said>[A-Za-z].*)$"
)
_STATE = re.compile(r"^(?:from )?\d+(?: to \d+)?(?: \(speculative execution\))?: (?P<state>.*)$")
_SOURCE = re.compile(r"^; (?P<text>.*?)(?: @ (?P<file>[^ ]+):(?P<line>\d{1,9}))?$")
_FIRST_STATE = re.compile(r"^func#\d+ @\d+$|^(?:frame\d+: )?R\d+(?:_w)?=")
# What stands among the messages and says nothing about the refusal.
_NOISE = re.compile(
    r"""^(?:
        processed\ \d+\ insns
        |verification\ time\ |stack\ depth\ |mark_precise|\s*$
        |arg\#\d+\ reference\ type\('UNKNOWN|reg\ type\ unsupported\ for\ arg
        |(?:cur|old)\ state:|caller:|callee:|returning\ from\ callee:|to\ caller\ at
        |frame\d+:|\d+:\ safe$|propagating\ |last_idx|parent\ |regs=
        |BPF_PROG_LOAD|-{2,}
        |Func\#\d+\ .*\ is\ safe|Live\ regs\ |insn\ \d+\ live
    )""",
    re.VERBOSE,
)
_COUNTS = re.compile(r"processed \d+ insns \(limit.*$")  # behind a message without an end of line
_VALIDATING = re.compile(r"^Validating (?P<name>\w+)\(\) func#\d+\.\.\.$")
_REGISTER = re.compile(r"\b(R\d+)(?:_[a-z]+)?=((?:[^ (]|\((?:[^()]|\([^()]*\))*\))+)")
_HEADLINE = re.compile(r"^Verification failed: (?P<category>[^:]+): (?P<problem>.+)$")
_SECTION = re.compile(r"^(?P<name>Reason|At|Causal path|Suggestion):\s*(?P<text>.*)$")
_POSITION = re.compile(
    r"\b(?P<function>\w+) @ (?P<file>[^:\s]+):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?"
)

MAX_LINES = 200_000


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction that the verifier has walked over.

    Attributes:
        at: its number in the program.
        text: as the kernel disassembles it.
        registers: what is known of some after it: {"R0": "map_value_or_null(id=1,…)"}.
        file, line: of the source, where the program carries this (libbpf's does).
    """

    at: int
    text: str
    registers: dict[str, str]
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The block that kernels from 7.3 on add. `line` and `column` count from 1."""

    category: str
    problem: str
    reason: str
    suggestion: str
    function: str | None
    file: str | None
    line: int | None
    column: int | None


@dataclass(frozen=True, slots=True)
class Log:
    """A log.

    Attributes:
        messages: what the verifier says after its last step, in its words, without the noise.
        validating: the global function that was checked by itself at the end, if any.
    """

    steps: tuple[Step, ...]
    messages: tuple[str, ...]
    validating: str | None = None
    report: Report | None = None

    @property
    def message(self) -> str:
        return "\n".join(self.messages)


def read_log(text: str) -> Log:
    """Any text gives a log; what is not understood is a message."""
    steps: list[Step] = []
    messages: list[str] = []
    file: str | None = None
    line: int | None = None
    validating: str | None = None
    lines = text.splitlines()[-MAX_LINES:]
    report = _read_report(lines)
    for raw in lines:
        if report and _HEADLINE.match(raw):
            break
        said = _STEP_THAT_SAYS.match(raw)
        stepped = said["step"] if said else raw
        if step := _STEP.match(stepped):
            text, state_after = _text_and_state(stepped[step.end() :])
            steps.append(Step(int(step["at"]), text, _registers(state_after), file, line))
            messages[:] = [said["said"].strip()] if said else []
        elif source := _SOURCE.match(raw):
            if source["line"] and int(source["line"]) > 0:
                file, line = source["file"], int(source["line"])
        elif state := _STATE.match(raw):
            if raw.startswith("from "):
                # Another path: where it begins is known, what the last one refused is not it.
                messages.clear()
            if steps:
                steps[-1].registers.update(_registers(state["state"]))
            elif _REGISTER.search(raw) is None:
                messages.append(raw)
        elif function := _VALIDATING.match(raw):
            validating = function["name"]
            messages.clear()
        elif not _NOISE.match(raw) and not _FIRST_STATE.match(raw):
            messages.append(_COUNTS.sub("", raw).strip())
    return Log(tuple(steps), tuple(messages), validating, report)


def _text_and_state(rest: str) -> tuple[str, str]:
    """Of a step, behind its number and code: the instruction, and what registers hold after it."""
    text, _, state = rest.partition(";")
    if there := _THERE.search(text):
        return text[: there.start()].rstrip(), rest[there.end() :]
    return text.rstrip(), state


def _registers(state: str) -> dict[str, str]:
    return dict(_REGISTER.findall(state))


def _read_report(lines: list[str]) -> Report | None:
    found: tuple[str, str] | None = None
    sections: dict[str, list[str]] = {}
    current = ""
    for raw in lines:
        if headline := _HEADLINE.match(raw):
            found, current = (headline["category"].strip(), headline["problem"].strip()), ""
            sections = {}
        elif found and (section := _SECTION.match(raw)):
            current = section["name"]
            sections[current] = [section["text"]] if section["text"] else []
        elif found and current and raw.strip() and not raw.startswith("processed "):
            sections[current].append(raw.strip())
    if found is None:
        return None
    position = next(
        (match for text in sections.get("At", []) if (match := _POSITION.search(text))), None
    )
    return Report(
        *found,
        reason=" ".join(sections.get("Reason", [])),
        suggestion=" ".join(sections.get("Suggestion", [])),
        function=position["function"] if position else None,
        file=position["file"] if position else None,
        line=int(position["line"]) if position else None,
        column=int(position["column"]) if position and position["column"] else None,
    )
