"""What the threads of some processes wait for, and who could end the wait.

Read from /proc: the system call a thread sleeps in and its arguments (proc(5), syscall), and who
holds the other ends of the pipes and sockets in question. Nothing is stopped. Needs the right to
trace the processes; without it a wait is unknown, and an unknown wait is never hopeless.

Only who sleeps waits. A thread that wants a CPU and gets none on a loaded machine, one that is
suspended (SIGSTOP, a debugger) or frozen by its control group also uses no CPU, and /proc tells in
which call it was; but what it waited for may have come.
"""

from __future__ import annotations

import os
import platform
import re
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from linnix_ls import procfs
from linnix_ls.core.examination import Wait
from linnix_ls.core.ids import ProcessKey
from linnix_ls.locate import unix_sockets

MAX_THREADS = 64
MAX_FDS = 512
_O_ACCMODE, _O_WRONLY = 0o3, 0o1
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_READS = frozenset({"read", "readv", "recvfrom", "recvmsg"})
_WRITES = frozenset({"write", "writev", "sendto", "sendmsg"})
_FUTEX_COMMAND = 0x7F
_FUTEX_WAITS = frozenset({0, 6, 9, 11})  # WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI
_STOPPED_IN = frozenset({b"get_signal", b"do_freezer_trap", b"do_signal_stop"})
_POLLFD = struct.Struct("ihh")

# Numbers of the calls that wait (asm/unistd.h); the generic table serves arm64 and riscv.
_X86_64 = {
    0: "read", 1: "write", 7: "poll", 19: "readv", 20: "writev", 23: "select", 44: "sendto",
    45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 61: "wait4",
    202: "futex", 232: "epoll_wait", 247: "waitid", 270: "pselect6", 271: "ppoll",
    281: "epoll_pwait",
}  # fmt: skip
_GENERIC = {
    22: "epoll_pwait", 63: "read", 64: "write", 65: "readv", 66: "writev", 72: "pselect6",
    73: "ppoll", 95: "waitid", 98: "futex", 206: "sendto", 207: "recvfrom", 211: "sendmsg",
    212: "recvmsg", 260: "wait4",
}  # fmt: skip
_CALLS = _X86_64 if platform.machine() == "x86_64" else _GENERIC


# Threads that a runtime has for itself, by their names (of 15 characters): a JVM's. What they wait
# for, with a timer or not, says nothing about the program.
_OF_JVM = re.compile(
    r"GC Thread|G1 |VM Thread|VM Periodic|C[12] Compiler|Sweeper|Signal Dispatch|Service Thread"
    r"|Monitor Deflat|Notification Th|Reference Handl|Finalizer|Common-Cleaner|Attach Listener"
    r"|ZGC|Shenandoah|JFR|process reaper|DestroyJavaVM"
)


@dataclass(slots=True)
class _Ends:
    """Who holds a pipe or a socket: those that read from it and those that write into it."""

    readers: set[ProcessKey] = field(default_factory=set)
    writers: set[ProcessKey] = field(default_factory=set)


def read_waits(keys: Collection[ProcessKey]) -> tuple[Wait, ...]:
    """One `Wait` for each thread of the living among `keys`; of a process with more than
    `MAX_THREADS` one more, unknown, for all the others."""
    living = [key for key in keys if (s := procfs.read_stat(key.pid)) and s.key == key]
    pipes = _channels(living)
    children: dict[ProcessKey, list[ProcessKey]] = {}
    by_pid = {key.pid: key for key in living}
    for key in living:
        stat = procfs.read_stat(key.pid)
        if stat is not None and stat.ppid in by_pid:
            children.setdefault(by_pid[stat.ppid], []).append(key)
    waits: list[Wait] = []
    for key in living:
        tids = _tids(key)
        for tid in tids[:MAX_THREADS]:
            wait = _wait(key, tid, children.get(key, []), pipes)
            # Asked afterwards: what it slept in before it was stopped would not count.
            waits.append(wait if _is_asleep(key.pid, tid) else _unknown(key, tid))
        waits += (_unknown(key, tid) for tid in tids[MAX_THREADS:][:1])
    return tuple(waits)


def _unknown(key: ProcessKey, tid: int) -> Wait:
    return Wait(key, tid, None, "", (), False)


def _is_asleep(pid: int, tid: int) -> bool:
    """Whether it waits for something, and not for a CPU or for being continued."""
    stat = procfs.read_bytes(f"/proc/{pid}/task/{tid}/stat", 4096) or b""
    if stat.rpartition(b")")[2].split()[:1] != [b"S"]:
        return False
    # Those that version 2 of control groups freezes are shown as asleep too: in the freezer, which
    # is a part of taking signals.
    where = procfs.read_bytes(f"/proc/{pid}/task/{tid}/wchan", 128) or b""
    return where not in _STOPPED_IN


def _tids(key: ProcessKey) -> list[int]:
    """Those of its threads that are the program's."""
    try:
        tids = sorted(map(int, os.listdir(f"/proc/{key.pid}/task")))
    except OSError:
        return []
    if os.path.basename(procfs.read_exe(key.pid) or "") != "java":
        return tids
    return [tid for tid in tids if not _OF_JVM.match(_name(key.pid, tid))]


