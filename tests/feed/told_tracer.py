"""A tracer that tells what a test tells it, and an examiner that finds nothing out."""

import os
import time
from dataclasses import replace

from linnix_ls import procfs
from linnix_ls.core.events import Execed, Exited, Forked, ProcessSeen
from linnix_ls.core.examination import Examination
from linnix_ls.core.ids import ProcessKey
from linnix_ls.errors import TracerUnavailable
from linnix_ls.locate.base import Reading

ROOT = 0
NOBODY = 65534


class ToldTracer:
    """See `tracer.base.Tracer`.

    Attributes:
        seen: what `watch` answers with; by default the process as /proc shows it.
        watched_users, unwatched: what was asked of it.
    """

    name = "told"
    degraded = None

    def __init__(self):
        self.seen = None
        self.watched_users = ()
        self.unwatched = []
        self.is_dead = False

    async def start(self, deliver, on_failure):
        self.deliver = deliver
        self.on_failure = on_failure

    def tell(self, *events):
        self.deliver(events)

    async def watch(self, key, *, ignored=()):
        if self.is_dead:
            raise TracerUnavailable("it has died", cause="worker_died")
        if self.seen is not None:
            return tuple(self.seen)
        process = procfs.see(key.pid, 1)
        return (process,) if process and process.key == key else ()

    async def unwatch(self, pids):
        self.unwatched += pids

    async def watch_users(self, uids):
        self.watched_users = tuple(uids)

    async def count_syscalls(self, pid, window_s):
        return None

    async def stop(self):
        pass


class NoExaminer:
    """Everything it looks at has gone."""

    def __init__(self, _feed=None):
        self.requests = []
        self.reading = Reading("none", notes=("nobody looks",))

    async def look(self, key):
        self.requests.append(key)
        return self.reading

    async def examine(self, request, ancestors):
        self.requests.append(request)
        return Examination(request.id, request.key, request.depth, True, 0.0, None)


def key(n):
    """Of a process that does not exist: above every possible pid."""
    return ProcessKey(10_000_000 + n, n)


def seen(process, parent=None, uid=None, **changes):
    uid = os.geteuid() if uid is None else uid
    argv = ("sh", "-c", "run")
    return replace(ProcessSeen(time.monotonic_ns(), process, parent, uid, "sh", argv), **changes)


def forked(process, parent, uid=None):
    return Forked(time.monotonic_ns(), process, parent, os.geteuid() if uid is None else uid, "sh")


def execed(process, parent=None, uid=None, argv=("true",), cwd=None):
    uid = os.geteuid() if uid is None else uid
    now_ns = time.monotonic_ns()
    return Execed(now_ns, process, parent, uid, "true", argv, cwd=cwd)


def exited(process, code=0):
    return Exited(time.monotonic_ns(), process, code, None)
