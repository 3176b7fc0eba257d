"""What processes hold on to: memory, descriptors, threads, CPU, and objects in the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from linnix_ls.tracer import bpf_syscall

_SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
# Commands of bpf(2), of include/uapi/linux/bpf.h; the first ones give the next higher id.
_NEXT_ID = {"programs": 11, "maps": 12, "links": 31}
_MAP_FD_BY_ID = 14
_ID_IN_FDINFO = re.compile(r"^(prog|map|link)_id:\s*(\d+)", re.MULTILINE)
_FIELD = re.compile(r"^(\w+):\s*(\w+)", re.MULTILINE)
_libc = ctypes.CDLL(None, use_errno=True)
_KINDS = {"prog": "programs", "map": "maps", "link": "links"}

BPF_KINDS = tuple(_NEXT_ID)
BpfId = tuple[str, int]  # of "programs", "maps" or "links"


@dataclass(frozen=True, slots=True)
class Holdings:
    """Of one process.

    Attributes:
        pss_bytes: what it shares with others is divided among them.
        heap_bytes: the private part of it that no file is behind: what leaks is in there.
    """

    rss_bytes: int
    pss_bytes: int
    heap_bytes: int
    n_fds: int
    n_sockets: int
    n_threads: int
    cpu_s: float
    bpf: frozenset[BpfId]


def holdings_of(pid: int) -> Holdings | None:
    """None when it has ended."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            n_threads = process.num_threads()
        kib = {
            line.split()[0].rstrip(":"): int(line.split()[1])
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        }
        links = list(_open_files(pid))
    except (psutil.NoSuchProcess, OSError):
        return None
    return Holdings(
        rss_bytes=kib["Rss"] * 1024,
        pss_bytes=kib["Pss"] * 1024,
        heap_bytes=kib["Pss_Anon"] * 1024,
        n_fds=len(links),
        n_sockets=sum(link.startswith("socket:") for link in links),
        n_threads=n_threads,
        cpu_s=times.user + times.system,
        bpf=bpf_of(pid),
    )


def _open_files(pid: int) -> Iterator[str]:
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/{pid}/fd/{fd}")


def bpf_of(pid: int) -> frozenset[BpfId]:
    """What it has descriptors of."""
    found = set()
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError):
                info = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
                found |= {(_KINDS[kind], int(n)) for kind, n in _ID_IN_FDINFO.findall(info)}
    return frozenset(found)


def all_bpf() -> frozenset[BpfId]:
    """Of all that the kernel has, whoever made it."""
    return frozenset((kind, n) for kind, command in _NEXT_ID.items() for n in _ids(command))


def _ids(command: int) -> Iterator[int]:
    number = 0
    with contextlib.suppress(OSError):  # it was the last one
        while True:
            number = _bpf(command, number)[1]
            yield number


def _bpf(command: int, number: int) -> tuple[int, int]:
    """Of a command that takes an id: what it returns, and the next id where it is asked for."""
    attributes = (ctypes.c_uint32 * 3)(number)
    result = _libc.syscall(_SYS_BPF, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf(2)")
    return int(result), int(attributes[1])


def keys_of_hashes(pid: int, *, min_entries: int) -> Iterator[bytes]:
    """Of the hash maps that a process holds and that are as large as that."""
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):  # closed meanwhile
            info = dict(_FIELD.findall(Path(f"/proc/{pid}/fdinfo/{name}").read_text()))
            if info.get("map_type") == "1" and int(info["max_entries"]) >= min_entries:
                map_fd = _bpf(_MAP_FD_BY_ID, int(info["map_id"]))[0]
                try:
                    yield from bpf_syscall.keys(map_fd, int(info["key_size"]))
                finally:
                    os.close(map_fd)


def count(ids: Collection[BpfId], kind: str) -> int:
    return sum(each == kind for each, _ in ids)


def with_variable(name: str, value: str) -> dict[int, str]:
    """Living processes that were started with this in their environment: pids, and what they are
    called."""
    wanted = f"{name}={value}".encode()
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
            if wanted in environment.split(b"\0") and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = " ".join(process.cmdline())[:200]
    return found
