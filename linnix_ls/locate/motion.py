"""Whether a thread gets on: what its registers and its stack hold, in several looks.

Compiled code keeps a loop's variables in registers or on the stack, not where `locate.progress`
looks. Whoever gets anywhere counts there, too: some word of them rises or falls from look to look.
Words are compared where they mean the same: between looks at the same depth of calls, and, of the
callers' part of the stack, between all.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from itertools import pairwise

from linnix_ls.core.examination import ThreadMotion
from linnix_ls.locate.progress import is_clock
from linnix_ls.locate.registers import Moment

MAX_STACK_BYTES = 32 << 10
# By chance five random words rise or fall once in sixty times: that costs a second look.
MIN_LOOKS_AT_A_DEPTH = 5
MIN_LOOKS_FOR_STEPS = 8
MIN_STEPS = 4


def motion_of(tid: int, moments: Sequence[tuple[float, Moment]]) -> ThreadMotion:
    """What came of looks at one thread, each with its time in seconds."""
    by_depth: dict[int, list[tuple[float, Moment]]] = {}
    for at_s, moment in moments:
        by_depth.setdefault(moment.stack_pointer, []).append((at_s, moment))
    groups = [group for group in by_depth.values() if len(group) >= MIN_LOOKS_AT_A_DEPTH]
    if len(by_depth) > 1 and len(moments) >= MIN_LOOKS_AT_A_DEPTH:
        groups.append(list(moments))
    return ThreadMotion(tid, len(moments), sum(map(_n_advancing, groups)))


def _n_advancing(group: Sequence[tuple[float, Moment]]) -> int:
    times_s = [at_s for at_s, _ in group]
    moments = [moment for _, moment in group]
    first = max(moment.stack_pointer for moment in moments)
    stacks = []
    for moment in moments:
        shared = moment.stack[first - moment.stack_pointer :][:MAX_STACK_BYTES]
        words = array.array("Q")
        words.frombytes(shared[: len(shared) // 8 * 8])
        stacks.append(words)
    registers = zip(*((*m.general, *m.floating) for m in moments), strict=False)
    return sum(
        _is_advancing(values, times_s)
        for columns in (registers, zip(*stacks, strict=False))
        for values in columns
        if values[0] != values[-1]
    )


def _is_advancing(values: Sequence[int], times_s: Sequence[float]) -> bool:
    """Whether it rises or falls all the time; of many looks, whenever it changes."""
    is_rising = all(a <= b for a, b in pairwise(values))
    is_falling = all(a >= b for a, b in pairwise(values))
    if not (is_rising or is_falling) or is_clock(values, times_s):
        return False
    n_steps = len(set(values))
    return n_steps == len(values) or (len(values) >= MIN_LOOKS_FOR_STEPS and n_steps >= MIN_STEPS)
