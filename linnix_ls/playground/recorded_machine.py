"""Runs the programs of a probe on recorded events: an interpreter of BPF bytecode, and the few
helpers and maps that lessons need. No kernel is asked, so no privilege is needed.

It is no verifier: what goes wrong is found only where it happens. `recorded.h` makes BCC's dialect
into what is compiled for it. What is run was written by anybody: it reaches no memory but its own,
and ends after a number of steps.

Sources: Documentation/bpf/standardization/instruction-set.rst, and kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

import ctypes
import io
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from linnix_ls.playground.btf import Types
from linnix_ls.playground.plain import read

MAX_STEPS = 200_000  # of one program at one event
MAX_STEPS_IN_ALL = 20_000_000
MAX_ENTRIES = 1 << 17
STACK_BYTES = 512
LAYOUT = "linnix_layout_"
KINDS = {
    "hash": 1,
    "array": 2,
    "perf_event_array": 4,
    "percpu_hash": 5,
    "percpu_array": 6,
    "lru_hash": 9,
    "lru_percpu_hash": 10,
    "ringbuf": 27,
}
_ARRAYS = frozenset({2, 6})
_PER_CPU = frozenset({5, 6, 10})
_LRU = frozenset({9, 10})
_PERF, _RING = 4, 27
_PAGE_BYTES = 4096
_MASK = (1 << 64) - 1
_NEGATIVE = {"E2BIG": (-7) & _MASK, "ENOENT": (-2) & _MASK, "EEXIST": (-17) & _MASK}
_ENOSPC, _EINVAL, _EFAULT = (-28) & _MASK, (-22) & _MASK, (-14) & _MASK
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_BPF_64_64, _BPF_64_32 = 1, 10


Layout = type[Any] | None


class Fault(Exception):
    """The program cannot go on. Args: a rule's name, and what is wrong, in words."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Task:
    """A thread, as far as it was recorded; of its parent nothing but who it is."""

    tgid: int
    tid: int
    parent_tgid: int
    parent_tid: int
    comm: str
    parent_comm: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One event: the program that is for it, its record, and who was running."""

    program: str
    record: bytes
    at_ns: int
    cpu: int
    task: Task
    n_sleeps: int


@dataclass
class _Map:
    name: str
    type: int
    n_entries: int
    key: Layout
    value: Layout
    rows: OrderedDict[bytes, list[int]] = field(default_factory=OrderedDict)
    # Of buffers: what is in them, by CPU where each has one.
    n_bytes: dict[int, int] = field(default_factory=dict)
    records: list[tuple[int, bytes]] = field(default_factory=list)
    n_lost: int = 0

    @property
    def key_size(self) -> int:
        return ctypes.sizeof(self.key) if self.key else 4

    @property
    def value_size(self) -> int:
        return ctypes.sizeof(self.value) if self.value else 8


class Machine:
    """One compiled probe with its maps.

    Args:
        carried: of each buffer the names of the variables that tell what it carries.
    """

    def __init__(self, content: bytes, n_cpus: int, carried: dict[str, list[str]]) -> None:
        self._n_cpus = n_cpus
        self._memory: dict[int, bytearray] = {}
        self._read_only: set[int] = set()
        self._next_region = 1
        self._reserved: dict[int, _Map] = {}
        self._n_steps = 0
        self._order = 0
        self._events: list[tuple[int, str, bytes]] = []
        types = Types.of_object(content)
        self._carried = {
            name: [kind for each in variables if (kind := types.pointed_to_by(each))]
            for name, variables in carried.items()
        }
        elf = ELFFile(io.BytesIO(content))
        self.maps: dict[str, _Map] = {}
        self._map_at: dict[int, _Map] = {}
        self._sections: dict[int, int] = {}
        self.programs: dict[str, int] = {}
        self.code = b""
        self._load(elf, types)
        self._moment: Moment
        self._helpers: dict[int, Callable[..., int]] = {
            1: self._lookup,
            2: self._update,
            3: self._delete,
            4: self._probe_read,
            5: lambda *_: self._moment.at_ns,
            6: lambda *_: 0,
            8: lambda *_: self._moment.cpu,
            14: lambda *_: self._moment.task.tgid << 32 | self._moment.task.tid,
            15: lambda *_: 0,
            16: self._current_comm,
            25: self._perf_output,
            35: lambda *_: self._task,
            45: self._probe_read_text,
            112: self._probe_read,
            113: self._probe_read,
            114: self._probe_read_text,
            115: self._probe_read_text,
            125: lambda *_: self._moment.at_ns,
            130: self._ring_output,
            131: self._ring_reserve,
            132: self._ring_submit,
            133: self._ring_discard,
            0x10001: self._increment,
            0x10002: self._lookup_or_init,
        }

    # -- the object file -----------------------------------------------------------------------

    def _load(self, elf: Any, types: Types) -> None:
        text_index = elf.get_section_index(".text")
        text = elf.get_section_by_name(".text")
        symbols = elf.get_section_by_name(".symtab")
        code = bytearray(text.data()) if text else bytearray()
        for symbol in symbols.iter_symbols():
            if symbol["st_shndx"] == text_index and symbol["st_info"]["type"] == "STT_FUNC":
                self.programs[symbol.name] = symbol["st_value"] // 8
        for section in elf.iter_sections():
            if not isinstance(section, RelocationSection) or section["sh_info"] != text_index:
                continue
            for each in section.iter_relocations():
                symbol = symbols.get_symbol(each["r_info_sym"])
                self._relocate(code, each, symbol, elf, types)
        self.code = bytes(code)
        self._instructions = [
            (opcode, registers & 15, registers >> 4, offset, immediate)
            for opcode, registers, offset, immediate in struct.iter_unpack("<BBhi", self.code)
        ]

    def _relocate(self, code: bytearray, each: Any, symbol: Any, elf: Any, types: Types) -> None:
        at = each["r_offset"]
        if each["r_info_type"] == _BPF_64_32:
            (before,) = struct.unpack_from("<i", code, at + 4)
            target = symbol["st_value"] // 8
            if symbol["st_info"]["type"] == "STT_SECTION":
                target += before + 1
            struct.pack_into("<i", code, at + 4, target - at // 8 - 1)
            return
        if each["r_info_type"] != _BPF_64_64:
            raise Fault("object", "the compiler has made something that cannot be run here")
        index = symbol["st_shndx"]
        if not isinstance(index, int):
            raise Fault("extern", f"{symbol.name or 'something'} is not defined here")
        section = elf.get_section(index)
        if section.name == ".maps":
            address = self._map(symbol, section, types)
        else:
            if index not in self._sections:
                content = section.data()
                is_constant = section.name.startswith(".rodata")
                self._sections[index] = self._new_region(content, is_constant=is_constant)
            (before,) = struct.unpack_from("<i", code, at + 4)
            address = self._sections[index] + symbol["st_value"] + before
        struct.pack_into("<I", code, at + 4, address & 0xFFFFFFFF)
        struct.pack_into("<I", code, at + 12, address >> 32)

    def _map(self, symbol: Any, section: Any, types: Types) -> int:
        for address, known in self._map_at.items():
            if known.name == symbol.name.removesuffix("_map"):
                return address
        raw = section.data()[symbol["st_value"] :][:48]
        kind = raw[16:40].split(b"\0")[0].decode(errors="replace")
        if kind not in KINDS:
            raise Fault("map", f"maps of the kind {kind!r} are not there on recorded events")
        (n_entries,) = struct.unpack_from("<I", raw, 40)
        key, value = types.of_map(symbol.name)
        made = _Map(symbol.name.removesuffix("_map"), KINDS[kind], n_entries, key, value)
        if made.type in _ARRAYS and n_entries > MAX_ENTRIES:
            raise Fault("map", f"{made.name} has more entries than are run here")
        self.maps[made.name] = made
        address = self._new_region(b"", is_constant=True)
        self._map_at[address] = made
        return address

    # -- running -------------------------------------------------------------------------------

    def run(self, moment: Moment) -> None:
        """Let the program for this event see it, if there is one.

        Raises:
            Fault: it cannot go on.
        """
        entry = self.programs.get(moment.program)
        if entry is None:
            return
        self._moment = moment
        first = self._next_region
        self._task = self._task_region(moment)
        context = self._new_region(moment.record, is_constant=True)
        kept = self._next_region
        self._call(entry, [0, context, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0)
        if self._reserved:
            raise Fault(
                "reference-leak",
                "a record that was reserved is neither submitted nor discarded",
            )
        for region in range(first, kept):
            del self._memory[region]
            self._read_only.discard(region)

    def _task_region(self, moment: Moment) -> int:
        task = moment.task

        def packed(tid: int, tgid: int, parent: int, n_sleeps: int, comm: str) -> bytes:
            name = comm.encode()[:15].ljust(16, b"\0")
            return struct.pack("<iiQQQ", tid, tgid, parent, parent, n_sleeps) + name

        parent = self._new_region(
            packed(task.parent_tid, task.parent_tgid, 0, 0, task.parent_comm), is_constant=True
        )
        return self._new_region(
            packed(task.tid, task.tgid, parent, moment.n_sleeps, task.comm), is_constant=True
        )

    def _call(self, at: int, registers: list[int], depth: int) -> int:
        if depth > 8:
            raise Fault("call-depth", "functions call each other more than eight deep")
        stack = self._new_region(bytes(STACK_BYTES))
        registers[10] = stack + STACK_BYTES
        try:
            return self._execute(at, registers, depth)
        finally:
            del self._memory[stack >> 32]

    def _execute(self, at: int, registers: list[int], depth: int) -> int:
        code = self._instructions
        n_left = MAX_STEPS
        while True:
            n_left -= 1
            if n_left < 0 or not 0 <= at < len(code):
                raise Fault("infinite-loop", "it goes on for too long: a loop that does not end?")
            opcode, to, source, offset, immediate = code[at]
            at += 1
            kind = opcode & 7
            if kind in (4, 7):  # arithmetic
                width = 64 if kind == 7 else 32
                is_swap = opcode & 0xF0 == 0xD0
                operand = registers[source] if opcode & 8 and not is_swap else immediate
                registers[to] = _calculated(opcode & 0xF0, registers[to], operand, width, opcode)
            elif kind in (5, 6):  # jumps
                operation = opcode & 0xF0
                if operation == 0x90:
                    self._count(MAX_STEPS - n_left)
                    return registers[0]
                if operation == 0x80:
                    if source == 1:
                        frame = [*registers]
                        registers[0] = self._call(at + immediate, frame, depth + 1)
                    else:
                        registers[0] = self._helped(immediate, registers[1:6])
                elif operation == 0:
                    at += offset
                else:
                    operand = registers[source] if opcode & 8 else immediate
                    if _compared(operation, registers[to], operand, 64 if kind == 5 else 32):
                        at += offset
            elif kind == 1:  # loads
                size = _SIZES[opcode & 0x18]
                registers[to] = self._number(registers[source] + offset, size)
            elif kind in (2, 3):  # stores
                size = _SIZES[opcode & 0x18]
                place = registers[to] + offset
                if opcode & 0xE0 == 0xC0:
                    self._atomic(place, size, source, immediate, registers)
                else:
                    value = registers[source] if kind == 3 else immediate
                    self._store(place, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))
            elif opcode == 0x18:
                high = code[at][4]
                at += 1
                registers[to] = immediate & 0xFFFFFFFF | (high & 0xFFFFFFFF) << 32
            else:
                raise Fault("instruction", f"instruction {opcode:#x} is not known here")

    def _count(self, n_steps: int) -> None:
        self._n_steps += n_steps
        if self._n_steps > MAX_STEPS_IN_ALL:
            raise Fault("too-many-steps", "it does more than is run here")

    def _atomic(
        self, place: int, size: int, source: int, operation: int, registers: list[int]
    ) -> None:
        before, operand = self._number(place, size), registers[source]
        kind = operation & 0xF0
        if kind == 0xF0:  # compare and exchange
            after = operand if before == registers[0] & ((1 << 8 * size) - 1) else before
            registers[0] = before
        else:
            after = {
                0x00: before + operand,
                0x40: before | operand,
                0x50: before & operand,
                0xA0: before ^ operand,
                0xE0: operand,
            }[kind]
            if operation & 1:
                registers[source] = before
        self._store(place, (after & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    def _helped(self, number: int, arguments: list[int]) -> int:
        helper = self._helpers.get(number)
        if helper is None:
            raise Fault("helper", f"helper {number} is not there on recorded events")
        return helper(*arguments) & _MASK

    # -- memory --------------------------------------------------------------------------------

    def _new_region(self, content: bytes, *, is_constant: bool = False) -> int:
        region = self._next_region
        self._next_region += 1
        self._memory[region] = bytearray(content)
        if is_constant:
            self._read_only.add(region)
        return region << 32

    def _bytes(self, address: int, size: int) -> bytes:
        address &= _MASK
        start = address & 0xFFFFFFFF
        memory = self._memory.get(address >> 32)
        if memory is None or start + size > len(memory):
            raise self._outside(address, memory)
        return bytes(memory[start : start + size])

    def _store(self, address: int, content: bytes) -> None:
        address &= _MASK
        start = address & 0xFFFFFFFF
        memory = self._memory.get(address >> 32)
        if memory is None or start + len(content) > len(memory):
            raise self._outside(address, memory)
        if address >> 32 in self._read_only:
            raise Fault("read-only", "it writes where only reading is allowed")
        memory[start : start + len(content)] = content

    @staticmethod
    def _outside(address: int, memory: bytearray | None) -> Fault:
        if address < 1 << 32:
            return Fault(
                "null-deref", "it follows a pointer that is NULL here. Fix: check it first"
            )
        if memory is None:
            return Fault("unknown-pointer", "it follows a pointer that leads nowhere")
        return Fault("out-of-bounds", f"it reaches behind the {len(memory)} bytes that are there")

    def _number(self, address: int, size: int) -> int:
        return int.from_bytes(self._bytes(address, size), "little")

    # -- helpers -------------------------------------------------------------------------------

    def _map_of(self, address: int) -> _Map:
        if (found := self._map_at.get(address)) is None:
            raise Fault("map", "a helper is given something that is no map")
        return found

    def _values(self, each: _Map, key: bytes) -> list[int] | None:
        """Addresses: one, or one for each CPU."""
        if each.type in _ARRAYS:
            if int.from_bytes(key[:4], "little") >= each.n_entries:
                return None
            if key not in each.rows:
                self._make(each, key)
        values = each.rows.get(key)
        if values and each.type in _LRU:
            each.rows.move_to_end(key)
        return values

    def _make(self, each: _Map, key: bytes) -> list[int]:
        n_values = self._n_cpus if each.type in _PER_CPU else 1
        each.rows[key] = [self._new_region(bytes(each.value_size)) for _ in range(n_values)]
        return each.rows[key]

    def _of_this_cpu(self, values: list[int]) -> int:
        return values[self._moment.cpu % len(values)]

    def _lookup(self, table: int, key: int, *_: int) -> int:
        each = self._map_of(table)
        values = self._values(each, self._bytes(key, each.key_size))
        return self._of_this_cpu(values) if values else 0

    def _update(self, table: int, key: int, value: int, flags: int, *_: int) -> int:
        each = self._map_of(table)
        name = self._bytes(key, each.key_size)
        content = self._bytes(value, each.value_size)
        values = self._values(each, name)
        if values and flags == 1:
            return _NEGATIVE["EEXIST"]
        if not values:
            if each.type in _ARRAYS:
                return _NEGATIVE["E2BIG"]
            if flags == 2:
                return _NEGATIVE["ENOENT"]
            if len(each.rows) >= min(each.n_entries, MAX_ENTRIES):
                if each.type not in _LRU:
                    return _NEGATIVE["E2BIG"]
                each.rows.popitem(last=False)
            values = self._make(each, name)
        self._store(self._of_this_cpu(values), content)
        return 0

    def _delete(self, table: int, key: int, *_: int) -> int:
        each = self._map_of(table)
        if each.type in _ARRAYS:
            return _EINVAL
        values = each.rows.pop(self._bytes(key, each.key_size), None)
        return 0 if values else _NEGATIVE["ENOENT"]

    def _increment(self, table: int, key: int, by: int, *_: int) -> int:
        each = self._map_of(table)
        scratch = self._new_region(bytes(each.value_size))
        place = self._lookup_or_init(table, key, scratch)
        if place:
            size = min(each.value_size, 8)
            total = self._number(place, size) + by
            self._store(place, (total & ((1 << 8 * size) - 1)).to_bytes(size, "little"))
        del self._memory[scratch >> 32]
        return 0

    def _lookup_or_init(self, table: int, key: int, init: int, *_: int) -> int:
        if found := self._lookup(table, key):
            return found
        self._update(table, key, init, 1)
        return self._lookup(table, key)

    def _probe_read(self, to: int, size: int, place: int, *_: int) -> int:
        size &= 0xFFFFFFFF
        try:
            content, status = self._bytes(place, size), 0
        except Fault:  # as in the kernel: zeros, and a status
            content, status = bytes(min(size, 1 << 16)), _EFAULT
        self._store(to, content)
        return status

    def _probe_read_text(self, to: int, size: int, place: int, *_: int) -> int:
        size &= 0xFFFFFFFF
        if not size:
            return 0
        memory = self._memory.get(place >> 32)
        if memory is None:
            self._store(to, b"\0")
            return _EFAULT
        content = bytes(memory[place & 0xFFFFFFFF :]).split(b"\0")[0][: size - 1] + b"\0"
        self._store(to, content)
        return len(content)

    def _current_comm(self, to: int, size: int, *_: int) -> int:
        size &= 0xFFFFFFFF
        name = self._moment.task.comm.encode()[: min(size, 16) - 1] if size else b""
        self._store(to, name.ljust(min(size, 1 << 16), b"\0"))
        return 0

    # -- buffers -------------------------------------------------------------------------------

    def _has_room(self, each: _Map, size: int) -> bool:
        """As in the kernel: records have a head and are rounded up, and it is never quite full."""
        cpu = 0 if each.type == _RING else self._moment.cpu
        head, room = (8, each.n_entries * _PAGE_BYTES) if each.type == _RING else (12, _PAGE_BYTES)
        needed = (size + head + 7) // 8 * 8
        if each.n_bytes.get(cpu, 0) + needed > room - 1:
            return False
        each.n_bytes[cpu] = each.n_bytes.get(cpu, 0) + needed
        return True

    def _send(self, each: _Map, content: bytes) -> None:
        self._order += 1
        each.records.append((self._order, content))

    def _ring_output(self, table: int, data: int, size: int, *_: int) -> int:
        each = self._map_of(table)
        content = self._bytes(data, size)
        if each.type != _RING:
            return _EINVAL
        if not self._has_room(each, size):
            return (-11) & _MASK
        self._send(each, content)
        return 0

    def _ring_reserve(self, table: int, size: int, *_: int) -> int:
        each = self._map_of(table)
        if each.type != _RING or size > each.n_entries * _PAGE_BYTES:
            return 0
        if not self._has_room(each, size):
            return 0
        place = self._new_region(bytes(size))
        self._reserved[place] = each
        return place

    def _released(self, place: int) -> tuple[_Map, bytes]:
        each = self._reserved.pop(place, None)
        if each is None:
            raise Fault("reference", "it gives back a record that it has not reserved")
        return each, bytes(self._memory.pop(place >> 32))

    def _ring_submit(self, place: int, *_: int) -> int:
        self._send(*self._released(place))
        return 0

    def _ring_discard(self, place: int, *_: int) -> int:
        self._released(place)
        return 0

    def _perf_output(self, _context: int, table: int, _flags: int, data: int, size: int) -> int:
        each = self._map_of(table)
        content = self._bytes(data, size)
        if each.type != _PERF:
            return _EINVAL
        if not self._has_room(each, size):
            each.n_lost += 1
            return _ENOSPC
        self._send(each, content)
        return 0

    # -- reading -------------------------------------------------------------------------------

    def reading(self) -> dict[str, Any]:
        """As `lessons.Probe` wants it. What was in the buffers is read, and they are empty."""
        records = sorted(
            (order, each.name, content)
            for each in self.maps.values()
            for order, content in each.records
        )
        for each in self.maps.values():
            each.records.clear()
            each.n_bytes.clear()
        return {
            "events": [
                {"map": name, "fields": self._fields(name, content)} for _, name, content in records
            ],
            "n_lost": sum(each.n_lost for each in self.maps.values()),
            "kinds": {each.name: each.type for each in self.maps.values()},
            "maps": {
                each.name: list(self._rows(each))
                for each in self.maps.values()
                if each.type not in (_PERF, _RING)
            },
        }

    def _fields(self, name: str, content: bytes) -> dict[str, Any]:
        fitting = (
            each for each in self._carried.get(name, ()) if ctypes.sizeof(each) == len(content)
        )
        value = read(next(fitting, None), content)
        return value if isinstance(value, dict) else {"raw": value}

    def _rows(self, each: _Map) -> Iterator[tuple[Any, Any]]:
        for key, places in each.rows.items():
            values = [read(each.value, bytes(self._memory[place >> 32])) for place in places]
            yield read(each.key, key), values if each.type in _PER_CPU else values[0]


def _signed(value: int, width: int) -> int:
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def _calculated(operation: int, value: int, operand: int, width: int, opcode: int) -> int:
    mask = (1 << width) - 1
    left, right = value & mask, operand & mask
    match operation:
        case 0x00:
            return (left + right) & mask
        case 0x10:
            return (left - right) & mask
        case 0x20:
            return (left * right) & mask
        case 0x30:
            return left // right if right else 0
        case 0x40:
            return left | right
        case 0x50:
            return left & right
        case 0x60:
            return (left << (right & (width - 1))) & mask
        case 0x70:
            return left >> (right & (width - 1))
        case 0x80:
            return -left & mask
        case 0x90:
            return left % right if right else left
        case 0xA0:
            return left ^ right
        case 0xB0:
            return right
        case 0xC0:
            return (_signed(left, width) >> (right & (width - 1))) & mask
        case 0xD0:  # to another order of bytes; the operand is the number of bits
            size = operand // 8
            raw = (value & ((1 << operand) - 1)).to_bytes(size, "little")
            return int.from_bytes(raw, "big" if opcode & 8 else "little")
    raise Fault("instruction", f"instruction {opcode:#x} is not known here")


def _compared(operation: int, value: int, operand: int, width: int) -> bool:
    mask = (1 << width) - 1
    left, right = value & mask, operand & mask
    signed_left, signed_right = _signed(left, width), _signed(right, width)
    match operation:
        case 0x10:
            return left == right
        case 0x20:
            return left > right
        case 0x30:
            return left >= right
        case 0x40:
            return bool(left & right)
        case 0x50:
            return left != right
        case 0x60:
            return signed_left > signed_right
        case 0x70:
            return signed_left >= signed_right
        case 0xA0:
            return left < right
        case 0xB0:
            return left <= right
        case 0xC0:
            return signed_left < signed_right
        case 0xD0:
            return signed_left <= signed_right
    raise Fault("instruction", f"jump {operation:#x} is not known here")
