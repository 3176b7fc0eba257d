"""How far into its context a program reads, by its bytecode.

The verifier lets a program for a tracepoint read beyond the tracepoint's record, as it does not
know which one it will be; the kernel refuses only to attach it. What is found here is read for
certain: a copy of the context counts while it is in a register that is written in one place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_CALL, _MOVE_64, _LOAD_64 = 0x85, 0xBF, 0x18
_LOAD, _STORE, _STORE_REGISTER, _JUMPS = 1, 2, 3, (5, 6)
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_CONTEXT = 1
_CALLEE_SAVED = range(6, 10)


class ContextRead(NamedTuple):
    """`at`: the instruction's number; `end`: the first byte behind what it reads."""

    at: int
    end: int


class _Instruction(NamedTuple):
    at: int
    code: int
    destination: int
    source: int
    offset: int


def furthest_read(code: bytes) -> ContextRead | None:
    """The one that reaches furthest; None where none is known to read it."""
    instructions = list(_instructions(code))
    n_writes = dict.fromkeys(_CALLEE_SAVED, 0)
    for each in instructions:
        if _writes(each) in n_writes:
            n_writes[_writes(each)] += 1
    holding = {_CONTEXT}
    furthest: ContextRead | None = None
    for each in instructions:
        if each.code & 7 == _LOAD and each.source in holding and each.code != _LOAD_64:
            end = each.offset + _SIZES[each.code & 0x18]
            if furthest is None or end > furthest.end:
                furthest = ContextRead(each.at, end)
        written = _writes(each)
        is_copy = each.code == _MOVE_64 and each.source in holding
        if each.code == _CALL or each.code & 7 in _JUMPS:
            # Others may come here from elsewhere, with something else in these.
            holding -= {0, 1, 2, 3, 4, 5}
        if is_copy and n_writes.get(written, 2) == 1:
            holding.add(written)
        else:
            holding.discard(written)
    return furthest


def _writes(each: _Instruction) -> int:
    """The register; -1: none."""
    return -1 if each.code & 7 in (_STORE, _STORE_REGISTER, *_JUMPS) else each.destination


def _instructions(code: bytes) -> Iterator[_Instruction]:
    at = 0
    while at + 8 <= len(code):
        offset = int.from_bytes(code[at + 2 : at + 4], "little", signed=True)
        yield _Instruction(at // 8, code[at], code[at + 1] & 15, code[at + 1] >> 4, offset)
        at += 16 if code[at] == _LOAD_64 else 8
