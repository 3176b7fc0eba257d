"""Reading /proc, where a process may vanish between any two reads. Absent is None, never 0.

Not here: what any of it means (`core`), stacks (`locate`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from linnix_ls.core.events import ProcessSeen
from linnix_ls.core.ids import ProcessKey

MAX_CMDLINE_BYTES = 128 * 1024
MAX_ENVIRON_BYTES = 2 << 20
MAX_THREADS_READ = 4_096  # 50 us each
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_HAS_CHILDREN_FILES = Path(f"/proc/self/task/{os.getpid()}/children").exists()


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/<pid>/stat that we use. CPU times in clock ticks."""

    key: ProcessKey
    ppid: int
    comm: str
    state: str
    utime_ticks: int
    stime_ticks: int
    n_minor_faults: int
    n_major_faults: int
    n_threads: int
    rss_pages: int

    @property
    def rss_bytes(self) -> int:
        return self.rss_pages * PAGE_BYTES

    @property
    def has_ended(self) -> bool:
        """Nobody has waited for it yet. A first thread that has ended before others of its
        process is shown as a zombie, too."""
        return self.state in "ZX" and self.n_threads <= 1


def read_stat(pid: int) -> Stat | None:
    """None when there is no such process any more."""
    raw = read_bytes(f"/proc/{pid}/stat", limit=4096)
    if raw is None or b")" not in raw:
        return None
    # comm may hold anything, parentheses and newlines too: it ends at the last one.
    head, _, tail = raw.rpartition(b")")
    fields = tail.split()
    return Stat(
        key=ProcessKey(pid, int(fields[19])),
        ppid=int(fields[1]),
        comm=text(head.partition(b"(")[2]),
        state=fields[0].decode(),
        utime_ticks=int(fields[11]),
        stime_ticks=int(fields[12]),
        n_minor_faults=int(fields[7]),
        n_major_faults=int(fields[9]),
        n_threads=int(fields[17]),
        rss_pages=int(fields[21]),
    )


def has_gone(key: ProcessKey) -> bool:
    """Whether it is there no more. That its files cannot be opened is no proof: there may be no
    file descriptor left for it."""
    stat = read_stat(key.pid)
    return stat.key != key if stat else not is_there(key.pid)


def has_ended(key: ProcessKey) -> bool:
    """The same of one that nobody need have waited for yet."""
    stat = read_stat(key.pid)
    return stat.key != key or stat.has_ended if stat else not is_there(key.pid)


def is_there(pid: int) -> bool:
    """Whether some process has that pid; takes no file descriptor."""
    return os.path.lexists(f"/proc/{pid}")


class Thread(NamedTuple):
    """Of /proc/<pid>/task/<tid>/stat, what tells threads apart; `comm` as the kernel has it."""

    comm: bytes
    state: str
    cpu_ticks: int


def read_thread(pid: int, tid: int) -> Thread | None:
    """None when there is no such thread any more."""
    raw = read_bytes(f"/proc/{pid}/task/{tid}/stat", limit=1024) or b""
    head, _, tail = raw.rpartition(b")")
    fields = tail.split()
    if len(fields) <= 12:
        return None
    return Thread(
        comm=head.partition(b"(")[2],
        state=fields[0].decode("ascii", "replace"),
        cpu_ticks=int(fields[11]) + int(fields[12]),
    )


def read_bytes(path: str, limit: int) -> bytes | None:
    """Up to `limit` bytes of a /proc file; None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError:
        return None


def read_link(path: str) -> str | None:
    """Where a /proc link points; None when gone, hidden, or deleted."""
    try:
        target = text(os.readlink(os.fsencode(path)))
    except OSError:
        return None
    return None if target.endswith(" (deleted)") else target


def read_argv(pid: int) -> tuple[str, ...]:
    """The arguments, bounded; () for a zombie, a kernel thread or a process that has gone."""
    raw = read_bytes(f"/proc/{pid}/cmdline", MAX_CMDLINE_BYTES)
    # Programs that rename themselves (npm, postgres) leave the rest of the space as NULs.
    return split_argv(raw.rstrip(b"\0")) if raw else ()


def read_cwd(pid: int) -> str | None:
    return read_link(f"/proc/{pid}/cwd")


def read_exe(pid: int) -> str | None:
    return read_link(f"/proc/{pid}/exe")


def read_uid(pid: int) -> int | None:
    """The owner as the kernel sees it; root for processes that are not dumpable."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def may_signal(uid: int, pid: int) -> bool:
    """Whether kill(2) would let that user: its rule is about real and saved users, so one may stop
    the `sudo` that one has started, as long as it has not become root for good."""
    if uid == 0:
        return True
    status = read_bytes(f"/proc/{pid}/status", 1 << 16) or b""
    match = re.search(rb"\nUid:\s*(\d+)\s+\d+\s+(\d+)", status)
    return match is not None and str(uid).encode() in match.groups()


def text(raw: bytes) -> str:
    r"""Names and arguments as text. What is no UTF-8 shows as ``\xNN``: every string behind here
    can be printed, sent and stored, whatever a process calls itself."""
    return raw.decode("utf-8", "backslashreplace")


