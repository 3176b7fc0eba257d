"""The calls that led a thread to where it is, by the rules that compilers write down for
exceptions (.eh_frame; where that is missing .debug_frame), without frame pointers too.

The rules are read from the process's own memory, where its loader has mapped them: so a program
that was deleted or replaced, and the kernel's vdso, are no special cases. pyelftools parses them;
here they are looked up, by the table that the linker sorted for that, and applied to registers and
stack of a `registers.Moment`. Where no rule covers an address (code that was made at run time) the
frame pointer is followed. Of a thread that waits not all registers are known: a frame pointer that
is missing is searched for, and taken only where it fits the code.

A look takes 1 to 4 ms the first time, when the rules of each function are parsed, and 0.2 to 0.5
ms after that; 12 and 1 to 3 ms in a library of 158 MB (rustc). The thread stands still for 0.03 to
0.2 ms of it, and not at all if it waits.
"""

from __future__ import annotations

import bisect
import contextlib
import copy
import functools
import io
import platform
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from elftools.common.exceptions import DWARFError, ELFError
from elftools.dwarf.callframe import CIE, FDE, CallFrameInfo
from elftools.dwarf.constants import DW_CFA
from elftools.dwarf.structs import DWARFStructs

from linnix_ls.locate import elf
from linnix_ls.locate.memory import Mapped, ProcessMemory, UnreadableError, mappings
from linnix_ls.locate.registers import Moment

MAX_FRAMES = 128
# For rules that are written to take long: of one look, and of all together.
LOOK_TIMEOUT_S = 0.25
TOTAL_TIMEOUT_S = 1.0
MAX_RULES_BYTES = 16 << 10  # of one function; 2 kB is much
MAX_UNSORTED_BYTES = 8 << 20
MAX_EXPRESSION_STEPS = 64
MAX_REMEMBERED_ROWS = 32
MAX_SEARCHED_WORDS = 2048  # for a lost frame pointer: 16 kB of stack
MAX_CHAINED_BYTES = 1 << 20

_PT_LOAD, _PT_GNU_EH_FRAME = 1, 0x6474E550
_PC_RELATIVE_4 = 0x1B
_TABLE_ENCODINGS = bytes((_PC_RELATIVE_4, 0x03, 0x3B))  # as GNU ld, gold, lld and mold write it
_LONG_DWARF = 0xFFFF_FFF0
_WORD = 0xFFFF_FFFF_FFFF_FFFF
# arm64 may sign return addresses in the bits above.
_CODE_BITS = (1 << 48) - 1
# What reading rules that can be anything may raise in struct, construct and pyelftools.
_MALFORMED = (
    *(
        DWARFError,
        ELFError,
        elf.MalformedError,
        AssertionError,
        LookupError,
        TypeError,
        ValueError,
        struct.error,
    ),
    *(AttributeError, OverflowError, MemoryError, EOFError, RecursionError),
)


class _Machine(NamedTuple):
    """DWARF's numbers of its registers."""

    stack_pointer: int
    frame_pointer: int


_MACHINES = {"x86_64": _Machine(7, 6), "aarch64": _Machine(31, 29)}


@dataclass(frozen=True, slots=True)
class _Function:
    """The rules of one function: `start` and `end` are addresses in the process."""

    start: int
    end: int
    common: Sequence[Any]
    own: Sequence[Any]
    code_factor: int
    data_factor: int
    return_address: int
    is_signal_frame: bool


class _Row(NamedTuple):
    """How to find the caller's registers from one address on.

    Attributes:
        cfa: a register and an offset, or an expression.
        rules: of each register that was saved, what to do.
    """

    cfa: tuple[int, int] | bytes | None
    rules: Mapping[int, tuple[str, Any]]


class _LostError(Exception):
    """The caller cannot be known from here on."""


