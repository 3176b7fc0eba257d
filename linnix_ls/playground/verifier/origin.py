"""Where a register's value came from, by walking back over the steps that a log has.

Answers are as good as the log: what was not printed is not followed, and no more than that is
claimed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from linnix_ls.playground.verifier.log import Step

_CALL = re.compile(r"^call (?:pc[+-]\d+|(?P<name>\w+)#\d+|(?P<kfunc>\w+))")
_COPY = re.compile(r"^[rw](?P<to>\d+) = (?:\(s\d+\))?[rw](?P<from>\d+)$")
_WRITE = re.compile(r"^[rw](?P<to>\d+) (?P<operator>[-+*/%&|^<>s]*)= ")
_FILL = re.compile(r"^r(?P<to>\d+) = \*\(u64 \*\)\(r10 (?P<slot>[+-]\d+)\)$")
_SPILL = re.compile(r"^\*\(u64 \*\)\(r10 (?P<slot>[+-]\d+)\) = r(?P<from>\d+)$")


@dataclass(frozen=True, slots=True)
class Origin:
    """`step` is where it was made; `helper`: the function that returned it, if one did."""

    step: Step
    helper: str | None


def origin_of(steps: Sequence[Step], register: str) -> Origin | None:
    """What `register` ("R3") holds when the last of `steps` is refused: the value's beginning,
    through copies, the stack and arithmetic on it."""
    wanted: str = register.removeprefix("R")
    slot: str | None = None
    found: Origin | None = None
    for step in reversed(steps[:-1]):
        if slot is not None:
            if (spill := _SPILL.match(step.text)) and spill["slot"] == slot:
                wanted, slot = spill["from"], None
            continue
        if (call := _CALL.match(step.text)) and wanted in "012345":
            return Origin(step, call["name"] or call["kfunc"]) if wanted == "0" else found
        if (copy := _COPY.match(step.text)) and copy["to"] == wanted:
            wanted = copy["from"]
            found = Origin(step, None)
        elif (fill := _FILL.match(step.text)) and fill["to"] == wanted:
            slot = fill["slot"]
            found = Origin(step, None)
        elif (write := _WRITE.match(step.text)) and write["to"] == wanted:
            found = Origin(step, None)
            if not write["operator"]:
                return found
    return found


def known_of(steps: Sequence[Step], register: str) -> str | None:
    """The last thing that the log says of a register: "scalar(umax=255,…)"."""
    for step in reversed(steps):
        if register in step.registers:
            return step.registers[register]
    return None