def split_argv(raw: bytes) -> tuple[str, ...]:
    """NUL-separated arguments, as /proc/<pid>/cmdline and the kernel have them."""
    return tuple(text(argument) for argument in raw.removesuffix(b"\0").split(b"\0")) if raw else ()


def all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def children_of(pid: int) -> list[int]:
    """Direct children. Uses /proc/<pid>/task/*/children where the kernel offers it."""
    found: list[int] = []
    try:
        tids = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for tid in tids:
        raw = read_bytes(f"/proc/{pid}/task/{tid}/children", 1 << 20)
        if raw is not None:
            found += map(int, raw.split())
        elif not _HAS_CHILDREN_FILES:
            return [p for p in all_pids() if (stat := read_stat(p)) and stat.ppid == pid]
    return found


def see(pid: int, ktime_ns: int) -> ProcessSeen | None:
    """A process as an event; None when it has gone."""
    stat = read_stat(pid)
    uid = read_uid(pid)
    if stat is None or uid is None:
        return None
    parent = read_stat(stat.ppid) if stat.ppid else None
    return ProcessSeen(
        ktime_ns=ktime_ns,
        key=stat.key,
        parent=parent.key if parent else None,
        uid=uid,
        comm=stat.comm,
        argv=read_argv(pid),
        exe=read_exe(pid),
        cwd=read_cwd(pid),
    )


def descendants(pid: int, ignored: Collection[ProcessKey] = ()) -> list[int]:
    """`pid` and everything below it, parents first; subtrees of `ignored` left out."""
    pids = {key.pid for key in ignored}
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        if current in pids and (stat := read_stat(current)) and stat.key in ignored:
            continue
        found.append(current)
        todo += children_of(current)
    return found


def read_environ(pid: int) -> bytes | None:
    """The environment at its start, NUL-separated and bounded. Secrets live here: look for one
    name, keep nothing else."""
    return read_bytes(f"/proc/{pid}/environ", MAX_ENVIRON_BYTES)


def read_variable(pid: int, name: bytes) -> bytes | None:
    """One variable of its environment, as at its start; None if it has none or hides it. Cheap:
    it is asked of every program that starts on a machine."""
    wanted = b"\0" + name + b"="
    raw = b"\0"
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        while len(raw) < MAX_ENVIRON_BYTES and (more := os.read(fd, 1 << 15)):
            raw += more
            _, found, rest = raw.partition(wanted)
            value, end, _ = rest.partition(b"\0")
            if found and end:
                return value
    except OSError:
        return None
    finally:
        os.close(fd)
    return None


@dataclass(frozen=True, slots=True)
class Counters:
    """What a process has used so far, all threads. None: this kernel or its owner hides it.

    Attributes:
        run_ns, wait_ns: time on a CPU, and time runnable but waiting for one.
    """

    stat: Stat
    monotonic_ns: int
    run_ns: int | None
    wait_ns: int | None
    n_voluntary_switches: int | None
    n_read_bytes: int | None
    n_written_bytes: int | None


def read_counters(pid: int) -> Counters | None:
    """None when the process has gone."""
    stat = read_stat(pid)
    if stat is None:
        return None
    run_ns = wait_ns = n_voluntary = 0
    try:
        tids = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return None
    is_complete = len(tids) <= MAX_THREADS_READ
    for tid in tids if is_complete else ():
        schedstat = read_bytes(f"/proc/{pid}/task/{tid}/schedstat", 256)
        status = read_bytes(f"/proc/{pid}/task/{tid}/status", 1 << 14)
        if not schedstat or not status:
            is_complete = False
            continue
        fields = schedstat.split()
        run_ns += int(fields[0])
        wait_ns += int(fields[1])
        match = re.search(rb"\nvoluntary_ctxt_switches:\s*(\d+)", status)
        n_voluntary += int(match[1]) if match else 0
    io = read_bytes(f"/proc/{pid}/io", 4096)
    io_fields = dict(line.split(b": ") for line in io.splitlines()) if io else {}
    return Counters(
        stat=stat,
        monotonic_ns=time.monotonic_ns(),
        # A thread that came or went between two readings would look like time jumping, and of a
        # part of very many threads nothing follows.
        run_ns=run_ns if is_complete else None,
        wait_ns=wait_ns if is_complete else None,
        n_voluntary_switches=n_voluntary if is_complete else None,
        n_read_bytes=int(io_fields[b"rchar"]) if b"rchar" in io_fields else None,
        n_written_bytes=int(io_fields[b"wchar"]) if b"wchar" in io_fields else None,
    )


def read_ptrace_scope() -> int:
    """0 where we may read memory and stacks of our processes; else Yama's setting, by which that
    needs more privilege than we have (its 1 lets a parent, which we are of nobody)."""
    if os.geteuid() == 0:
        return 0
    raw = read_bytes("/proc/sys/kernel/yama/ptrace_scope", 16)
    return int(raw) if raw else 0


def read_n_runnable() -> int | None:
    """Tasks on the machine that run or wait for a CPU, now."""
    raw = read_bytes("/proc/loadavg", 256)
    return int(raw.split()[3].split(b"/")[0]) if raw else None
