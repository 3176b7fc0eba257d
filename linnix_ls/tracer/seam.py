"""Where the records of one generation of probes end and those of the next begin.

While probes are exchanged, two generations see every hit, the older one first: the kernel runs
programs in the order in which they were attached, one after the other on one CPU. Each writes a
record, with a time of its own. To exchange them is to choose a time, and a hit counts as of its
older record, so that one in the middle (old just before, new just after) counts once, whichever
way the exchange goes.

Nothing here knows what the records say, but for whom they are about.
"""

from __future__ import annotations

import enum
import math
from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from linnix_ls.tracer.decode import Head, head_of
from linnix_ls.tracer.wire import EventKind

# Two records of one hit are microseconds apart, unless the machine that this one runs on has taken
# the CPU away between them.
_TWINS_WITHIN_NS = 50_000_000
_KEPT_NS = 1_000_000_000
_MAX_KEPT = 20_000


class Side(enum.Enum):
    """Which of the two."""

    OLDER = "older"
    NEWER = "newer"

    @property
    def other(self) -> Side:
        return Side.NEWER if self is Side.OLDER else Side.OLDER


class _Kept(NamedTuple):
    head: Head
    record: bytes


class Seam:
    """Takes what both generations tell, and passes on what counts. The older one speaks first.

    Attributes:
        n_seen: since the last exchange, by kind of record.
    """

    def __init__(self) -> None:
        self.speaker = Side.OLDER
        self.n_seen: dict[Side, Counter[int]] = {side: Counter() for side in Side}
        self._since_ns = 0.0  # hits from then on are the speaker's, those before the other's
        self._until_ns = math.inf  # while an exchange is under way: its time
        self._both_see_ns = math.inf
        self._kept: dict[Side, deque[_Kept]] = {side: deque(maxlen=_MAX_KEPT) for side in Side}
        self._twins: dict[tuple[int, int, int], int] = {}

    def both_see(self, now_ns: int) -> None:
        """From now on each hit is seen by both."""
        self._both_see_ns = now_ns

    def take(self, side: Side, records: Iterable[bytes]) -> list[bytes]:
        """What of them counts now; the rest does later, or not."""
        counting = []
        is_speaker = side is self.speaker
        kept, n_seen = self._kept[side], self.n_seen[side]
        for record in records:
            head = head_of(record)
            if head is None:  # none of ours
                if is_speaker:
                    counting.append(record)
                continue
            kept.append(_Kept(head, record))
            n_seen[head.kind] += head.ktime_ns >= self._since_ns
            if is_speaker:
                if self._since_ns <= head.ktime_ns < self._until_ns and not self._is_twin(head):
                    counting.append(record)
            elif head.ktime_ns < self._since_ns:
                counting.append(record)  # late
        while kept and kept[0].head.ktime_ns < kept[-1].head.ktime_ns - _KEPT_NS:
            kept.popleft()
        return counting

    def cut(self, at_ns: float) -> None:
        """Hits from that time on are the other side's. Until `finish` nothing of them counts."""
        self._until_ns = at_ns

    def cut_after_the_last_of(self, side: Side) -> None:
        """For one that has died: what it has not told any more is the other side's."""
        times = (each.head.ktime_ns for each in self._kept[side])
        self._until_ns = min(self._until_ns, max(times, default=self._since_ns) + 1)

    def give_up(self) -> list[bytes]:
        """There is no exchange after all: what had been kept back counts."""
        kept_back = [
            each.record for each in self._kept[self.speaker] if each.head.ktime_ns >= self._until_ns
        ]
        self._until_ns = math.inf
        return kept_back

    def finish(self) -> list[bytes]:
        """The other side speaks from now on: what it has seen since the time that was chosen. All
        that either side had seen before that time has been taken."""
        at_ns = self._until_ns
        older, newer = self._kept[Side.OLDER], self._kept[Side.NEWER]
        alone = self._alone_before(at_ns)
        counting: list[bytes] = []
        speaker = self.speaker.other
        if speaker is Side.NEWER:
            self._twins = {identity: each.head.ktime_ns for identity, each in alone.items()}
            counting += [
                each.record
                for each in newer
                if each.head.ktime_ns >= at_ns and not self._is_twin(each.head)
            ]
        else:
            self._twins = {}
            counting += [each.record for each in alone.values()]
            counting += [each.record for each in older if each.head.ktime_ns >= at_ns]
        self.speaker, self._since_ns, self._until_ns = speaker, at_ns, math.inf
        self.n_seen = {
            side: Counter(
                each.head.kind for each in self._kept[side] if each.head.ktime_ns >= at_ns
            )
            for side in Side
        }
        return counting

    def _alone_before(self, at_ns: float) -> dict[tuple[int, int, int], _Kept]:
        """By identity the last older record before that time, where the newer one of the same hit
        came after it, or did not come."""
        from_ns = max(at_ns - _TWINS_WITHIN_NS, self._both_see_ns)
        alone: dict[tuple[int, int, int], _Kept] = {}
        # Samples have no twins: each generation has a clock of its own.
        both = [
            (each.head.ktime_ns, is_newer, each)
            for is_newer, kept in enumerate((self._kept[Side.OLDER], self._kept[Side.NEWER]))
            for each in kept
            if from_ns <= each.head.ktime_ns < at_ns and each.head.kind != EventKind.EVENT_SAMPLE
        ]
        for _, is_newer, each in sorted(both, key=lambda entry: entry[:2]):
            if is_newer:
                alone.pop(each.head.identity, None)
            else:
                alone[each.head.identity] = each
        return alone

    def _is_twin(self, head: Head) -> bool:
        """Whether its hit has counted already; once of each."""
        if not self._twins:
            return False
        older_ns = self._twins.get(head.identity)
        if older_ns is None:
            return False
        del self._twins[head.identity]
        return head.ktime_ns - older_ns < _TWINS_WITHIN_NS
