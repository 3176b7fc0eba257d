"""The process in which the probe of a lesson runs while its check does.

    python -m linnix_ls.playground.lesson_worker RESULT_FD HEADERS

Source comes first, as a JSON line on stdin; then each line asks for a reading, and the end of
stdin is the order to go. LLVM may abort here and libbcc may exit: that ends this process, and the
kernel detaches what it had attached. Readings are complete: a check compares every row.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from linnix_ls.playground import bpf_syscall, policy
from linnix_ls.playground.c_source import CSource

SAMPLE_FREQUENCY_HZ = 99
CPU_LIMIT_S = 30
MAX_EVENTS = 20_000

_PERF_BUFFER, _STACKS, _RING_BUFFER = 4, 7, 27  # of enum bpf_map_type
_PERF_PAGES = 1


class Refused(Exception):
    """Policy does not let it be loaded."""


class _Probe:
    """One source, loaded and attached."""

    def __init__(self, source: str, headers: str) -> None:
        os.environ["BCC_KERNEL_SOURCE"] = headers
        from linnix_ls.tracer.bcc_worker import import_bcc

        bcc: Any = import_bcc()
        lib = bcc.libbcc.lib
        clock = [
            name
            for name, context in CSource(source).contexts.items()
            if context == "bpf_perf_event_data"
        ]

        class Module(bcc.BPF):  # type: ignore[misc]
            def _trace_autoload(self) -> None:
                """Only what policy lets pass: the bytecode says what will be done."""
                n_functions = lib.bpf_num_functions(self.module)
                names = [lib.bpf_function_name(self.module, i) for i in range(n_functions)]
                for name in names:
                    if any(policy.refused_calls(self.dump_func(name))):
                        raise Refused(os.fsdecode(name))
                    if os.fsdecode(name).startswith(("kprobe__", "kretprobe__", "lsm__")):
                        raise Refused(os.fsdecode(name))
                super()._trace_autoload()

        self._statistics_fd = bpf_syscall.enable_statistics()
        self._bpf = Module(text=source, cflags=["-Wno-everything"])
        for name in clock:
            self._bpf.attach_perf_event(
                ev_type=bcc.PerfType.SOFTWARE,
                ev_config=bcc.PerfSWConfig.CPU_CLOCK,
                fn_name=name.encode(),
                sample_freq=SAMPLE_FREQUENCY_HZ,
            )
        self._events: list[dict[str, Any]] = []
        self._n_lost = 0
        self._has_ring = self._has_perf = False
        lib.bpf_table_name.restype = ctypes.c_char_p
        lib.bpf_table_name.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self._tables: dict[str, Any] = {}
        for index in range(lib.bpf_num_tables(self._bpf.module)):
            raw = lib.bpf_table_name(self._bpf.module, index)
            name, kind = os.fsdecode(raw), lib.bpf_table_type_id(self._bpf.module, index)
            table = self._bpf[raw]
            on_event = functools.partial(self._on_event, name, table)
            if kind == _RING_BUFFER:
                table.open_ring_buffer(on_event)
                self._has_ring = True
            elif kind == _PERF_BUFFER:
                table.open_perf_buffer(on_event, page_cnt=_PERF_PAGES, lost_cb=self._on_lost)
                self._has_perf = True
            else:
                self._tables[name] = table
        self._kinds = {
            os.fsdecode(lib.bpf_table_name(self._bpf.module, index)): lib.bpf_table_type_id(
                self._bpf.module, index
            )
            for index in range(lib.bpf_num_tables(self._bpf.module))
        }

    def _on_event(self, name: str, table: Any, _context: Any, data: Any, size: int) -> None:
        try:
            fields = _plain(table.event(data))
        except Exception:  # noqa: BLE001 - BCC does not know the type of each record
            fields = {"raw": ctypes.string_at(data, size).hex()}
        if len(self._events) < MAX_EVENTS:
            self._events.append({"map": name, "fields": fields})
        else:
            self._n_lost += 1

    def _on_lost(self, n_lost: int) -> None:
        self._n_lost += n_lost

    def reading(self) -> dict[str, Any]:
        if self._has_ring:
            self._bpf.ring_buffer_consume()
        if self._has_perf:
            self._bpf.perf_buffer_poll(timeout=0)
        events, self._events = self._events, []
        return {
            "events": events,
            "n_lost": self._n_lost,
            "kinds": self._kinds,
            "maps": {name: self._rows(name) for name in self._tables},
            "run_time_ns": sum(map(_run_time_ns, self._bpf.funcs.values())),
        }

    def _rows(self, name: str) -> list[tuple[Any, Any]]:
        table = self._tables[name]
        if self._kinds[name] == _STACKS:
            return [(key.value, list(table.walk(key.value))) for key in table]
        return [(_plain(key), _plain(value)) for key, value in table.items()]


def _plain(value: Any) -> Any:
    """What JSON can carry: structs by field, arrays (of CPUs as well) as lists, names as text."""
    if isinstance(value, ctypes.Structure):
        fields: Any = value._fields_
        return {field[0]: _plain(getattr(value, field[0])) for field in fields}
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if hasattr(value, "value"):
        return _plain(value.value)
    if isinstance(value, (ctypes.Array, list, tuple)):
        return [_plain(each) for each in value]
    return value


def _run_time_ns(function: Any) -> int:
    for line in Path(f"/proc/self/fdinfo/{function.fd}").read_text(encoding="ascii").splitlines():
        name, _, number = line.partition(":")
        if name == "run_time_ns":
            return int(number)
    return 0


def main() -> None:
    """Load what stdin says, say so, and answer."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    result = open(int(sys.argv[1]), "w", encoding="utf-8")  # noqa: SIM115 - for our whole life

    def tell(**fields: Any) -> None:
        print(json.dumps(fields), file=result, flush=True)

    source = json.loads(sys.stdin.readline())["source"]
    try:
        probe = _Probe(source, sys.argv[2])
    except Refused as error:
        tell(failed=f"policy: {error}")
        return
    except Exception as error:  # noqa: BLE001 - libbcc raises bare Exception; a check says more
        tell(failed=str(error))
        return
    tell(ready=True)
    for _ in sys.stdin:
        tell(reading=probe.reading())
    # Not through the destructors of libraries that we do not know.
    os._exit(0)


if __name__ == "__main__":
    main()
