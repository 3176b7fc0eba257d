"""The process that one generation of a loaded probe lives in.

    python -m linnix_ls.playground.probe_worker CHANNEL_FD FDS_FD

It compiles the source, loads all its programs or none, attaches them, reads their maps and
records, and ends when they cost too much, when their time is over, or when who wanted them is
gone; then the kernel detaches what it held. The request is the first JSON line on stdin, orders
are the others: ``{"id": 1, "name": "let_through"|"read"|"read_whole"|"stop"}``. Answers and news
leave as JSON lines on CHANNEL_FD, the file descriptors of maps through the socket FDS_FD. What
this process may do is in `sandbox`; it is confined before it sees any source.

Until `let_through` the programs are attached, and silent (`gate`). Imported only by its own
process, and for the constants by `loader`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from linnix_ls import capabilities
from linnix_ls.playground import policy, sandbox
from linnix_ls.playground.attachments import Attachments
from linnix_ls.playground.buffers import Buffers
from linnix_ls.playground.compiled import (
    KEPT,
    MAP_TYPES,
    PERF_BUFFER,
    RING_BUFFER,
    Compiled,
    CompileError,
    ProbeMap,
    Program,
    compile_bcc,
    compile_libbpf,
)
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.gate import MAX_PLACES, Gate, has_callbacks, with_maps
from linnix_ls.playground.map_reader import MAX_ENTRIES, MAX_WHOLE_ENTRIES, read_map
from linnix_ls.playground.plain import read
from linnix_ls.tracer import bpf_syscall
from linnix_ls.tracer.bcc_compiler import import_bcc

COMPILE_CPU_S = 20
MEMORY_LIMIT_BYTES = 4 << 30  # of addresses: LLVM maps much more than it uses
DRAIN_INTERVAL_S = 0.05
MAX_COST = 0.05  # of one CPU, over this window
COST_WINDOW_S = 2.0
MAX_PROGRAMS = 16
MAX_MAPS = 64  # the kernel passes up to 253 descriptors at once
_IN_FLIGHT_S = 0.01  # what runs on other CPUs when a program is detached has ended by then
_TIME_FIELDS = frozenset({"ts", "ts_ns", "ktime", "ktime_ns", "time_ns", "timestamp", "time"})
_HOUR_NS = 3_600_000_000_000


class _Refused(Exception):
    """It is not loaded. Args: kind: ``compile``, ``policy``, ``load``, ``attach``, ``limit``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Probe:
    def __init__(self, request: dict[str, Any], bcc: Any, libbpf: Any) -> None:
        self._generation: int = request["generation"]
        self._n_cpus: int = request["n_cpus"]
        self._compiled = _compiled(request, bcc, libbpf)
        self.gate = Gate(self._n_cpus, request["gate_fd"])
        self.kept: list[str] = []
        self.places: list[str] = list(request["places"])
        self._buffers = Buffers(bcc.libbcc)
        self._attachments = Attachments()
        self._began_s = time.monotonic()
        self._costs: deque[tuple[float, int]] = deque()
        self._records = self._compiled.records
        self._programs: list[tuple[Program, int]] = []
        self._last: list[dict[str, Any]] | None = None
        fds = self._keep_maps(request["kept"])
        self._load(fds, request["predecessor"])
        self._attach()

    @property
    def maps(self) -> list[ProbeMap]:
        return self._compiled.maps

    @property
    def names(self) -> list[str]:
        return [program.name for program, _ in self._programs]

    def tags(self) -> list[dict[str, Any]]:
        """Of each program what identifies it to the kernel."""
        infos = [(program, bpf_syscall.program_info(fd)) for program, fd in self._programs]
        return [
            {"name": program.name, "id": info.id, "tag": bytes(info.tag).hex()}
            for program, info in infos
        ]

    def _keep_maps(self, kept: list[dict[str, Any]]) -> dict[int, int]:
        """Put those of the generation before in place where they mean the same."""
        before = {each["name"]: each for each in kept}
        fds = {}
        for each in self.maps:
            old = before.get(each.name)
            if old and each.type in KEPT and old["definition"] == each.definition:
                fds[each.fd] = old["fd"]
                os.close(each.fd)  # who made it does not use it again
                each.fd = old["fd"]
                self.kept.append(each.name)
        return fds

    def _load(self, fds: dict[int, int], predecessor: int) -> None:
        places: dict[str, int] = {}
        for program in self._compiled.programs:
            if has_callbacks(program.code):
                raise _Refused(
                    "limit",
                    f"{program.name} passes a function to a helper (bpf_loop and the like), which"
                    " can be checked, and not run here: write a loop instead",
                )
            target = str(program.target)
            places[target] = places.get(target, 0) + 1
            code = self.gate.in_front_of(
                with_maps(program.code, fds),
                program.type,
                self._place(f"{target} {places[target]}"),
                self._generation,
                predecessor,
            )
            loaded = bpf_syscall.load(
                program.type,
                code,
                self._compiled.license,
                program.name.encode(),
                1 << 16,
                attach=program.attach,
            )
            if loaded.fd is None:
                raise _Refused("load", f"{program.name}: {os.strerror(loaded.errno)}")
            self._programs.append((program, loaded.fd))

    def _place(self, name: str) -> int:
        if name not in self.places:
            if len(self.places) >= MAX_PLACES:
                raise _Refused("limit", "it has been attached to too many different places")
            self.places.append(name)
        return self.places.index(name)

    def _attach(self) -> None:
        cpus = list(range(os.cpu_count() or 1))
        for each in self.maps:
            if each.type == RING_BUFFER:
                self._buffers.open_ring(each.fd, each.name)
            elif each.type == PERF_BUFFER:
                self._buffers.open_perf(each.fd, each.name, cpus)
        for program, fd in self._programs:
            assert program.target is not None
            try:
                self._attachments.attach(fd, program.target, bool(program.attach[0]))
            except OSError as error:
                raise _Refused(
                    "attach", f"{program.name} to {program.target}: {error.strerror}"
                ) from error

    def let_through(self) -> None:
        """From now on this generation acts."""
        self.gate.let_through(self._generation)

    def events(self) -> list[dict[str, Any]]:
        """What has come since the last time, in order."""
        self._buffers.drain()
        records, self._buffers.records = self._buffers.records, []
        now_ns = time.monotonic_ns()
        return [self._event(name, raw, now_ns) for name, raw in records]

    def _event(self, name: str, raw: bytes, now_ns: int) -> dict[str, Any]:
        layout = _fitting(self._records.get(name, []), len(raw))
        value = read(layout, raw)
        if layout is None:
            fields: dict[str, Any] = {"raw": value}
        else:
            fields = value if isinstance(value, dict) else {"value": value}
        ktime_ns = next(
            (
                number
                for field, number in fields.items()
                if field in _TIME_FIELDS
                and isinstance(number, int)
                and 0 <= now_ns - number < _HOUR_NS
            ),
            now_ns,
        )
        return {"ktime_ns": ktime_ns, "map": name, "fields": fields}

    def losses(self) -> int:
        return self._buffers.n_dropped + self._buffers.n_lost

    def programs(self) -> list[dict[str, Any]]:
        """As `base.ProgramReading`; of programs that are gone, what they were at last."""
        if self._last is not None:
            return self._last
        found = []
        for program, fd in self._programs:
            info = bpf_syscall.program_info(fd)
            found.append(
                {
                    "name": program.name,
                    "attached_to": str(program.target),
                    "run_count": info.run_cnt,
                    "run_time_ns": info.run_time_ns,
                    "n_instructions": len(program.code) // 8,
                }
            )
        return found

    def reading(self, max_entries: int = MAX_ENTRIES) -> dict[str, Any]:
        """All but the events. `max_entries`: of each map."""
        return {
            "programs": self.programs(),
            "maps": [read_map(each, self._n_cpus, max_entries) for each in self.maps],
            "cpu_share": self.cost(over_s=1.0),
            "age_s": time.monotonic() - self._began_s,
        }

    def measure(self) -> int:
        """Run time in the window until now, in ns."""
        now_s = time.monotonic()
        total_ns: int = sum(each["run_time_ns"] for each in self.programs())
        self._costs.append((now_s, total_ns))
        while len(self._costs) > 2 and self._costs[1][0] <= now_s - COST_WINDOW_S:
            self._costs.popleft()
        return total_ns - self._costs[0][1]

    def cost(self, over_s: float) -> float:
        """The share of one CPU that the programs took."""
        if len(self._costs) < 2:
            return 0.0
        end_s, end_ns = self._costs[-1]
        start_s, start_ns = next(
            ((at_s, ns) for at_s, ns in reversed(self._costs) if at_s <= end_s - over_s),
            self._costs[0],
        )
        return (end_ns - start_ns) / 1e9 / (end_s - start_s) if end_s > start_s else 0.0

    def detach(self) -> None:
        """For good. What they had written can still be read."""
        self._last = self.programs()
        self._attachments.detach()
        for _, fd in self._programs:
            os.close(fd)
        time.sleep(_IN_FLIGHT_S)


