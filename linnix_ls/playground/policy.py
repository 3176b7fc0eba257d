"""What a probe of the playground may not do, whoever loads it.

The kernel lets a program that may look at processes stop them, write their memory and change
what their system calls return, too. Here it may only look. Checked in the source, where the line
is known, and again in the bytecode, which no macro or cast can hide anything from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from linnix_ls.playground.base import Problem, Severity, Span
from linnix_ls.playground.c_source import CSource

MAX_MAP_BYTES = 24 << 20  # of a file's maps together; BCC's tools keep up to 16,384 stacks

# enum bpf_prog_type of include/uapi/linux/bpf.h
KPROBE, TRACEPOINT, PERF_EVENT, RAW_TRACEPOINT, TRACING = 2, 5, 7, 17, 26
ALLOWED_TYPES = frozenset({KPROBE, TRACEPOINT, PERF_EVENT, RAW_TRACEPOINT, TRACING})
MODIFY_RETURN = -1  # of type TRACING to the kernel, and not one that only looks
_TYPE_NAMES = {
    MODIFY_RETURN: "fmod_ret",
    1: "socket filters",
    3: "traffic control",
    4: "traffic control",
    6: "XDP",
    8: "cgroup sockets",
    9: "cgroup sockets",
    13: "socket operations",
    24: "writable tracepoints",
    27: "struct_ops",
    28: "freplace",
    29: "LSM",
    31: "system calls",
    32: "netfilter",
}

# BCC's macros for such.
_BCC_CHANGES_RETURNS = re.compile(r"\b(?:LSM_PROBE|KMOD_RET|lsm__\w+|kmod_ret__\w+)(?=\s*\()")
# Attach types of TRACING: those that only look (BPF_TRACE_RAW_TP, _FENTRY, _FEXIT, _ITER).
_CHANGES_RETURNS = re.compile(r'SEC\s*\(\s*"\??(?:fmod_ret|lsm|freplace|struct_ops|xdp|tc|tcx)\b')


@dataclass(frozen=True, slots=True)
class Refused:
    """One helper that is refused, by its number in enum bpf_func_id."""

    name: str
    does: str


REFUSED_HELPERS: Mapping[int, Refused] = {
    36: Refused("bpf_probe_write_user", "writes into the memory of a process"),
    58: Refused("bpf_override_return", "makes a function of the kernel return something else"),
    109: Refused("bpf_send_signal", "sends a signal to a process"),
    117: Refused("bpf_send_signal_thread", "sends a signal to a thread"),
    166: Refused("bpf_sys_bpf", "makes system calls"),
    168: Refused("bpf_sys_close", "closes files of a process"),
    193: Refused("bpf_copy_from_user_task", "reads the memory of any process"),
}
_WORD = re.compile(
    r"\b(?:"
    + "|".join(re.escape(refused.name) for refused in REFUSED_HELPERS.values())
    + r"|bpf_send_signal_task)\b"
)
_FIX = (
    "a probe of the playground only looks. Fix: record it in a map or ring buffer, and act in user"
    " space"
)


def source_problems(source: CSource) -> list[Problem]:
    """What the source names that is refused."""
    found = []
    for line in range(1, len(source.lines) + 1):
        code = source.code(line)
        for match in _WORD.finditer(code):
            does = next(
                (each.does for each in REFUSED_HELPERS.values() if each.name == match[0]),
                "sends a signal to a process",
            )
            found.append(
                Problem(
                    _narrow(source, line, match[0]),
                    Severity.ERROR,
                    "policy/helper",
                    f"{match[0]}() {does}: {_FIX}",
                )
            )
        kind = _CHANGES_RETURNS.search(source.lines[line - 1])
        if kind and code.strip():
            found.append(_type_problem(source, line, kind[0].split('"')[1]))
        if kind := _BCC_CHANGES_RETURNS.search(code):
            found.append(_type_problem(source, line, kind[0]))
    return found


def _narrow(source: CSource, line: int, word: str) -> Span:
    return source.find(line, rf"\b{re.escape(word)}\b") or source.whole(line)


def _type_problem(source: CSource, line: int, kind: str) -> Problem:
    return Problem(
        source.whole(line),
        Severity.ERROR,
        "policy/program-type",
        f"programs of this kind ({kind}) can change what the kernel does: {_FIX}",
    )


def refused_calls(instructions: bytes) -> Iterator[tuple[int, int]]:
    """(instruction, helper) of each call that is refused."""
    for at in range(0, len(instructions) - 7, 8):
        if instructions[at] != 0x85:  # BPF_JMP | BPF_CALL
            continue
        kind = instructions[at + 1] >> 4
        number = int.from_bytes(instructions[at + 4 : at + 8], "little", signed=True)
        if kind == 0 and number in REFUSED_HELPERS:
            yield at // 8, number


def bytecode_problem(span: Span, helper: int, prog_type: int, program: str) -> Problem:
    """Of what `refused_calls` found (or, with helper 0, of the program's type)."""
    if helper in REFUSED_HELPERS:
        refused = REFUSED_HELPERS[helper]
        code, said = "policy/helper", f"this calls {refused.name}(), which {refused.does}"
    else:
        code = "policy/program-type"
        kind = type_refused(prog_type)
        said = f"programs of this kind ({kind}) can change what the kernel does"
    return Problem(span, Severity.ERROR, code, f"{said}: {_FIX}", program=program)


def type_refused(prog_type: int) -> str | None:
    """What a program type is called that is refused; None for the others."""
    if prog_type in ALLOWED_TYPES:
        return None
    return _TYPE_NAMES.get(prog_type, f"type {prog_type}")


@dataclass(frozen=True, slots=True)
class MapSize:
    """One map. `type`: of enum bpf_map_type; sizes in bytes."""

    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int

    def n_bytes(self, n_cpus: int) -> int:
        """What the kernel keeps for it when it is full."""
        per_cpu = self.type in (5, 6, 10)
        if self.type in (27, 31):  # ring buffers: entries are bytes
            return self.max_entries
        return self.max_entries * (self.key_size + self.value_size * (n_cpus if per_cpu else 1))


def map_problem(source: CSource, maps: Iterable[MapSize], n_cpus: int) -> Problem | None:
    """The largest map, if all together are too large."""
    sizes = {each.name: each.n_bytes(n_cpus) for each in maps}
    total = sum(sizes.values())
    if total <= MAX_MAP_BYTES or not sizes:
        return None
    name = max(sizes, key=lambda each: sizes[each])
    line = source.maps.get(name, 1)
    return Problem(
        source.whole(line),
        Severity.ERROR,
        "policy/map-memory",
        f"the maps of this file may take {total >> 20} MB together, `{name}` {sizes[name] >> 20} MB"
        f" of them, and {MAX_MAP_BYTES >> 20} MB are allowed. Fix: fewer entries, or smaller ones",
    )