class Unwinder:
    """Of one process, for as long as it runs the same program."""

    def __init__(self, pid: int, memory: ProcessMemory) -> None:
        self._memory = memory
        self._machine = _MACHINES.get(platform.machine())
        self._mappings = mappings(pid)
        self._starts = [mapped.start for mapped in self._mappings]
        self._rules_of: dict[int, _FileRules] = {}
        self._pid = pid
        self._left_s = TOTAL_TIMEOUT_S

    def calls(self, moment: Moment) -> list[int]:
        """Where each function is, innermost first: an address within the instruction that it
        executes, which is a call for all but the first."""
        if self._machine is None:
            return [moment.instruction_pointer]
        thread = _Thread(moment, self._memory, self._machine)
        found: list[int] = []
        address, is_after_call = moment.instruction_pointer, False
        began = time.monotonic()
        allowed_s = min(LOOK_TIMEOUT_S, self._left_s)
        while len(found) < MAX_FRAMES and time.monotonic() < began + allowed_s:
            at = address - is_after_call
            if not self._is_code(at):
                break
            found.append(at)
            position = (address, thread.stack_pointer)
            try:
                function = self._function(at)
                if function is None:
                    address = thread.follow_frame_pointer()
                else:
                    address = self._unwind(thread, function, at)
            except (UnreadableError, _LostError):
                break
            if (address, thread.stack_pointer) == position:
                break
            is_after_call = function is None or not function.is_signal_frame
        self._left_s -= time.monotonic() - began
        return found

    def _unwind(self, thread: _Thread, function: _Function, at: int) -> int:
        row = _row(function, at)
        if isinstance(row.cfa, tuple) and row.cfa[0] not in thread.registers:
            if row.cfa[0] != thread.machine.frame_pointer:
                raise _LostError
            thread.registers[row.cfa[0]] = self._lost_frame_pointer(thread, function, row)
        return thread.unwind(row, function.return_address)

    def _lost_frame_pointer(self, thread: _Thread, function: _Function, row: _Row) -> int:
        """The frame pointer, by the first place above the stack pointer where it could have been
        saved: together with an address after a call, best of this very function."""
        assert isinstance(row.cfa, tuple)
        pointer = thread.machine.frame_pointer
        if row.rules.get(pointer) != ("offset", -row.cfa[1]):
            raise _LostError
        fallback: int | None = None
        first = (thread.stack_pointer + 7) & ~7
        for candidate in range(first, first + 8 * MAX_SEARCHED_WORDS, 8):
            try:
                saved, address = thread.word(candidate), thread.word(candidate + 8)
            except UnreadableError:
                break  # the end of the stack
            if not self._is_code(address - 1):
                continue
            target = self._call_target(address)
            if target == function.start:
                return candidate
            # Called through a pointer, or a table of them: which function, is not to be seen.
            is_chained = saved == 0 or candidate < saved < candidate + MAX_CHAINED_BYTES
            if (
                fallback is None
                and target is None
                and (is_chained or self._goes_on(thread, candidate, saved, address))
            ):
                fallback = candidate
        if fallback is None:
            raise _LostError
        return fallback

    def _goes_on(self, thread: _Thread, frame: int, saved: int, address: int) -> bool:
        """Whether the caller, too, would have been called from somewhere."""
        function = self._function(address - 1)
        if function is None:
            return False
        caller = copy.copy(thread)
        machine = thread.machine
        caller.registers = {machine.stack_pointer: frame + 16, machine.frame_pointer: saved}
        try:
            goes_on_at = caller.unwind(_row(function, address - 1), function.return_address)
        except (UnreadableError, _LostError):
            return False
        return self._is_code(goes_on_at - 1) and self._call_target(goes_on_at) != 0

    def _call_target(self, address: int) -> int | None:
        """What is called by the call that ends at `address`: 0 when there is none, None when
        that cannot be seen."""
        if platform.machine() != "x86_64":
            return None
        try:
            code = self._memory.read(address - 7, 7)
            target = (address + int.from_bytes(code[3:], "little", signed=True)) & _WORD
            if code[2] == 0xE8:
                return self._behind_stub(target)
            if code[1:3] == b"\xff\x15":  # through the table of other files' functions
                return self._memory.pointer(target)
        except UnreadableError:
            return 0
        is_indirect = any(
            code[-length] == 0xFF and code[1 - length] & 0x38 == 0x10 for length in (2, 3, 4, 6, 7)
        )
        return None if is_indirect else 0

    def _behind_stub(self, target: int) -> int:
        """Where a jump through the table of other files' functions leads; else the target."""
        code = self._memory.read(target, 11)
        jump = code.removeprefix(b"\xf3\x0f\x1e\xfa").removeprefix(b"\xf2")
        if jump[:2] != b"\xff\x25":
            return target
        end = target + len(code) - len(jump) + 6
        return self._memory.pointer(end + int.from_bytes(jump[2:6], "little", signed=True))

    def _is_code(self, address: int) -> bool:
        mapped = self._mapped(address)
        return mapped is not None and mapped.permissions[2:3] == "x"

    def _mapped(self, address: int) -> Mapped | None:
        index = bisect.bisect_right(self._starts, address) - 1
        mapped = self._mappings[index] if index >= 0 else None
        return mapped if mapped is not None and address < mapped.end else None

    def _function(self, at: int) -> _Function | None:
        """The rules for an address; None when there are none, or none that can be understood."""
        mapped = self._mapped(at)
        if mapped is None or not mapped.path:
            return None
        rules = self._rules_of.get(mapped.start)
        if rules is None:
            rules = _FileRules(self._pid, self._memory, self._first_mapping(mapped))
            self._rules_of[mapped.start] = rules
        return rules.function(at)

    def _first_mapping(self, mapped: Mapped) -> Mapped:
        """The nearest one below, or it itself, that has the beginning of the same file."""
        index = bisect.bisect_right(self._starts, mapped.start) - 1
        for candidate in reversed(self._mappings[: index + 1]):
            if candidate.path == mapped.path and (candidate.offset == 0 or mapped.path[0] == "["):
                return candidate
        return mapped