def _fitting(layouts: list[type[Any]], size: int) -> type[Any] | None:
    """A perf buffer pads records to eight bytes, with four of its own."""
    exact = (each for each in layouts if ctypes.sizeof(each) == size)
    padded = (each for each in layouts if 0 < size - ctypes.sizeof(each) < 8)
    return next(exact, None) or next(padded, None)


def _compiled(request: dict[str, Any], bcc: Any, libbpf: Any) -> Compiled:
    def check(programs: list[Program], sizes: list[policy.MapSize]) -> None:
        _check(programs, sizes, request["n_cpus"])

    try:
        if request["dialect"] == Dialect.LIBBPF:
            return compile_libbpf(libbpf.Libbpf(), request, check)
        compiled = compile_bcc(bcc, request)
    except CompileError as error:
        raise _Refused("compile", str(error)) from None
    check(compiled.programs, [each.size for each in compiled.maps])
    return compiled


def _check(programs: list[Program], sizes: list[policy.MapSize], n_cpus: int) -> None:
    """What was checked in the source, again where nothing can be hidden."""
    for program in programs:
        for _, helper in policy.refused_calls(program.code):
            name = policy.REFUSED_HELPERS[helper].name
            raise _Refused("policy", f"{program.name} calls {name}()")
        if kind := policy.type_refused(program.type):
            raise _Refused("policy", f"{program.name} is a program of a refused kind ({kind})")
        if program.target is None:
            raise _Refused(
                "attach",
                f"{program.name}: this is attached to tracepoints, raw tracepoints and the CPU"
                " clock only, and its name or section says none of these",
            )
    if not programs:
        raise _Refused("limit", "there is no program in it")
    if len(programs) > MAX_PROGRAMS or len(sizes) > MAX_MAPS:
        raise _Refused("limit", f"more than {MAX_PROGRAMS} programs or {MAX_MAPS} maps")
    n_bytes = sum(each.n_bytes(n_cpus) for each in sizes)
    if n_bytes > policy.MAX_MAP_BYTES:
        raise _Refused(
            "limit",
            f"its maps take {n_bytes >> 20} MB, and {policy.MAX_MAP_BYTES >> 20} MB are allowed",
        )
    for each in sizes:
        if each.type not in MAP_TYPES:
            raise _Refused("policy", f"maps such as {each.name} (type {each.type}) are refused")


