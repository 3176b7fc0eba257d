"""The process that BCC lives in.

    python -m linnix_ls.tracer.bcc_worker FRAMES_FD CACHE_DIR RING_PAGES

libbcc may abort (LLVM), exit (on a type it does not know) or print to any stream; here that
ends this process and nothing else. It holds the file descriptors of everything attached, so
when it dies, for whatever reason, the kernel detaches all of it.

Commands come as JSON lines on stdin; its end is the order to stop. Answers and records leave
as frames on FRAMES_FD: ``<u32 length><u8 FRAME_*><payload>``. Imported only by its own process,
and for the constants by `tracer.bcc`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import json
import os
import select
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from linnix_ls.errors import TracerUnavailable
from linnix_ls.tracer import kernel_headers, wire
from linnix_ls.tracer.bpf_source import bpf_dir, probe_source
from linnix_ls.tracer.decode import SAMPLE_FREQUENCY_HZ

FRAME_MESSAGE = 0  # JSON
FRAME_RECORDS = 1  # records, each <u32 length><bytes>
FRAME_HEAD = struct.Struct("<IB")
RECORD_HEAD = struct.Struct("<I")

# Records wait this long in the kernel at most. Waking up for each one would cost more in a fork
# storm than the records themselves.
DRAIN_INTERVAL_S = 0.02
RING_PAGES = 1024  # 4 MiB: 40,000 forks, or 20 ms at two million a second
FRAME_FLUSH_BYTES = 1 << 18

_DISTRIBUTION_FOLDERS = (
    "/usr/lib/python3/dist-packages",  # Debian, Ubuntu
    *sorted(map(str, Path("/usr/lib").glob("python3.*/site-packages")), reverse=True),
    *sorted(map(str, Path("/usr/lib64").glob("python3.*/site-packages")), reverse=True),
)
_INSTALL_BCC = (
    "apt-get install python3-bpfcc   (Fedora: python3-bcc, Alpine: py3-bcc, Arch: python-bcc)"
)


def import_bcc() -> Any:
    """BCC's Python binding, from wherever the distribution put it.

    It is pure Python over libbcc, so any interpreter can use the copy that belongs to the
    system's python3. PyPI's `bcc` is an unrelated package and is passed over.

    Raises:
        TracerUnavailable: not installed, or only the unrelated package is.
    """
    found_wrong: str | None = None
    broken: Exception | None = None
    try:
        module = importlib.import_module("bcc")
        if hasattr(module, "BPF"):
            return module
        found_wrong = module.__file__  # None: an empty folder of that name
    except ModuleNotFoundError:
        pass
    except Exception as error:  # noqa: BLE001 - whatever package that is, it may do anything
        broken = error
    for folder in _DISTRIBUTION_FOLDERS:
        package = Path(folder, "bcc")
        if not (package / "libbcc.py").is_file():
            continue
        for name in [name for name in sys.modules if name.split(".")[0] == "bcc"]:
            del sys.modules[name]
        spec = importlib.util.spec_from_file_location(
            "bcc", package / "__init__.py", submodule_search_locations=[str(package)]
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["bcc"] = module
        try:
            spec.loader.exec_module(module)
        except (ImportError, OSError, AttributeError) as error:  # libbcc is missing, or another's
            broken = error
            continue
        return module
    if found_wrong:
        raise TracerUnavailable(
            f"the installed `bcc` ({found_wrong}) is PyPI's unrelated package of that name",
            fix=_INSTALL_BCC,
            cause="wrong_bcc",
        )
    if broken is not None:
        raise TracerUnavailable(
            f"BCC is installed, but does not load: {broken}",
            fix="apt-get install --reinstall python3-bpfcc libbpfcc",
            cause="no_bcc",
        )
    raise TracerUnavailable(
        "BCC's Python binding is not installed", fix=_INSTALL_BCC, cause="no_bcc"
    )


# What this process and `decode` rely on, whatever else the probes do: sizes of keys and values.
NEEDED_MAPS = {
    "watched": (4, 1),
    "watched_uids": (4, 1),
    "suspects": (4, 1),
    "lost": (4, 8),
    "syscall_counts": (ctypes.sizeof(wire.SyscallKey), ctypes.sizeof(wire.SyscallCounts)),
    "path_counts": (ctypes.sizeof(wire.PathKey), 8),
    "events": (0, 0),
}
NEEDED_PROGRAMS = ("on_cpu_clock", "on_sys_exit")


class Probes:
    """Everything loaded; the methods are the commands.

    Args:
        bcc: its binding.
        make: what compiles, loads and attaches, in place of the binding's own class.
    """

    def __init__(
        self, bcc: Any, source: str, ring_pages: int, make: Callable[..., Any] | None = None
    ) -> None:
        self._syscall_name = importlib.import_module("bcc.syscall").syscall_name
        self.source = source
        self.bpf = (make or bcc.BPF)(
            text=source,
            cflags=[f"-I{bpf_dir()}", f"-DRING_PAGES={ring_pages}", "-Wno-everything"],
        )
        # RAW_TRACEPOINT_PROBEs attached themselves. The rest:
        self.bpf.attach_perf_event(
            ev_type=bcc.PerfType.SOFTWARE,
            ev_config=bcc.PerfSWConfig.CPU_CLOCK,
            fn_name=b"on_cpu_clock",
            sample_freq=SAMPLE_FREQUENCY_HZ,
        )
        self.bpf.load_func(b"on_sys_exit", bcc.BPF.RAW_TRACEPOINT)
        self._suspect_pids: set[int] = set()
        self.records: list[bytes] = []
        self.bpf[b"events"].open_ring_buffer(self._on_record)

    def _on_record(self, _context: Any, record: int, size: int) -> None:
        # An exception here would be printed and dropped by ctypes: nothing in it can raise.
        self.records.append(ctypes.string_at(record, size))

    def drain(self) -> None:
        """Move what the ring holds into `records`."""
        self.bpf.ring_buffer_consume()

    def n_lost(self) -> int:
        lost = self.bpf[b"lost"]
        return sum(int(lost[i].value) for i in range(wire.LossReason.N_LOSS_REASONS))

    def flush(self) -> None:
        """All that was seen before this is told before it is answered."""

    def scope(self) -> list[int]:
        """Of the processes that are watched, the pids."""
        return [key.value for key in self.bpf[b"watched"]]

    def ask(self, module: str, function: str) -> Any:
        """What that function finds of all this; it is imported when it is asked first."""
        return getattr(importlib.import_module(module), function)(self)

    def watch(self, pids: list[int]) -> None:
        self._put(b"watched", pids)

    def unwatch(self, pids: list[int]) -> None:
        self._remove(b"watched", pids)

    def watch_users(self, uids: list[int]) -> None:
        table = self.bpf[b"watched_uids"]
        self._remove(b"watched_uids", [key.value for key in table if key.value not in uids])
        self._put(b"watched_uids", uids)

    def start_counting(self, pid: int) -> None:
        self._put(b"suspects", [pid])
        if not self._suspect_pids:
            self.bpf.attach_raw_tracepoint(tp=b"sys_exit", fn_name=b"on_sys_exit")
        self._suspect_pids.add(pid)

    def stop_counting(self, pid: int) -> list[tuple[Any, ...]]:
        """(name, calls, errors, zero results, sum of results, paths, commonest path, its calls)
        of each system call; the last three are None for those that take no path."""
        self._remove(b"suspects", [pid])
        self._suspect_pids.discard(pid)
        if not self._suspect_pids:
            self.bpf.detach_raw_tracepoint(tp=b"sys_exit")
        paths: dict[int, dict[bytes, int]] = {}
        for key, count in self._taken(b"path_counts", pid):
            paths.setdefault(key.syscall, {})[bytes(key.path)] = int(count.value)
        return [
            (
                os.fsdecode(self._syscall_name(key.syscall)),
                *(counts.n_calls, counts.n_errors, counts.n_zero, counts.total_result),
                *_summary(paths.get(key.syscall), counts.n_calls),
            )
            for key, counts in self._taken(b"syscall_counts", pid)
        ]

    def _taken(self, table_name: bytes, pid: int) -> list[tuple[Any, Any]]:
        """The rows of a process, which are removed."""
        table = self.bpf[table_name]
        rows = [(key, value) for key, value in table.items() if key.tgid == pid]
        for key, _ in rows:
            with contextlib.suppress(KeyError):
                del table[key]
        return rows

    def _put(self, table_name: bytes, numbers: list[int]) -> None:
        table = self.bpf[table_name]
        for number in numbers:
            table[ctypes.c_uint32(number)] = ctypes.c_uint8(1)

    def _remove(self, table_name: bytes, numbers: list[int]) -> None:
        table = self.bpf[table_name]
        for number in numbers:
            with contextlib.suppress(KeyError):  # it has exited meanwhile
                del table[ctypes.c_uint32(number)]


def _summary(
    paths: dict[bytes, int] | None, n_calls: int
) -> tuple[int | None, str | None, int | None]:
    """How many different paths, the commonest, and how often that was given. Calls whose path
    was too long, or came when the map was full, may each have had another."""
    if not paths:
        return None, None, None
    n_unknown = n_calls - sum(n for path, n in paths.items() if path)
    known = {path: n for path, n in paths.items() if path}
    if not known:
        return max(n_unknown, 1), None, None
    commonest = max(known, key=lambda path: known[path])
    return len(known) + max(0, n_unknown), os.fsdecode(commonest), known[commonest]


class Frames:
    """The way out. Writing may block: then the kernel's ring holds what comes meanwhile."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def message(self, **fields: Any) -> None:
        self._write(FRAME_MESSAGE, json.dumps(fields).encode())

    def records(self, records: list[bytes]) -> None:
        batch = bytearray()
        for record in records:
            batch += RECORD_HEAD.pack(len(record))
            batch += record
            if len(batch) > FRAME_FLUSH_BYTES:
                self._write(FRAME_RECORDS, batch)
                batch.clear()
        if batch:
            self._write(FRAME_RECORDS, batch)

    def _write(self, kind: int, payload: bytes | bytearray) -> None:
        pending = memoryview(FRAME_HEAD.pack(len(payload), kind) + payload)
        while pending:
            pending = pending[os.write(self._fd, pending) :]