class _Thread:
    """Registers, as they are unwound, and the stack.

    Attributes:
        registers: by DWARF's numbers, as far as they are known.
    """

    def __init__(self, moment: Moment, memory: ProcessMemory, machine: _Machine) -> None:
        self.machine = machine
        self.registers = dict(enumerate(moment.general))
        self.registers[machine.stack_pointer] = moment.stack_pointer
        if moment.frame_pointer:
            self.registers[machine.frame_pointer] = moment.frame_pointer
        self._memory = memory
        self._stack, self._stack_start = moment.stack, moment.stack_pointer

    @property
    def stack_pointer(self) -> int:
        return self.registers[self.machine.stack_pointer]

    def word(self, address: int) -> int:
        offset = address - self._stack_start
        if 0 <= offset <= len(self._stack) - 8:
            return int.from_bytes(self._stack[offset : offset + 8], "little")
        return self._memory.pointer(address)

    def follow_frame_pointer(self) -> int:
        """Go to the caller; returns where it goes on."""
        frame = self.registers.get(self.machine.frame_pointer, 0)
        if frame < self.stack_pointer or frame % 8:
            raise _LostError
        self.registers[self.machine.frame_pointer] = self.word(frame)
        self.registers[self.machine.stack_pointer] = frame + 16
        return self.word(frame + 8) & _CODE_BITS

    def unwind(self, row: _Row, return_address: int) -> int:
        """Go to the caller; returns where it goes on."""
        cfa = self._cfa(row)
        registers = dict(self.registers)
        registers[self.machine.stack_pointer] = cfa
        for register, (rule, argument) in row.rules.items():
            if rule == "offset":
                registers[register] = self.word((cfa + argument) & _WORD)
            elif rule == "value":
                registers[register] = (cfa + argument) & _WORD
            elif rule == "register":
                registers[register] = self._known(argument)
            elif rule == "expression":
                registers[register] = self.word(self._evaluate(argument, cfa))
            elif rule == "value_expression":
                registers[register] = self._evaluate(argument, cfa)
            elif rule == "undefined":
                registers.pop(register, None)
        self.registers = registers
        # The outermost function of a thread says that its caller is undefined.
        return self._known(return_address) & _CODE_BITS

    def _cfa(self, row: _Row) -> int:
        if isinstance(row.cfa, bytes):
            return self._evaluate(row.cfa)
        if row.cfa is None:
            raise _LostError
        register, offset = row.cfa
        return (self._known(register) + offset) & _WORD

    def _known(self, register: int) -> int:
        value = self.registers.get(register)
        if value is None:
            raise _LostError
        return value

    def _evaluate(self, expression: bytes, *initial: int) -> int:
        """The few operations that linkers and C libraries use, for jump tables and for frames of
        signals."""
        stack = list(initial)
        code = io.BytesIO(expression)
        try:
            for _ in range(MAX_EXPRESSION_STEPS):
                byte = code.read(1)
                if not byte:
                    return stack[-1]
                op = byte[0]
                if 0x30 <= op <= 0x4F:  # DW_OP_lit
                    stack.append(op - 0x30)
                elif 0x70 <= op <= 0x8F:  # DW_OP_breg
                    stack.append((self._known(op - 0x70) + _leb128(code, is_signed=True)) & _WORD)
                elif op in _CONSTANTS:
                    n_bytes, is_signed = _CONSTANTS[op]
                    value = int.from_bytes(code.read(n_bytes), "little", signed=is_signed)
                    stack.append(value & _WORD)
                elif op in (0x10, 0x11):  # DW_OP_constu, DW_OP_consts
                    stack.append(_leb128(code, is_signed=op == 0x11) & _WORD)
                elif op == 0x06:  # DW_OP_deref
                    stack.append(self.word(stack.pop()))
                elif op == 0x12:  # DW_OP_dup
                    stack.append(stack[-1])
                elif op == 0x13:  # DW_OP_drop
                    stack.pop()
                elif op == 0x23:  # DW_OP_plus_uconst
                    stack.append((stack.pop() + _leb128(code, is_signed=False)) & _WORD)
                elif op in _OPERATIONS:
                    right, left = stack.pop(), stack.pop()
                    stack.append(_OPERATIONS[op](left, right) & _WORD)
                else:
                    break
        except IndexError:
            pass
        raise _LostError