class _Channel:
    """The way out. Writing may block: then the kernel's buffers hold what comes meanwhile."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def tell(self, **fields: Any) -> None:
        pending = memoryview(json.dumps(fields).encode() + b"\n")
        while pending:
            pending = pending[os.write(self._fd, pending) :]


class _Orders:
    """JSON lines on stdin."""

    def __init__(self) -> None:
        self._buffered = b""
        self._lines: list[bytes] = []

    def next(self, timeout_s: float | None) -> dict[str, Any] | None:
        """None after that time. Raises EOFError when nobody is there any more."""
        while not self._lines:
            readable, _, _ = select.select([0], [], [], timeout_s)
            if not readable:
                return None
            chunk = os.read(0, 1 << 16)
            if not chunk:
                raise EOFError
            *self._lines, self._buffered = (self._buffered + chunk).split(b"\n")
        order: dict[str, Any] = json.loads(self._lines.pop(0))
        return order


def _serve(probe: _Probe, orders: _Orders, channel: _Channel, ends_s: float) -> None:
    told_lost = 0

    def pass_on() -> None:
        events, n_lost = probe.events(), probe.losses()
        nonlocal told_lost
        if events or n_lost != told_lost:
            channel.tell(events=events, n_lost=n_lost - told_lost)
            told_lost = n_lost

    def end(why: str, message: str) -> None:
        probe.detach()
        pass_on()
        channel.tell(ended=message, why=why, reading=probe.reading())

    while True:
        order = orders.next(DRAIN_INTERVAL_S)
        pass_on()
        cost_ns = probe.measure()
        if cost_ns > MAX_COST * COST_WINDOW_S * 1e9:
            share = cost_ns / (COST_WINDOW_S * 1e9)
            end(
                "cost",
                f"it took {share:.0%} of a CPU within {COST_WINDOW_S:.0f} s, and {MAX_COST:.0%} are"
                " allowed: it was detached. Fix: do less at each hit, or attach to what is hit less"
                " often",
            )
            return
        if time.monotonic() > ends_s:
            end("time", "its time was over, and it was detached. Fix: load it again, for longer")
            return
        if order is None:
            continue
        result: Any = None
        if order["name"] == "let_through":
            probe.let_through()
        elif order["name"] in ("read", "read_whole"):
            pass_on()
            is_whole = order["name"] == "read_whole"
            result = probe.reading(MAX_WHOLE_ENTRIES if is_whole else MAX_ENTRIES)
        elif order["name"] == "stop":
            probe.detach()
            pass_on()
            result = probe.reading()
        channel.tell(id=order["id"], result=result)
        if order["name"] == "stop":
            return


def limit() -> None:
    """For the compiler. CPU time is limited for as long as it works: probes run for hours."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (COMPILE_CPU_S, hard))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    capabilities.allow_locked_memory()


