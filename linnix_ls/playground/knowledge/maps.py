"""BPF maps as probe source speaks of them: BCC's macros with their methods, and the types.

A table of our own. BCC's is in its docs/reference_guide.md ("Maps") and src/cc/export/helpers.h.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """What can be called on a BCC map.

    Attributes:
        result: a type, in which ``LEAF`` is that of the map's values.
        arguments: declarations, in which ``KEY`` and ``LEAF`` are types of the map.
    """

    name: str
    result: str
    arguments: tuple[str, ...]
    text: str

    def signature(self, key: str, leaf: str) -> tuple[str, tuple[str, ...]]:
        """What it looks like for a map of these types: result, arguments."""

        def filled(text: str) -> str:
            return text.replace("KEY", key).replace("LEAF", leaf)

        return filled(self.result), tuple(filled(each) for each in self.arguments)


@dataclass(frozen=True, slots=True)
class MapType:
    """A kind of map. `name`: as BPF_TABLE calls it, and, in capitals, BPF_MAP_TYPE_…"""

    name: str
    text: str
    methods: tuple[str, ...] = ()

    @property
    def constant(self) -> str:
        return f"BPF_MAP_TYPE_{self.name.upper()}"


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro of BCC that defines a map.

    Attributes:
        parameters: in order; those with ``=`` may be left out, from the end.
        type: its kind of map; "" of BPF_TABLE, whose first parameter says it.
    """

    name: str
    parameters: tuple[str, ...]
    type: str
    text: str

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


_EACH_METHOD = (
    Method(
        "lookup",
        "LEAF *",
        ("KEY *key",),
        "The value of a key, in the map itself, or NULL. Check it before you use it.",
    ),
    Method(
        "lookup_or_try_init",
        "LEAF *",
        ("KEY *key", "LEAF *init"),
        "The value of a key, which is made from init if there is none; NULL if the map is full.",
    ),
    Method(
        "lookup_or_init",
        "LEAF *",
        ("KEY *key", "LEAF *init"),
        "As lookup_or_try_init, but the function returns where the map is full. Older name.",
    ),
    Method(
        "update",
        "int",
        ("KEY *key", "LEAF *leaf"),
        "Sets the value of a key. Not 0 if it cannot: the map is full.",
    ),
    Method(
        "insert",
        "int",
        ("KEY *key", "LEAF *leaf"),
        "Sets the value of a key that is not there yet. Not 0 if it is, or the map is full.",
    ),
    Method("delete", "int", ("KEY *key",), "Takes a key out. Not 0 if it is not there."),
    Method(
        "increment",
        "void",
        ("KEY key", "u64 increment = 1"),
        "Adds to the value of a key, which begins at 0. Not atomic: two CPUs at once may lose one.",
    ),
    Method(
        "atomic_increment",
        "void",
        ("KEY key", "u64 increment = 1"),
        "Adds to the value of a key, atomically.",
    ),
    Method(
        "get_stackid",
        "int",
        ("void *ctx", "u64 flags"),
        "Walks the stack and returns the id under which it is kept, or a negative error."
        " BPF_F_USER_STACK: that of the program.",
    ),
    Method(
        "perf_submit",
        "int",
        ("void *ctx", "void *data", "u32 data_size"),
        "Sends a record to user space, through the buffer of this CPU. Not 0 if it is full.",
    ),
    Method(
        "perf_read",
        "u64",
        ("int index",),
        "Reads a hardware counter of this CPU.",
    ),
    Method(
        "perf_counter_value",
        "int",
        ("u64 flags", "struct bpf_perf_event_value *value", "u32 value_size"),
        "Reads a hardware counter, and for how long it counted.",
    ),
    Method(
        "ringbuf_output",
        "int",
        ("void *data", "u64 data_size", "u64 flags"),
        "Copies a record into the ring buffer. Not 0 if there is no room.",
    ),
    Method(
        "ringbuf_reserve",
        "void *",
        ("u64 data_size",),
        "Room for a record of a constant size, or NULL. Submit or discard it on every way out.",
    ),
    Method(
        "ringbuf_submit",
        "void",
        ("void *data", "u64 flags"),
        "Hands over a record that ringbuf_reserve gave. It must not be used after this.",
    ),
    Method(
        "ringbuf_discard",
        "void",
        ("void *data", "u64 flags"),
        "Gives back what ringbuf_reserve gave, unread.",
    ),
    Method(
        "ringbuf_query",
        "u64",
        ("u64 flags",),
        "How full the ring buffer is (BPF_RB_AVAIL_DATA), how large it is (BPF_RB_RING_SIZE).",
    ),
    Method("push", "int", ("LEAF *leaf", "u64 flags"), "Adds one. BPF_EXIST: the oldest goes."),
    Method("pop", "int", ("LEAF *leaf",), "Takes the next one out. Not 0 if there is none."),
    Method("peek", "int", ("LEAF *leaf",), "Reads the next one. Not 0 if there is none."),
    Method(
        "check_current_task",
        "int",
        ("int index",),
        "1 if the current task is in the cgroup at that index.",
    ),
    Method("call", "void", ("void *ctx", "int index"), "Goes on in another program, for good."),
)
METHODS = {method.name: method for method in _EACH_METHOD}

_READ = ("lookup", "lookup_or_try_init", "lookup_or_init", "update", "insert", "delete")
_HASH = (*_READ, "increment", "atomic_increment")
_ARRAY = ("lookup", "update", "increment", "atomic_increment")