_CONSTANTS = {  # DW_OP_const1u and the following: size, is signed
    0x08: (1, False), 0x09: (1, True), 0x0A: (2, False), 0x0B: (2, True),
    0x0C: (4, False), 0x0D: (4, True), 0x0E: (8, False), 0x0F: (8, True),
}  # fmt: skip
_OPERATIONS = {
    0x1A: lambda left, right: left & right,
    0x1C: lambda left, right: left - right,
    0x21: lambda left, right: left | right,
    0x22: lambda left, right: left + right,
    0x24: lambda left, right: left << min(right, 64),
    0x25: lambda left, right: left >> min(right, 64),
    0x2A: lambda left, right: left >= right,
}


def _leb128(code: io.BytesIO, *, is_signed: bool) -> int:
    value = shift = 0
    while shift < 70:
        byte = code.read(1)[0]  # an IndexError at the end
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return value - (1 << shift) if is_signed and byte & 0x40 else value


class _FileRules:
    """Of one mapped file.

    Args:
        first: the mapping of its beginning.
    """

    def __init__(self, pid: int, memory: ProcessMemory, first: Mapped) -> None:
        self._memory = memory
        self._functions: dict[int, _Function | None] = {}
        self._bias = 0
        self._table: tuple[int, int] | None = None  # where .eh_frame_hdr is, and its entries
        self._file = f"/proc/{pid}/root{first.path}" if first.path.startswith("/") else None
        try:
            self._find_table(first)
        except (UnreadableError, *_MALFORMED):
            self._file = None

    def function(self, at: int) -> _Function | None:
        try:
            found = self._by_table(*self._table, at) if self._table is not None else None
            for rules in self._unsorted if found is None else ():
                found = found or rules.function(at, self._bias)
        except (UnreadableError, *_MALFORMED):
            return None
        return found

    @functools.cached_property
    def _unsorted(self) -> list[_UnsortedRules]:
        names = [".debug_frame"] if self._table is not None else [".eh_frame", ".debug_frame"]
        return [_UnsortedRules.of(self._file, name) for name in names if self._file is not None]

    def _find_table(self, first: Mapped) -> None:
        at, size = elf.program_headers(self._memory.read(first.start, 64))
        segments = elf.segments(self._memory.read(first.start + at, size))
        # The segment with the file's beginning tells where addresses count from.
        self._bias = first.start - min(
            (segment.address - segment.offset for segment in segments if segment.kind == _PT_LOAD),
            default=0,
        )
        for segment in segments:
            if segment.kind == _PT_GNU_EH_FRAME:
                table = self._bias + segment.address
                head = self._memory.read(table, 12)
                if head[0] == 1 and head[1:4] == _TABLE_ENCODINGS:
                    self._table = table, struct.unpack_from("<I", head, 8)[0]

    def _by_table(self, table: int, n_entries: int, at: int) -> _Function | None:
        """By .eh_frame_hdr's entries: where a function begins, and where its rules are, both
        from the table on."""
        low, high = 0, n_entries
        while low < high:
            middle = (low + high) // 2
            (start,) = self._memory.unpack("<i", table + 12 + 8 * middle)
            low, high = (middle + 1, high) if table + start <= at else (low, middle)
        if low == 0:
            return None
        start, rules = self._memory.unpack("<ii", table + 12 + 8 * (low - 1))
        if table + start not in self._functions:
            self._functions[table + start] = self._parse(table + start, table + rules)
        function = self._functions[table + start]
        return function if function is not None and at < function.end else None

    def _parse(self, start: int, at: int) -> _Function | None:
        try:
            own = self._entry(at)
            (distance,) = struct.unpack_from("<I", own, 4)
            return _parse_rules(self._entry(at + 4 - distance), own, start, is_eh_frame=True)
        except (UnreadableError, *_MALFORMED):
            return None

    def _entry(self, at: int) -> bytes:
        (length,) = self._memory.unpack("<I", at)
        if length > MAX_RULES_BYTES:
            raise UnreadableError("too long a function's rules")
        return self._memory.read(at, length + 4)