def limit_no_more() -> None:
    """It is loaded."""
    resource.setrlimit(resource.RLIMIT_CPU, (resource.getrlimit(resource.RLIMIT_CPU)[1],) * 2)


def main() -> None:
    """Load what the first line of stdin says, tell, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is not for us
    limit()
    orders, channel = _Orders(), _Channel(int(sys.argv[1]))
    request = orders.next(None)
    assert request is not None
    # Libraries first, from wherever they are: they are ours.
    bcc = import_bcc()
    libbpf = None
    if request["dialect"] == Dialect.LIBBPF:
        libbpf = importlib.import_module("linnix_ls.playground.libbpf")
    own = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]))
    sandbox.confine(sandbox.User(*request["user"]), (*own, request["headers"], *request["include"]))
    try:
        probe = _Probe(request, bcc, libbpf)
    except _Refused as error:
        channel.tell(refused=str(error), kind=error.kind)
        os._exit(0)
    except OSError as error:  # a map, a buffer, the gate
        channel.tell(refused=str(error), kind="load")
        os._exit(0)
    limit_no_more()
    fds = [probe.gate.fd, *(each.fd for each in probe.maps)]
    socket.send_fds(socket.socket(fileno=int(sys.argv[2])), [b"m"], fds)
    channel.tell(
        ready=probe.names,
        maps=[{"name": each.name, "definition": each.definition} for each in probe.maps],
        kept=probe.kept,
        places=probe.places,
        tags=probe.tags(),
        targets=[each["attached_to"] for each in probe.programs()],
    )
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve(probe, orders, channel, time.monotonic() + request["ttl_s"])
    # Not through the destructors of libraries that we do not know.
    os._exit(0)


if __name__ == "__main__":
    # What is in the folder that we were started in is no module of ours.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    main()