_EACH_TYPE = (
    MapType(
        "hash",
        "Values by any key. When it is full, new keys are refused.",
        _HASH,
    ),
    MapType("array", "Values by number from 0. All are there from the start, as zeros.", _ARRAY),
    MapType(
        "percpu_hash",
        "A hash with a value for each CPU: fast counters, which user space adds up.",
        _HASH,
    ),
    MapType(
        "percpu_array",
        "An array with a value for each CPU: counters, and room for what is too large for the"
        " stack of 512 bytes.",
        _ARRAY,
    ),
    MapType("lru_hash", "A hash that forgets what was not used for long when it is full.", _HASH),
    MapType("lru_percpu_hash", "An lru_hash with a value for each CPU.", _HASH),
    MapType("lpm_trie", "Values by the longest prefix that fits, as for IP networks.", _READ),
    MapType(
        "ringbuf",
        "One queue of records to user space for all CPUs, in order. Its size is a power of two.",
        ("ringbuf_output", "ringbuf_reserve", "ringbuf_submit", "ringbuf_discard", "ringbuf_query"),
    ),
    MapType(
        "perf_event_array",
        "A queue of records to user space for each CPU. A ringbuf is simpler, and keeps the order.",
        ("perf_submit", "perf_read", "perf_counter_value"),
    ),
    MapType("stack_trace", "Stacks, by an id that is made from them.", ("get_stackid",)),
    MapType("queue", "First in, first out.", ("push", "pop", "peek")),
    MapType("stack", "Last in, first out.", ("push", "pop", "peek")),
    MapType("cgroup_array", "Cgroups to compare with.", ("check_current_task",)),
    MapType("prog_array", "Programs to go on in (tail calls).", ("call",)),
    MapType("task_storage", "A value for each task, which goes with it."),
    MapType("cgrp_storage", "A value for each cgroup, which goes with it."),
    MapType("bloom_filter", "Tells what was surely never added."),
    MapType("user_ringbuf", "Records from user space to the program."),
    MapType("array_of_maps", "Maps by number.", ("lookup",)),
    MapType("hash_of_maps", "Maps by key.", ("lookup",)),
)
TYPES = {map_type.name: map_type for map_type in _EACH_TYPE}
TYPES_BY_CONSTANT = {map_type.constant: map_type for map_type in _EACH_TYPE}

_KEYED = ("name", "key_type = u64", "leaf_type = u64", "max_entries = 10240")
_LISTED = ("name", "leaf_type = u64", "max_entries = 10240")
_EACH_MACRO = (
    Macro("BPF_HASH", _KEYED, "hash", TYPES["hash"].text),
    Macro("BPF_LRU_HASH", _KEYED, "lru_hash", TYPES["lru_hash"].text),
    Macro("BPF_PERCPU_HASH", _KEYED, "percpu_hash", TYPES["percpu_hash"].text),
    Macro("BPF_LRU_PERCPU_HASH", _KEYED, "lru_percpu_hash", TYPES["lru_percpu_hash"].text),
    Macro("BPF_LPM_TRIE", _KEYED, "lpm_trie", TYPES["lpm_trie"].text),
    Macro("BPF_ARRAY", _LISTED, "array", TYPES["array"].text),
    Macro("BPF_PERCPU_ARRAY", _LISTED, "percpu_array", TYPES["percpu_array"].text),
    Macro(
        "BPF_HISTOGRAM",
        ("name", "key_type = int", "max_entries = 64"),
        "array",
        "Counters for a histogram: increment(bpf_log2l(value)).",
    ),
    Macro("BPF_RINGBUF_OUTPUT", ("name", "n_pages"), "ringbuf", TYPES["ringbuf"].text),
    Macro("BPF_PERF_OUTPUT", ("name",), "perf_event_array", TYPES["perf_event_array"].text),
    Macro(
        "BPF_PERF_ARRAY", ("name", "max_entries"), "perf_event_array", "Hardware counters by CPU."
    ),
    Macro("BPF_STACK_TRACE", ("name", "max_entries"), "stack_trace", TYPES["stack_trace"].text),
    Macro(
        "BPF_QUEUE", ("name", "leaf_type", "max_entries", "flags = 0"), "queue", TYPES["queue"].text
    ),
    Macro(
        "BPF_STACK", ("name", "leaf_type", "max_entries", "flags = 0"), "stack", TYPES["stack"].text
    ),
    Macro("BPF_CGROUP_ARRAY", ("name", "max_entries"), "cgroup_array", TYPES["cgroup_array"].text),
    Macro("BPF_PROG_ARRAY", ("name", "max_entries"), "prog_array", TYPES["prog_array"].text),
    Macro(
        "BPF_TABLE",
        ("type", "key_type", "leaf_type", "name", "max_entries"),
        "",
        'A map of any type, which is a text: BPF_TABLE("lru_hash", u32, u64, seen, 1024).',
    ),
)
MACROS = {macro.name: macro for macro in _EACH_MACRO}


@dataclass(frozen=True, slots=True)
class Head:
    """A macro that begins a program in BCC."""

    name: str
    parameters: tuple[str, ...]
    text: str

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


_EACH_HEAD = (
    Head(
        "TRACEPOINT_PROBE",
        ("category", "event"),
        "Begins a program for a tracepoint; its fields are args->NAME.",
    ),
    Head(
        "RAW_TRACEPOINT_PROBE",
        ("event",),
        "Begins a program for a raw tracepoint; what it hands over is ctx->args[N], each a u64.",
    ),
)
HEADS = {head.name: head for head in _EACH_HEAD}
