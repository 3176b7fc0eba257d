"""Which findings a user is told of in a message, and when. Pure: time comes in as a value.

Only for those who want it (`linnix.notifications`). Each finding once, few at a time: a test that
runs away in ten processes is one interruption, not ten. Not here: how a message is shown
(`server`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from linnix_ls.core.findings import Finding, Kind, State
from linnix_ls.core.ids import ProcessKey

MIN_INTERVAL_S = 5.0
MAX_REMEMBERED = 1_000

_Identity = tuple[Kind, ProcessKey]


class Notices:
    """Finds out what is news. Findings are known by kind and process: ids begin anew with each
    agent."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Identity, None] = OrderedDict()
        self._waiting: list[Finding] = []
        self._last_s = float("-inf")

    def hear(self, changed: Sequence[Finding], is_wanted: Callable[[Finding], bool]) -> None:
        """Take in what has changed. What is not wanted when it is raised is no news later on."""
        for finding in changed:
            identity = (finding.kind, finding.process.key)
            if finding.state is not State.RAISED:
                self._waiting = [each for each in self._waiting if each.id != finding.id]
            elif identity not in self._known:
                self._known[identity] = None
                if len(self._known) > MAX_REMEMBERED:
                    self._known.popitem(last=False)
                if is_wanted(finding):
                    self._waiting.append(finding)

    def next_due_s(self) -> float | None:
        """When `take_due` will have something; None while there is no news."""
        return self._last_s + MIN_INTERVAL_S if self._waiting else None

    def take_due(self, now_s: float) -> list[Finding]:
        """What to tell of now, in one message; it counts as told."""
        due_s = self.next_due_s()
        if due_s is None or now_s < due_s:
            return []
        self._last_s = now_s
        taken, self._waiting = self._waiting, []
        return taken

    def forget_waiting(self) -> None:
        """Nobody wants them any more."""
        self._waiting = []
