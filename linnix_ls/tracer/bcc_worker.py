"""The process that holds the probes: their file descriptors, and little else.

    python -m linnix_ls.tracer.bcc_worker FRAMES_FD CACHE_DIR RING_PAGES [anew]

Who compiles them is a child of it, which ends with all that BCC and LLVM take; probes that were
compiled before are not compiled again (`kept_products`), unless it is to be done anew. libbcc may
abort, exit or print to any stream: then this process ends as its child did, and nothing else does.
When it dies, for whatever reason, the kernel detaches all that it held.

Commands come as JSON lines on stdin; its end is the order to stop. Answers and records leave
as frames on FRAMES_FD: ``<u32 length><u8 FRAME_*><payload>``. Imported only by its own process
and by those that do the same, and for the constants by `tracer.bcc`; it stays small, so it imports
little.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import json
import os
import resource
import select
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NoReturn

from linnix_ls import capabilities
from linnix_ls.errors import TracerUnavailable
from linnix_ls.privilege import wants_more_to_sample
from linnix_ls.tracer import bpf_syscall, perf_event, wire
from linnix_ls.tracer.product import PERF_EVENT, RAW_TRACEPOINT, TRACEPOINT, Map, Product, with_maps
from linnix_ls.tracer.ring_buffer import RingBuffer

ANEW = "anew"
FRAME_MESSAGE = 0  # JSON
FRAME_RECORDS = 1  # a piece of the ring buffer, for `ring_buffer.records_in`
FRAME_HEAD = struct.Struct("<IB")

# Records wait this long in the kernel for more of them. Waking up for each one would cost more in a
# fork storm than the records themselves.
DRAIN_INTERVAL_S = 0.02
# Probes that somebody has edited may wake nobody.
LOOK_ANYWAY_S = 1.0
RING_PAGES = 2048  # 8 MiB: 80,000 forks, a second of the most that two CPUs can start
FRAME_BYTES = 1 << 18
# Six seconds of work for the agent: a burst waits, and is not lost.
MAX_WAITING_BYTES = 32 << 20
SAMPLE_FREQUENCY_HZ = 99
_VERIFIER_LOG_BYTES = 1 << 20

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
_MORE_TO_SAMPLE = (
    "this kernel lets nobody sample without CAP_SYS_ADMIN: sudo linnix-ls agent --install gives it"
    " to the service; or sudo sysctl kernel.perf_event_paranoid=2"
)
NEEDED_PROGRAMS = ("on_cpu_clock", "on_sys_exit")


_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


class Held:
    """A map that is loaded; iterating over it gives its keys."""

    def __init__(self, declared: Map) -> None:
        self.declared = declared
        try:
            self.fd = bpf_syscall.create_map(
                declared.name.encode(),
                *(declared.type, declared.key_size, declared.value_size),
                declared.max_entries,
                flags=declared.flags,
            )
        except OSError as error:
            raise TracerUnavailable(
                f"the kernel does not make the map {declared.name}: {error.strerror}",
                cause="load_failed",
            ) from error

    def __iter__(self) -> Iterator[bytes]:
        """Bounded: where they come and go meanwhile, some may come twice."""
        return islice(
            bpf_syscall.keys(self.fd, self.declared.key_size), 2 * self.declared.max_entries
        )

    def value(self, key: bytes) -> bytes | None:
        return bpf_syscall.lookup(self.fd, key, self.declared.value_size)


class Probes:
    """Everything loaded and attached; the methods are the commands.

    Attributes:
        product: that it is made of.
        program_fds, maps: by name.

    Raises:
        TracerUnavailable: the kernel refuses.
    """

    def __init__(self, product: Product) -> None:
        self.product = product
        self.maps = {each.name: Held(each) for each in product.maps}
        fds = {place: self.maps[each.name].fd for place, each in enumerate(product.maps)}
        self.program_fds = {
            each.name: _load(each.name, each.type, with_maps(each.code, fds), product.license)
            for each in product.programs
            if each.type
        }
        events = self.maps["events"]
        self.events_fd = events.fd  # can be read when there are records
        self._ring = RingBuffer(events.fd, events.declared.max_entries)
        self._suspect_pids: set[int] = set()
        self._sys_exit_fd: int | None = None
        # Held open, and never closed but by our end.
        self._attached = [fd for each in product.programs for fd in self._attach(each.name)]

    def _attach(self, name: str) -> list[int]:
        program = next(each for each in self.product.programs if each.name == name)
        try:
            if program.type == PERF_EVENT:
                return perf_event.attach_cpu_clock(self.program_fds[name], SAMPLE_FREQUENCY_HZ)
            if program.type == RAW_TRACEPOINT and program.tracepoint:
                fd = self.program_fds[name]
                return [bpf_syscall.attach_raw_tracepoint(fd, program.tracepoint)]
            if program.type == TRACEPOINT:
                category, _, event = program.tracepoint.partition("__")
                return [perf_event.attach_tracepoint(self.program_fds[name], category, event)]
        except OSError as error:
            fix = (
                _MORE_TO_SAMPLE if error.errno == errno.EACCES and wants_more_to_sample() else None
            )
            raise TracerUnavailable(
                f"the kernel does not attach {name}: {error.strerror}", fix=fix, cause="load_failed"
            ) from error
        return []

    def pieces(self) -> Iterator[bytes]:
        """What the ring holds now, for `ring_buffer.records_in`."""
        return self._ring.pieces(FRAME_BYTES)

    def n_lost(self) -> int:
        lost = self.maps["lost"]
        counts = (lost.value(_U32.pack(reason)) for reason in range(wire.LossReason.N_LOSS_REASONS))
        return sum(_U64.unpack(count)[0] for count in counts if count)

    def flush(self) -> None:
        """All that was seen before this is told before it is answered."""

    def scope(self) -> list[int]:
        """Of the processes that are watched, the pids."""
        return list({_U32.unpack(key)[0] for key in self.maps["watched"]})

    def ask(self, module: str, function: str) -> Any:
        """What that function finds of all this; it is imported when it is asked first."""
        return getattr(importlib.import_module(module), function)(self)

    def watch(self, pids: list[int]) -> None:
        self._put("watched", pids)

    def unwatch(self, pids: list[int]) -> None:
        self._remove("watched", pids)

    def watch_users(self, uids: list[int]) -> None:
        known = {_U32.unpack(key)[0] for key in self.maps["watched_uids"]}
        self._remove("watched_uids", [uid for uid in known if uid not in uids])
        self._put("watched_uids", uids)

    def start_counting(self, pid: int) -> None:
        self._put("suspects", [pid])
        if self._sys_exit_fd is None:
            self._sys_exit_fd = bpf_syscall.attach_raw_tracepoint(
                self.program_fds["on_sys_exit"], "sys_exit"
            )
        self._suspect_pids.add(pid)

    def count_slice(self, pid: int, slice_s: float) -> tuple[float, int]:
        """For how long it was counted, and how many calls there have been so far.

        It is waited for here: of two commands each comes a millisecond late on a full machine.
        """
        self.start_counting(pid)
        started_s = time.monotonic()
        time.sleep(slice_s)
        counted_s = time.monotonic() - started_s
        self._pause_counting(pid)
        table, head = self.maps["syscall_counts"], _U32.pack(pid)
        values = (table.value(key) for key in {key for key in table if key.startswith(head)})
        n_calls = sum(wire.SyscallCounts.from_buffer_copy(raw).n_calls for raw in values if raw)
        return counted_s, n_calls

    def _pause_counting(self, pid: int) -> None:
        self._remove("suspects", [pid])
        self._suspect_pids.discard(pid)
        if not self._suspect_pids and self._sys_exit_fd is not None:
            os.close(self._sys_exit_fd)
            self._sys_exit_fd = None

    def stop_counting(self, pid: int) -> list[tuple[Any, ...]]:
        """(name, calls, errors, zero results, sum of results, paths, commonest path, its calls)
        of each system call; the last three are None for those that take no path."""
        self._pause_counting(pid)
        paths: dict[int, dict[bytes, int]] = {}
        for raw_key, raw_count in self._taken("path_counts", pid):
            key = wire.PathKey.from_buffer_copy(raw_key)
            paths.setdefault(key.syscall, {})[bytes(key.path)] = _U64.unpack(raw_count)[0]
        rows = []
        for raw_key, raw_counts in self._taken("syscall_counts", pid):
            number = wire.SyscallKey.from_buffer_copy(raw_key).syscall
            counts = wire.SyscallCounts.from_buffer_copy(raw_counts)
            rows.append(
                (
                    self.product.system_calls.get(number, f"[unknown: {number}]"),
                    *(counts.n_calls, counts.n_errors, counts.n_zero, counts.total_result),
                    *_summary(paths.get(number), counts.n_calls),
                )
            )
        return rows

    def _taken(self, name: str, pid: int) -> list[tuple[bytes, bytes]]:
        """The rows of a process, which are removed. Both kinds of keys begin with its pid."""
        table = self.maps[name]
        head = _U32.pack(pid)
        rows = []
        for key in {key for key in table if key.startswith(head)}:
            value = table.value(key)
            bpf_syscall.delete(table.fd, key)
            if value is not None:
                rows.append((key, value))
        return rows

    def _put(self, name: str, numbers: list[int]) -> None:
        for number in numbers:
            bpf_syscall.update(self.maps[name].fd, _U32.pack(number), b"\1")

    def _remove(self, name: str, numbers: list[int]) -> None:
        for number in numbers:
            bpf_syscall.delete(self.maps[name].fd, _U32.pack(number))


def _load(name: str, kind: int, code: bytes, license_text: bytes) -> int:
    # The kernel keeps fifteen characters of a name: those that tell programs apart.
    short = name.removeprefix("raw_").removeprefix("tracepoint__")
    loaded = bpf_syscall.load(kind, code, license_text, short.encode(), _VERIFIER_LOG_BYTES)
    if loaded.fd is None:
        words = loaded.log.strip().splitlines()
        # The last line counts instructions; what it stumbled over is said before.
        why = f": {words[-2] if len(words) > 1 else words[-1]}" if words else ""
        raise TracerUnavailable(
            f"the kernel does not load {name}: {os.strerror(loaded.errno)}{why}",
            cause="load_failed",
        )
    return loaded.fd


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
    """The way out. What the agent has no time for waits here, and when that is too much, in the
    kernel's ring."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        os.set_blocking(fd, False)
        self._waiting: deque[memoryview] = deque()
        self._n_waiting_bytes = 0

    @property
    def is_waiting(self) -> bool:
        """Whether something has not been written."""
        return bool(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether no more records should come."""
        return self._n_waiting_bytes >= MAX_WAITING_BYTES

    def message(self, **fields: Any) -> None:
        self._write(FRAME_MESSAGE, json.dumps(fields).encode())

    def records(self, piece: bytes) -> None:
        self._write(FRAME_RECORDS, piece)

    def _write(self, kind: int, payload: bytes) -> None:
        frame = FRAME_HEAD.pack(len(payload), kind) + payload
        self._waiting.append(memoryview(frame))
        self._n_waiting_bytes += len(frame)
        self.flush()

    def flush(self) -> None:
        """Write what can be written now."""
        with contextlib.suppress(BlockingIOError):
            while self._waiting:
                n_written = os.write(self.fd, self._waiting[0])
                self._n_waiting_bytes -= n_written
                if n_written < len(self._waiting[0]):
                    self._waiting[0] = self._waiting[0][n_written:]
                else:
                    self._waiting.popleft()


def serve(probes: Probes, frames: Frames) -> None:
    """Pass on what comes, and do what is ordered, until stdin ends."""
    stdin_fd = sys.stdin.fileno()
    buffered = b""
    n_lost_told = 0

    def pass_on() -> None:
        nonlocal n_lost_told
        has_some = False
        for piece in () if frames.is_full else probes.pieces():
            frames.records(piece)
            has_some = True
            if frames.is_full:
                break
        # A loss comes with what was not lost: when nothing comes, there is nothing to ask for.
        if has_some and (n_lost := probes.n_lost()) != n_lost_told:
            frames.message(n_lost=n_lost - n_lost_told)
            n_lost_told = n_lost

    while True:
        # What is full is not asked whether there is more.
        asked = [stdin_fd] if frames.is_full else [stdin_fd, probes.events_fd]
        ready = _wait_for(asked, frames, LOOK_ANYWAY_S)
        if ready == [probes.events_fd]:
            ready = _wait_for([stdin_fd], frames, DRAIN_INTERVAL_S)
        pass_on()
        if stdin_fd not in ready:
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
            except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
                frames.message(id=command["id"], error=f"{type(error).__name__}: {error}")


def _wait_for(fds: list[int], frames: Frames, timeout_s: float) -> list[int]:
    """Which of these can be read. Meanwhile what waits is written; when there is room again for
    what had none, that is all."""
    give_up_s = time.monotonic() + timeout_s
    was_full = frames.is_full
    while True:
        out = [frames.fd] if frames.is_waiting else []
        left_s = max(0.0, give_up_s - time.monotonic())
        ready, writable, _ = select.select(fds, out, [], left_s)
        if writable:
            frames.flush()
        if ready or not writable or (was_full and not frames.is_full):
            return ready


def made_by_a_child(make: Callable[[], Product]) -> Product:
    """What `make` makes in a process that is there for nothing else, and takes its memory along.
    If that does not answer, this process ends as it did.

    Raises:
        TracerUnavailable: it cannot be made.
    """
    read_fd, write_fd = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if not child:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            os.close(read_fd)
            _answer(write_fd, make)
        os._exit(0)
    os.close(write_fd)
    with open(read_fd, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if not answer:
        _end_as(status)
    told = json.loads(answer)
    if "failed" in told:
        raise TracerUnavailable(told["failed"], fix=told["fix"], cause=told["cause"])
    return Product.decoded(told)


def _answer(fd: int, make: Callable[[], Product]) -> NoReturn:
    status = 0
    try:
        answer = make().encoded()
    except SystemExit as end:  # BCC's, on a type that it does not know
        answer = b""
        status = end.code if isinstance(end.code, int) else 1
    except TracerUnavailable as error:
        answer = _failure(error)
    except Exception as error:  # noqa: BLE001 - libbcc raises bare Exception
        answer = _failure(TracerUnavailable(f"BCC: {error}", cause="load_failed"))
    libc.fflush(None)  # what libbcc has printed is all that tells why
    sys.stdout.flush()
    with contextlib.suppress(BrokenPipeError), open(fd, "wb") as pipe:
        pipe.write(answer)
    # Not through the destructors of libraries that we do not know.
    os._exit(status)


def _failure(error: TracerUnavailable) -> bytes:
    return json.dumps({"failed": error.message, "fix": error.fix, "cause": error.cause}).encode()


def _end_as(status: int) -> NoReturn:
    """As a process did that waitpid(2) tells this of."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it has left its own
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def hold(frames: Frames, make: Callable[[], Probes]) -> None:
    """Load, say so, and serve until stdin ends."""
    try:
        probes = make()
    except TracerUnavailable as error:
        frames.message(failed=error.message, fix=error.fix, cause=error.cause)
        return
    frames.message(ready=True)
    with contextlib.suppress(BrokenPipeError):
        serve(probes, frames)


def main() -> None:
    """Hold the shipped probes."""
    if os.geteuid() == 0:
        capabilities.be_an_agent()  # the agent starts us before it has become one
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # gone with our owner, even kill -9
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is not for us
    capabilities.allow_locked_memory()
    cache_dir, ring_pages = sys.argv[2], int(sys.argv[3])

    def product(*, may_be_kept: bool) -> Product:
        kept_products: Any = importlib.import_module("linnix_ls.tracer.kept_products")
        made: Product = kept_products.shipped(cache_dir, ring_pages, may_be_kept=may_be_kept)
        return made

    def probes() -> Probes:
        made = made_by_a_child(lambda: product(may_be_kept=ANEW not in sys.argv[4:]))
        try:
            return Probes(made)
        except TracerUnavailable:
            if not made.is_kept:
                raise
        # Whatever was wrong with what had been kept: it is made anew, and kept instead.
        return Probes(made_by_a_child(lambda: product(may_be_kept=False)))

    hold(Frames(int(sys.argv[1])), probes)


if __name__ == "__main__":
    main()
