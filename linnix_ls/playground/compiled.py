"""A probe's source, compiled: its programs as bytecode, its maps as file descriptors with their
layouts. Both dialects come out alike. Nothing is loaded or attached here.

Only for `probe_worker`: compilers may end the process.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from linnix_ls.playground import btf
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.check_worker import bcc_module, bcc_programs, compiled_object
from linnix_ls.playground.dialect import numbered
from linnix_ls.playground.policy import PERF_EVENT, RAW_TRACEPOINT, TRACEPOINT, TRACING, MapSize
from linnix_ls.tracer import bpf_syscall
from linnix_ls.tracer.bcc_compiler import tables_of
from linnix_ls.tracer.product import describe

# Kinds of maps, of enum bpf_map_type.
PERF_BUFFER, STACK_TRACES, RING_BUFFER = 4, 7, 27
MAP_TYPES = {
    1: "hash",
    2: "array",
    3: "prog array",
    4: "perf buffer",
    5: "per-CPU hash",
    6: "per-CPU array",
    7: "stack traces",
    8: "cgroup array",
    9: "LRU hash",
    10: "LRU per-CPU hash",
    11: "LPM trie",
    12: "array of maps",
    13: "hash of maps",
    22: "queue",
    23: "stack",
    27: "ring buffer",
    29: "task storage",
    30: "Bloom filter",
}
PER_CPU = frozenset({5, 6, 10})
# Those that hold what a probe has counted, and can be handed on to its next generation.
KEPT = frozenset({1, 2, 5, 6, 7, 9, 10, 11})

# Names of our own in the source: they make the compiler lay out what buffers carry.
_LAYOUT = "linnix_layout_"
_BPF_TRACE_RAW_TP = 23


class Target(NamedTuple):
    """What a program is attached to. `kind`: ``tracepoint``, ``raw tracepoint``, ``CPU clock``."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


@dataclass
class Program:
    """One program. `attach`: expected attach type and BTF id."""

    name: str
    type: int
    code: bytes
    target: Target | None
    attach: tuple[int, int] = (0, 0)


@dataclass
class ProbeMap:
    """One map. `key` and `value`: its layouts, where they can be expressed."""

    size: MapSize
    flags: int
    fd: int
    key: type[Any] | None
    value: type[Any] | None
    is_histogram: bool = False

    @property
    def name(self) -> str:
        return self.size.name

    @property
    def type(self) -> int:
        return self.size.type

    @property
    def definition(self) -> list[Any]:
        """What must be the same if another generation is to go on with it."""
        size = self.size
        numbers = [size.type, size.key_size, size.value_size, size.max_entries, self.flags]
        return [*numbers, describe(self.key), describe(self.value)]


@dataclass
class Compiled:
    """`records`: of each ring or perf buffer what it may carry. `owner` holds the maps."""

    programs: list[Program]
    maps: list[ProbeMap]
    license: bytes
    records: dict[str, list[type[Any]]] = field(default_factory=dict)
    owner: Any = None


class CompileError(Exception):
    """The compiler or libbpf refuses it, or cannot lay it out; a check tells why."""


BeforeLoading = Callable[[list[Program], list[MapSize]], None]


def compile_bcc(bcc: Any, request: dict[str, Any]) -> Compiled:
    """Of BCC's dialect.

    Raises:
        CompileError: it does not compile, or a map cannot be made.
    """
    source = CSource(request["source"])
    text = numbered(request["source"])
    records = [(name, kind) for name, kinds in source.records.items() for kind in kinds]
    layouts = "".join(
        f"\nBPF_ARRAY({_LAYOUT}{index}, {kind}, 1);" for index, (_, kind) in enumerate(records)
    )
    try:
        try:
            module = bcc_module(bcc, text + layouts, request)
        except Exception:  # libbcc raises no other
            # That type may be unknown at the end of the file: then it is not told what it carries.
            if not records:
                raise
            records = []
            module = bcc_module(bcc, text, request)
    except Exception as error:  # noqa: BLE001 - libbcc raises no other
        raise CompileError(str(error)) from None
    lib = bcc.libbcc.lib
    programs = [
        Program(name, kind, module.dump_func(name.encode()), bcc_target(name, kind))
        for name, kind in bcc_programs(module, lib, request["contexts"])
    ]
    found = {each.name: each for each in bcc_maps(module, lib, source)}
    types: dict[str, list[type[Any]]] = {}
    for index, (name, _) in enumerate(records):
        if layout := found[f"{_LAYOUT}{index}"].value:
            types.setdefault(name, []).append(layout)
    return Compiled(
        programs,
        [each for name, each in found.items() if not name.startswith(_LAYOUT)],
        lib.bpf_module_license(module.module),
        types,
        module,
    )


