"""A feed that tells what a test tells it, and says what was asked of it."""

from dataclasses import replace

from linnix_ls.core.changes import FindingChanged, RunEnded
from linnix_ls.core.findings import State
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import AgentError
from linnix_ls.feed.base import (
    FeedChange,
    FeedState,
    FeedStatus,
    InputsSeen,
    Snapshot,
    StatusChanged,
    StopOutcome,
)

RUN = ProcessKey(4400, 991200)


class ToldFeed:
    """See `feed.base.Feed`.

    Args:
        status: what it says of itself.
        processes: the process tree.
        refusal: what `watch` and `stop_process` raise.
    """

    def __init__(self, status=None, processes=(), refusal=None):
        self._status = status or FeedStatus(FeedState.WATCHING, "bcc", n_received=3, n_processes=1)
        self._processes = processes
        self.refusal = refusal
        self._callbacks = []
        self._sequence = 0
        self.watched = []
        self.stopped = []
        self.is_recording = False
        self.is_closed = False
        self.detail = None

    async def open(self, settings, *, on_progress):
        on_progress("pretending")
        return self

    def tell(self, change):
        if isinstance(change, StatusChanged):
            self._status = change.status
        self._sequence += 1
        for callback in self._callbacks:
            callback(FeedChange(self._sequence, change))

    def raises(self, finding):
        self.tell(FindingChanged(finding))

    def ends(self, finding, ended_ns):
        self.tell(FindingChanged(replace(finding, state=State.ENDED, ended_ns=ended_ns)))

    def clears(self, finding):
        self.tell(FindingChanged(replace(finding, state=State.CLEARED)))

    def ends_run(self):
        self.tell(RunEnded(1, RUN))

    def sees(self, *events):
        self.tell(InputsSeen(events))

    def snapshot(self):
        return Snapshot(self._sequence, replace(self._status, n_received=0), ())

    def subscribe(self, callback):
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def status(self):
        return self._status

    async def watch(self, pid, label, *, is_run=False, is_root_judged=False):
        if self.refusal:
            raise AgentError(self.refusal)
        self.watched.append((pid, label, is_run, is_root_judged))
        return RUN

    async def run(self, key, since=None):
        return self.detail if since is None else None

    async def process_tree(self):
        return self._processes

    async def stop_process(self, key, *, tree=False):
        if self.refusal:
            raise AgentError(self.refusal)
        self.stopped.append((key, tree))
        return StopOutcome.STOPPED

    @property
    def playground(self):
        return None

    async def record_inputs(self):
        self.is_recording = True

    async def close(self):
        self.is_closed = True