def serve(probes: Probes, frames: Frames) -> None:
    """Pass on what comes, and do what is ordered, until stdin ends."""
    stdin_fd = sys.stdin.fileno()
    buffered = b""
    n_lost_told = 0

    def pass_on() -> None:
        nonlocal n_lost_told
        probes.drain()
        if probes.records:
            frames.records(probes.records)
            probes.records.clear()
            if (n_lost := probes.n_lost()) != n_lost_told:
                frames.message(n_lost=n_lost - n_lost_told)
                n_lost_told = n_lost

    while True:
        readable, _, _ = select.select([stdin_fd], [], [], DRAIN_INTERVAL_S)
        pass_on()
        if not readable:
            continue
        chunk = os.read(stdin_fd, 65536)
        if not chunk:
            return
        *lines, buffered = (buffered + chunk).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if command["name"] == "flush":
                pass_on()
            try:
                result = getattr(probes, command["name"])(*command["arguments"])
                frames.message(id=command["id"], result=result)
            except Exception as error:  # noqa: BLE001 - whatever libbcc raises is the answer
                frames.message(id=command["id"], error=f"{type(error).__name__}: {error}")


def main() -> None:
    """Load, say so, and serve until stdin ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: gone with our owner, even kill -9
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is not for us
    frames = Frames(int(sys.argv[1]))
    try:
        if kernel_headers.installed_headers() is None:
            headers = kernel_headers.headers_from_btf(Path(sys.argv[2]))
            os.environ["BCC_KERNEL_SOURCE"] = str(headers)
        probes = Probes(import_bcc(), probe_source(), int(sys.argv[3]))
    except TracerUnavailable as error:
        frames.message(failed=error.message, fix=error.fix, cause=error.cause)
        return
    except OSError as error:
        frames.message(
            failed=f"the probes cannot be made: {error}",
            fix=f"see that {sys.argv[2]} can be written",
            cause="load_failed",
        )
        return
    except Exception as error:  # noqa: BLE001 - libbcc raises bare Exception
        frames.message(failed=f"BCC: {error}", fix=None, cause="load_failed")
        return
    frames.message(ready=True)
    with contextlib.suppress(BrokenPipeError):
        serve(probes, frames)


if __name__ == "__main__":
    main()