class _UnsortedRules:
    """The section .debug_frame of a file, or .eh_frame of one that is linked statically: nothing
    in them is sorted."""

    def __init__(self, section: elf.Section, *, is_eh_frame: bool) -> None:
        self._content = section.content
        self._is_eh_frame = is_eh_frame
        self._entries: list[tuple[int, int, int]] = []  # first address, last address, offset
        self._functions: dict[int, _Function] = {}
        at = 0
        while at + 24 <= len(section.content):
            length, common = struct.unpack_from("<II", section.content, at)
            if length == 0 or length >= _LONG_DWARF:
                break  # the end; or for files that are too large anyway
            if common != self._common_id and length >= 16:
                if is_eh_frame:
                    start, size = struct.unpack_from("<iI", section.content, at + 8)
                    start += section.address + at + 8
                else:
                    start, size = struct.unpack_from("<QQ", section.content, at + 8)
                self._entries.append((start, start + size, at))
            at += length + 4
        self._entries.sort()

    @property
    def _common_id(self) -> int:
        """What entries have that are common to several functions."""
        return 0 if self._is_eh_frame else 0xFFFF_FFFF

    @classmethod
    def of(cls, path: str, name: str) -> _UnsortedRules:
        section = elf.Section(0, b"")
        with contextlib.suppress(elf.MalformedError), elf.open_file(path) as file:
            section = elf.read_section(file, name, MAX_UNSORTED_BYTES)
        return cls(section, is_eh_frame=name == ".eh_frame")

    def function(self, at: int, bias: int) -> _Function | None:
        index = bisect.bisect_right(self._entries, (at - bias, _WORD, 0)) - 1
        if index < 0 or at - bias >= self._entries[index][1]:
            return None
        start, _, offset = self._entries[index]
        if offset not in self._functions:
            own = self._entry(offset)
            (common,) = struct.unpack_from("<I", own, 4)
            common = offset + 4 - common if self._is_eh_frame else common
            self._functions[offset] = _parse_rules(
                self._entry(common), own, start + bias, is_eh_frame=self._is_eh_frame
            )
        return self._functions[offset]

    def _entry(self, at: int) -> bytes:
        (length,) = struct.unpack_from("<I", self._content, at)
        if length > MAX_RULES_BYTES:
            raise UnreadableError("too long a function's rules")
        return self._content[at : at + length + 4]


