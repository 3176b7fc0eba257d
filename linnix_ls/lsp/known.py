"""What is known of findings, whichever feeds have told of them: an agent that goes takes what it
knew with it, and what was shown stays true.

Ids are the session's own: each feed begins with f1. Not here: feeds (`session`), and time and
processes, which come in as values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from linnix_ls.core.changes import RunBegan
from linnix_ls.core.findings import Finding, Kind, ProcessInfo, State
from linnix_ls.core.history import RunDetail, RunSummary
from linnix_ls.core.ids import NS_PER_S, ProcessKey
from linnix_ls.core.runs import Run

# What the next feed does not find again within this time has calmed down: the slowest detector of
# something that goes on needs a third of it. What a run has left behind is not found twice, for
# that run is over; it ends with its process.
FOUND_AGAIN_WITHIN_NS = 30 * NS_PER_S
_NOT_FOUND_TWICE = frozenset({Kind.LEAKED_CHILD})
# Many processes take part in one of these, and which of them is named is chance.
_OF_A_RUN = frozenset({Kind.FORK_STORM, Kind.STUCK})


class KnownFindings:
    """See the module. What each method returns has changed.

    Attributes:
        by_id: all that are not cleared.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, Finding] = {}
        self._own_ids: dict[str, str] = {}  # by those of the feed
        self._left: set[str] = set()  # by an earlier feed, and not found again
        self._used: set[str] = set()
        self._began_ns: int | None = None

    def forget(self) -> None:
        """Nothing is watched on purpose: nothing is shown."""
        self.by_id.clear()
        self._own_ids.clear()
        self._left.clear()

    @property
    def are_left(self) -> bool:
        """Whether there are some that only `look` can end."""
        return any(self.by_id[own_id].state is State.RAISED for own_id in self._left)

    def begin(self, findings: Iterable[Finding], now_ns: int) -> list[Finding]:
        """A feed, with what it has found before."""
        self._began_ns = now_ns
        return [self.take(finding) for finding in findings]

    def leave(self) -> None:
        """The feed has gone."""
        self._own_ids.clear()
        self._left = set(self.by_id)
        self._began_ns = None

    def take(self, finding: Finding) -> Finding:
        """What the feed tells of one, under our id."""
        if finding.id in self._own_ids:
            own_id = self._own_ids[finding.id]
            before = self.by_id.get(own_id)
        else:
            before = next((known for known in self._earlier() if _is_same(known, finding)), None)
            own_id = before.id if before else self._free_id(finding.id)
            self._own_ids[finding.id] = own_id
            self._used.add(own_id)
            self._left.discard(own_id)
        finding = replace(finding, id=own_id)
        if before and _is_same(before, finding):  # it began when it was first seen to
            finding = replace(finding, onset_ns=before.onset_ns, flagged_ns=before.flagged_ns)
        if finding.state is State.CLEARED:
            self.by_id.pop(own_id, None)
        else:
            self.by_id[own_id] = finding
        return finding

    def look(self, now_ns: int, is_alive: Callable[[ProcessKey], bool]) -> list[Finding]:
        """End those that an earlier feed has left and that are over."""
        began_ns = now_ns if self._began_ns is None else self._began_ns
        is_late = now_ns - began_ns > FOUND_AGAIN_WITHIN_NS
        over = [
            replace(finding, state=State.ENDED, ended_ns=now_ns)
            for finding in self._earlier()
            if finding.state is State.RAISED
            and (
                not is_alive(finding.process.key)
                or (is_late and finding.kind not in _NOT_FOUND_TWICE)
            )
        ]
        self.by_id |= {finding.id: finding for finding in over}
        return over

    def run_began(self, began: RunBegan) -> list[Finding]:
        """The same work begins anew: what ended in it before is cleared, as an engine does it."""
        run = Run.of(ProcessInfo(began.run, None, 0, began.label, None, began.argv, began.cwd))
        return [
            self._clear(finding)
            for finding in self._earlier()
            if finding.state is State.ENDED
            and finding.run != run.key
            and Run.of((finding.ancestry or (finding.process,))[-1]).is_same_work_as(run)
        ]

    def dismiss(self, own_id: str) -> list[Finding]:
        """Of those that an earlier feed has left; nobody else can."""
        return [self._clear(self.by_id[own_id])] if own_id in self._left else []

    def feed_id(self, own_id: str) -> str:
        """What the feed calls it."""
        return next((theirs for theirs, ours in self._own_ids.items() if ours == own_id), own_id)

    def summary(self, run: RunSummary) -> RunSummary:
        """With our ids."""
        return replace(run, findings=tuple(self._renamed(finding) for finding in run.findings))

    def detail(self, run: RunDetail) -> RunDetail:
        """With our ids."""
        spans = tuple(
            replace(span, finding_ids=tuple(map(self._own_id, span.finding_ids)))
            if span.finding_ids
            else span
            for span in run.spans
        )
        return replace(run, run=self.summary(run.run), spans=spans)

    def _renamed(self, finding: Finding) -> Finding:
        return replace(finding, id=self._own_id(finding.id))

    def _own_id(self, feed_id: str) -> str:
        return self._own_ids.get(feed_id, feed_id)

    def _earlier(self) -> Sequence[Finding]:
        return [finding for own_id, finding in self.by_id.items() if own_id in self._left]

    def _clear(self, finding: Finding) -> Finding:
        self._left.discard(finding.id)
        del self.by_id[finding.id]
        return replace(finding, state=State.CLEARED)

    def _free_id(self, wanted: str) -> str:
        number = len(self._used)
        own_id = wanted
        while own_id in self._used:
            number += 1
            own_id = f"f{number}"
        return own_id


def _is_same(one: Finding, other: Finding) -> bool:
    return one.kind is other.kind and (
        one.process.key == other.process.key or (one.kind in _OF_A_RUN and one.run == other.run)
    )