def _name(pid: int, tid: int) -> str:
    return (procfs.read_bytes(f"/proc/{pid}/task/{tid}/comm", 64) or b"").decode("utf-8", "replace")


def _channels(keys: Iterable[ProcessKey]) -> dict[str, _Ends]:
    """Pipes and connected unix sockets, by the name that /proc gives to an end."""
    found: dict[str, _Ends] = {}
    holders: dict[int, set[ProcessKey]] = {}
    for key in keys:
        try:
            fds = os.listdir(f"/proc/{key.pid}/fd")[:MAX_FDS]
        except OSError:
            continue
        for fd in fds:
            target = procfs.read_link(f"/proc/{key.pid}/fd/{fd}") or ""
            if match := _SOCKET.fullmatch(target):
                holders.setdefault(int(match[1]), set()).add(key)
            elif target.startswith("pipe:"):
                ends = found.setdefault(target, _Ends())
                info = procfs.read_bytes(f"/proc/{key.pid}/fdinfo/{fd}", 1024) or b""
                flags = re.search(rb"^flags:\s*([0-7]+)", info, re.MULTILINE)
                mode = int(flags[1], 8) & _O_ACCMODE if flags else 0
                (ends.writers if mode == _O_WRONLY else ends.readers).add(key)
    for inode, peer in unix_sockets.peers().items() if holders else ():
        if inode in holders and peer in holders:
            # Whoever has the other end reads what is written into this one, and the reverse.
            found[f"socket:[{inode}]"] = _Ends(holders[peer], holders[peer])
    return found


def _wait(key: ProcessKey, tid: int, children: list[ProcessKey], pipes: dict[str, _Ends]) -> Wait:
    raw = procfs.read_bytes(f"/proc/{key.pid}/task/{tid}/syscall", 512)
    fields = raw.split() if raw else []
    if len(fields) < 7:  # "running", "-1 …", or not for us to see
        return _unknown(key, tid)
    call = _CALLS.get(int(fields[0]))
    arguments = [int(field, 16) for field in fields[1:7]]
    if call in _READS or call in _WRITES:
        return _on_fds(key, tid, call, [(arguments[0], call in _WRITES)], pipes)
    if call in ("wait4", "waitid"):
        pid = arguments[0] if call == "wait4" else arguments[1]
        awaited = [child for child in children if child.pid == pid] or children
        return Wait(key, tid, call, "a child", tuple(awaited), bool(awaited))
    if call == "futex" and arguments[1] & _FUTEX_COMMAND in _FUTEX_WAITS and arguments[3] == 0:
        return Wait(key, tid, call, "a lock", (key,), True)
    timeout = {"poll": 2, "ppoll": 2, "epoll_wait": 3, "epoll_pwait": 3}.get(call or "")
    if timeout is None or not _is_for_ever(call or "", arguments[timeout]):
        return Wait(key, tid, call, "", (), False)
    if call in ("poll", "ppoll"):
        fds = _polled(key.pid, arguments[0], arguments[1])
    else:
        fds = _epolled(key.pid, arguments[0])
    return _on_fds(key, tid, call or "", fds, pipes)


def _is_for_ever(call: str, timeout: int) -> bool:
    if call == "ppoll":
        return timeout == 0  # a null pointer
    return timeout & 0x8000_0000 != 0  # a negative int


def _on_fds(
    key: ProcessKey,
    tid: int,
    call: str,
    fds: list[tuple[int, bool]],
    pipes: dict[str, _Ends],
) -> Wait:
    """A wait on descriptors, (fd, is for writing) each; known only if all of them are pipes or
    sockets whose other ends are held by processes that we look at."""
    peers: set[ProcessKey] = set()
    for fd, is_write in fds:
        target = procfs.read_link(f"/proc/{key.pid}/fd/{fd}") or ""
        if target == "anon_inode:[eventfd]":
            peers.add(key)  # other threads wake it by that, whom we look at, too
            continue
        ends = pipes.get(target)
        others = (ends.readers if is_write else ends.writers) if ends else set()
        if not others:
            return Wait(key, tid, call, "", (), False)
        peers |= others
    what = "room in a pipe" if any(is_write for _, is_write in fds) else "a pipe"
    return Wait(key, tid, call, what, tuple(sorted(peers)), bool(fds))


def _polled(pid: int, address: int, n_fds: int) -> list[tuple[int, bool]]:
    if not 0 < n_fds <= MAX_THREADS:
        return []
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            raw = memory.read(n_fds * _POLLFD.size)
    except (OSError, ValueError, OverflowError):
        return []
    if len(raw) != n_fds * _POLLFD.size:
        return []
    return [(fd, bool(events & 0x4)) for fd, events, _ in _POLLFD.iter_unpack(raw) if fd >= 0]


def _epolled(pid: int, epoll_fd: int) -> list[tuple[int, bool]]:
    info = procfs.read_bytes(f"/proc/{pid}/fdinfo/{epoll_fd}", 1 << 16) or b""
    return [
        (int(fd), bool(int(events, 16) & 0x4))
        for fd, events in re.findall(rb"^tfd:\s*(\d+) events:\s*([0-9a-f]+)", info, re.MULTILINE)
    ]