def _parse_rules(common: bytes, own: bytes, start: int, *, is_eh_frame: bool) -> _Function:
    """From a CIE and the FDE that refers to it, wherever that was."""
    if common[4:8] != (bytes(4) if is_eh_frame else b"\xff" * 4):
        raise ELFError("rules that refer to others than common ones")
    reference = len(common) + 4 if is_eh_frame else 0
    section = common + own[:4] + struct.pack("<I", reference) + own[8:]
    structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
    info = CallFrameInfo(io.BytesIO(section), len(section), 0, structs, for_eh_frame=is_eh_frame)
    cie, function = info.get_entries()[:2]
    if not isinstance(cie, CIE) or not isinstance(function, FDE):
        raise ELFError("no rules of a function")
    if is_eh_frame and cie.augmentation_dict.get("FDE_encoding") != _PC_RELATIVE_4:
        raise ELFError("other addresses than compilers write")
    return _Function(
        start=start,
        end=start + function["address_range"],
        common=cie.instructions,
        own=function.instructions,
        code_factor=cie["code_alignment_factor"],
        data_factor=cie["data_alignment_factor"],
        return_address=cie["return_address_register"],
        is_signal_frame=True in cie.augmentation_dict,
    )


def _row(function: _Function, at: int) -> _Row:
    """What the rules say at an address of the function."""
    initial = _execute(function, function.common, _Row(None, {}), _Row(None, {}), _WORD)
    return _execute(function, function.own, initial, initial, at - function.start)


def _execute(
    function: _Function, instructions: Sequence[Any], row: _Row, initial: _Row, until: int
) -> _Row:
    """The row after the instructions for all addresses up to `until`, from the function's
    beginning."""
    cfa, rules = row.cfa, dict(row.rules)
    remembered: list[_Row] = []
    reached = 0
    for instruction in instructions:
        args = instruction.args
        match instruction.opcode:
            case (
                DW_CFA.advance_loc | DW_CFA.advance_loc1 | DW_CFA.advance_loc2 | DW_CFA.advance_loc4
            ):
                reached += args[0] * function.code_factor
                if reached > until:
                    break
            case DW_CFA.def_cfa:
                cfa = (args[0], args[1])
            case DW_CFA.def_cfa_sf:
                cfa = (args[0], args[1] * function.data_factor)
            case DW_CFA.def_cfa_register if isinstance(cfa, tuple):
                cfa = (args[0], cfa[1])
            case DW_CFA.def_cfa_offset if isinstance(cfa, tuple):
                cfa = (cfa[0], args[0])
            case DW_CFA.def_cfa_offset_sf if isinstance(cfa, tuple):
                cfa = (cfa[0], args[0] * function.data_factor)
            case DW_CFA.def_cfa_expression:
                cfa = bytes(args[0])
            case DW_CFA.offset | DW_CFA.offset_extended | DW_CFA.offset_extended_sf:
                rules[args[0]] = ("offset", args[1] * function.data_factor)
            case DW_CFA.val_offset | DW_CFA.val_offset_sf:
                rules[args[0]] = ("value", args[1] * function.data_factor)
            case DW_CFA.register:
                rules[args[0]] = ("register", args[1])
            case DW_CFA.expression:
                rules[args[0]] = ("expression", bytes(args[1]))
            case DW_CFA.val_expression:
                rules[args[0]] = ("value_expression", bytes(args[1]))
            case DW_CFA.undefined:
                rules[args[0]] = ("undefined", None)
            case DW_CFA.same_value:
                rules.pop(args[0], None)
            case DW_CFA.restore | DW_CFA.restore_extended:
                rules.pop(args[0], None)
                if args[0] in initial.rules:
                    rules[args[0]] = initial.rules[args[0]]
            case DW_CFA.remember_state if len(remembered) < MAX_REMEMBERED_ROWS:
                remembered.append(_Row(cfa, dict(rules)))
            case DW_CFA.restore_state if remembered:
                cfa, restored = remembered.pop()
                rules = dict(restored)
            case _:
                pass  # no-ops, and what only profilers of their own need
    return _Row(cfa, rules)