def bcc_target(name: str, prog_type: int) -> Target | None:
    """What BCC attaches a program of that name to."""
    if name.startswith("tracepoint__"):
        category, _, event = name.removeprefix("tracepoint__").partition("__")
        return Target("tracepoint", f"{category}:{event}")
    if name.startswith("raw_tracepoint__"):
        return Target("raw tracepoint", name.removeprefix("raw_tracepoint__"))
    return Target("CPU clock", "") if prog_type == PERF_EVENT else None


def bcc_maps(module: Any, lib: Any, source: CSource) -> list[ProbeMap]:
    """Of a module that BCC has made of that source."""
    return [
        ProbeMap(
            MapSize(
                table.name,
                lib.bpf_table_type_id(module.module, index),
                lib.bpf_table_key_size_id(module.module, index),
                lib.bpf_table_leaf_size_id(module.module, index),
                lib.bpf_table_max_entries_id(module.module, index),
            ),
            lib.bpf_table_flags_id(module.module, index),
            table.fd,
            table.key,
            table.value,
            source.is_histogram(table.name),
        )
        for index, table in enumerate(tables_of(module, lib))
    ]


def _of_size(layout: type[Any] | None, size: int) -> type[Any] | None:
    """Not one that contradicts the kernel."""
    return layout if layout is not None and ctypes.sizeof(layout) == size else None


def compile_libbpf(
    library: Any, request: dict[str, Any], before_loading: BeforeLoading
) -> Compiled:
    """Of libbpf's dialect. libbpf itself loads the programs, for it to relocate them; what it has
    loaded goes again, and the relocated bytecode is what remains.

    Raises:
        CompileError: it does not compile, or libbpf refuses it.
    """
    source = CSource(request["source"])
    records = [(name, kind) for name, kinds in source.records.items() for kind in kinds]
    layouts = "".join(
        f"\n{kind} *{_LAYOUT}{index} __attribute__((used));"
        for index, (_, kind) in enumerate(records)
    )
    result = compiled_object(request | {"source": request["source"] + layouts})
    if result.returncode and records:
        records = []
        result = compiled_object(request)
    if result.returncode:
        raise CompileError("clang")
    try:
        opened = library.open_for_life(result.stdout)
    except OSError as error:
        raise CompileError(f"libbpf: {error.strerror}") from error
    infos, maps = opened.programs(), opened.maps()
    targets = {info.name: _section_target(info.section, info.type) for info in infos}
    before_loading(
        [Program(info.name, info.type, info.code, targets[info.name]) for info in infos],
        [MapSize(*each) for each in maps],
    )
    try:
        opened.load()
    except OSError as error:
        raise CompileError(f"libbpf: {error.strerror}") from error
    types = btf.Types.of_object(result.stdout)
    programs = []
    for info, fd in opened.loaded_programs():
        attach = (0, 0)
        if info.type == TRACING:
            attach = (_BPF_TRACE_RAW_TP, bpf_syscall.program_info(fd).attach_btf_id)
        programs.append(Program(info.name, info.type, info.code, targets[info.name], attach))
    opened.unload_programs()
    found = []
    for name, kind, key_size, value_size, n_max, flags, fd in opened.loaded_maps():
        key, value = types.of_map(name)
        found.append(
            ProbeMap(
                MapSize(name, kind, key_size, value_size, n_max),
                flags,
                fd,
                _of_size(key, key_size),
                _of_size(value, value_size),
                source.is_histogram(name),
            )
        )
    carried: dict[str, list[type[Any]]] = {}
    for index, (name, _) in enumerate(records):
        if layout := types.pointed_to_by(f"{_LAYOUT}{index}"):
            carried.setdefault(name, []).append(layout)
    return Compiled(programs, found, btf.license_of(result.stdout), carried, opened)


def _section_target(section: str, prog_type: int) -> Target | None:
    kind, _, name = section.lstrip("?").partition("/")
    if kind in ("tp", "tracepoint") and prog_type == TRACEPOINT and "/" in name:
        return Target("tracepoint", name.replace("/", ":", 1))
    if kind in ("raw_tp", "raw_tracepoint") and prog_type == RAW_TRACEPOINT and name:
        return Target("raw tracepoint", name)
    if kind == "tp_btf" and prog_type == TRACING:
        return Target("raw tracepoint", name)
    return Target("CPU clock", "") if prog_type == PERF_EVENT else None
