"""What the maps of a running probe hold, in bounds. Only for `probe_worker`."""

from __future__ import annotations

import ctypes
import json
import struct
from itertools import islice
from typing import Any

from linnix_ls.playground.compiled import (
    MAP_TYPES,
    PER_CPU,
    PERF_BUFFER,
    RING_BUFFER,
    STACK_TRACES,
    ProbeMap,
)
from linnix_ls.playground.plain import read, total
from linnix_ls.tracer import bpf_syscall

MAX_ENTRIES = 200
MAX_WHOLE_ENTRIES = 20_000
MAX_COUNTED = 100_000
MAX_TEXT_BYTES = 1 << 18  # of one map's entries
MAX_WHOLE_TEXT_BYTES = 1 << 22
_ARRAYS = frozenset({2, 6})
_WITHOUT_VALUES = frozenset({3, PERF_BUFFER, 8, 12, 13, 22, 23, RING_BUFFER, 29, 30})


def read_map(each: ProbeMap, n_cpus: int, max_entries: int = MAX_ENTRIES) -> dict[str, Any]:
    """As `base.MapReading`. A map that changes meanwhile may show a key twice or not at all."""
    entries: list[tuple[Any, Any]] = []
    per_cpu: list[list[Any]] = []
    n_entries = n_bytes = 0
    max_bytes = MAX_TEXT_BYTES if max_entries <= MAX_ENTRIES else MAX_WHOLE_TEXT_BYTES
    if each.type not in _WITHOUT_VALUES:
        limit = min(each.size.max_entries, MAX_COUNTED)
        for key in islice(bpf_syscall.keys(each.fd, each.size.key_size), limit):
            n_entries += 1
            if len(entries) < max_entries and n_bytes < max_bytes:
                values = _values(each, key, n_cpus)
                if values:
                    entry = (_key(each, key), total(values))
                    n_bytes += len(json.dumps(entry))
                    entries.append(entry)
                    if each.type in PER_CPU:
                        per_cpu.append(values)
            elif each.type in _ARRAYS:
                n_entries = each.size.max_entries
                break
    return {
        "name": each.name,
        "type": MAP_TYPES.get(each.type, f"type {each.type}"),
        "entries": entries,
        "n_entries": n_entries,
        "is_histogram": each.is_histogram,
        "per_cpu": per_cpu,
    }


def _key(each: ProbeMap, key: bytes) -> Any:
    return read(ctypes.c_uint32 if each.type == STACK_TRACES else each.key, key)


def _values(each: ProbeMap, key: bytes, n_cpus: int) -> list[Any]:
    size = each.size.value_size
    if each.type not in PER_CPU:
        raw = bpf_syscall.lookup(each.fd, key, size)
        if raw is None:
            return []
        return [_addresses(raw) if each.type == STACK_TRACES else read(each.value, raw)]
    stride = (size + 7) // 8 * 8
    raw = bpf_syscall.lookup(each.fd, key, stride * n_cpus)
    if raw is None:
        return []
    return [read(each.value, raw[at : at + size]) for at in range(0, stride * n_cpus, stride)]


def _addresses(raw: bytes) -> list[int]:
    """Of a stack, innermost first; what it did not fill is zero."""
    return [address for (address,) in struct.iter_unpack("<Q", raw[: len(raw) // 8 * 8]) if address]
