"""The JavaScript stack of a process that embeds V8, read from its memory: nothing in it is
changed, and it stands still only while `locate.registers` takes the stack.

V8 exports where its objects keep what (symbols ``v8dbg_*``, made for post-mortem debuggers), and
JavaScript frames are linked by frame pointers, whichever compiler made their code. Pointer
compression (Electron's) is not known here, and inlined functions show as their callers.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from types import TracebackType
from typing import Self

from linnix_ls.locate.memory import (
    ProcessMemory,
    UnreadableError,
    mappings,
    symbol_addresses,
)
from linnix_ls.locate.registers import Moment, look_at_thread

MAX_FRAMES = 128
MAX_SAVED_BYTES = 512
MAX_STRING_CHARS = 4096
MAX_STRING_PARTS = 64

_NAMES = {
    "tagged_size": "TaggedSize",
    "off_function": "off_fp_function",
    "off_context": "off_fp_context",
    "off_bytecode_array": "off_fp_bytecode_array",
    "off_bytecode_offset": "off_fp_bytecode_offset",
    "map": "class_HeapObject__map__Map",
    "instance_type": "class_Map__instance_type__uint16_t",
    "function_shared": "class_JSFunction__shared__SharedFunctionInfo",
    "shared_data": "class_SharedFunctionInfo__function_data__Object",
    "shared_name": "class_SharedFunctionInfo__name_or_scope_info__Object",
    "shared_script": "class_SharedFunctionInfo__script_or_debug_info__HeapObject",
    "script_name": "class_Script__name__Object",
    "string_length": "class_String__length__int32_t",
    "one_byte_chars": "class_SeqOneByteString__chars__char",
    "two_byte_chars": "class_SeqTwoByteString__chars__char",
    "cons_first": "class_ConsString__first__String",
    "cons_second": "class_ConsString__second__String",
    "thin_actual": "class_ThinString__actual__String",
    "fixed_length": "class_FixedArrayBase__length__SMI",
    "bytecodes": "class_BytecodeArray__data__uintptr_t",
    "instance_words": "class_Map__instance_size_in_words__char",
    "elements": "class_JSObject__elements__Object",
    "type_object": "type_JSObject__JS_OBJECT_TYPE",
    "type_function": "type_JSFunction__JS_FUNCTION_TYPE",
    "type_shared": "type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE",
    "type_script": "type_Script__SCRIPT_TYPE",
    "type_scope_info": "type_ScopeInfo__SCOPE_INFO_TYPE",
    "type_bytecode_array": "type_BytecodeArray__BYTECODE_ARRAY_TYPE",
}
_SYMBOLS = tuple(f"v8dbg_{name}" for name in _NAMES.values())
_STRING_TYPES_END = 0x80
_ONE_BYTE, _REPRESENTATION = 8, 7
_SEQUENTIAL, _CONS, _THIN = 0, 1, 5
# ScopeInfo: map, flags, number of parameters, number of locals in a context, then their names
# (in a table of their own when there are more) and flags.
_SCOPE_COUNT_WORD = 3
MAX_CONTEXT_LOCALS = 75
N_SCOPE_WORDS = 8
# How much below its frame pointer a frame keeps that decides how it goes on.
FRAME_VALUES_BYTES = 512
# libuv's buffer for events, which nothing overwrites, is 12 kB.
MAX_REMNANTS_BYTES = 24 << 10
MAX_OBJECTS_LOOKED_INTO = 64
FIRST_ADDRESS, LAST_ADDRESS = 1 << 16, 1 << 47


@dataclass(frozen=True, slots=True)
class JsFrame:
    """One function's frame.

    Attributes:
        script: as V8 has it: a path, a file: URL or ``node:…``; "" for none.
        position: where the function begins and ends, in UTF-16 units of the script's source.
        bytecode_offset, n_bytecodes: where in its bytecode the interpreter is, and how long that
            is; None in compiled code.
    """

    function: str
    script: str
    position: tuple[int, int] | None
    bytecode_offset: int | None = None
    n_bytecodes: int | None = None


@dataclass(frozen=True, slots=True)
class JsStack:
    """Innermost frame first; no frames when the thread is outside of JavaScript.

    Attributes:
        is_native: native code is being called by the innermost frame.
        values_hash: of what the frames hold: their arguments, local variables and registers, but
            not the insides of objects.
        remnants: where none of the frames is of a file: functions of files that the stack still
            holds from calls that are over. An event loop that polls is seldom met in them.
        stopped_ns: how long the thread stood still for this.
        moment, seen_s: what it was read from, and when.
    """

    frames: tuple[JsFrame, ...]
    remnants: tuple[JsFrame, ...]
    is_native: bool
    values_hash: int
    stopped_ns: int
    moment: Moment | None = None
    seen_s: float = 0.0


class V8Process:
    """The memory of one process, for as many looks as wanted; a context manager.

    Args:
        library: the mapped file that holds V8: the program itself, or libnode.

    Raises:
        UnreadableError: it may not be read, or no V8 that we know is in there.
    """

    def __init__(self, pid: int, library: str) -> None:
        addresses = symbol_addresses(pid, library, _SYMBOLS)
        missing = [name for name in _SYMBOLS if name not in addresses]
        if missing:
            raise UnreadableError(f"{library} does not export {missing[0]}")
        self._memory = ProcessMemory(pid)
        try:
            self._layout = {
                ours: self._memory.unpack("=i", addresses[f"v8dbg_{theirs}"])[0]
                for ours, theirs in _NAMES.items()
            }
            if self._layout["tagged_size"] != 8:
                raise UnreadableError("its pointers are compressed")
        except UnreadableError:
            self._memory.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._memory.close()

    def stack(self, tid: int) -> JsStack:
        """The JavaScript stack of one thread, now.

        Raises:
            UnreadableError: as `registers.look_at_thread` does.
        """
        moment = look_at_thread(self._memory.pid, tid, self._memory)
        seen_s = time.monotonic()
        code = [(m.start, m.end) for m in mappings(self._memory.pid) if "x" in m.permissions]
        stack = _V8(self._memory, self._layout, code, moment).stack()
        return replace(stack, moment=moment, seen_s=seen_s)


class _V8:
    """One moment of one thread."""

    def __init__(
        self,
        memory: ProcessMemory,
        layout: dict[str, int],
        code: list[tuple[int, int]],
        moment: Moment,
    ) -> None:
        self._memory = memory
        self._code = code
        self._is = layout
        self._stack = moment.stack
        self._base = moment.stack_pointer
        self._end = self._base + len(moment.stack)
        self._moment = moment

    def stack(self) -> JsStack:
        """Walks the frame pointers, which V8's code and, in node's builds, C++ keep."""
        frames: list[JsFrame] = []
        innermost = 0
        pointer = self._moment.frame_pointer
        is_native = not self._is_frame(pointer)
        if is_native:
            pointer = self._callers_frame()
        while len(frames) < MAX_FRAMES and self._base <= pointer < self._end:
            frame = self._frame(pointer)
            if frame is not None:
                innermost = innermost or pointer
                frames.append(frame)
            elif not frames:
                is_native = True
            above = self._word(pointer) or 0
            if above <= pointer:
                break
            pointer = above
        # What JavaScript's frames hold, from the innermost one on outwards.
        held = self._stack[max(0, innermost - self._base - FRAME_VALUES_BYTES) :]
        remnants = () if any(map(_is_of_file, frames)) else tuple(self._remnants())
        return JsStack(tuple(frames), remnants, is_native, hash(held), self._moment.stopped_ns)

    def _remnants(self) -> Iterator[JsFrame]:
        """Functions on the stack, and those that plain objects there have as properties: node
        keeps callbacks in such."""
        words = dict.fromkeys(
            word
            for (word,) in struct.iter_unpack("=Q", self._stack[: MAX_REMNANTS_BYTES & ~7])
            if _is_object(word) and FIRST_ADDRESS < word < LAST_ADDRESS
        )
        objects = []
        for word in words:
            with contextlib.suppress(UnreadableError):
                kind = self._type(word)
                if kind == self._is["type_object"]:
                    objects.append(word)
                elif kind == self._is["type_function"]:
                    yield from self._function_of_file(word)
        for word in objects[:MAX_OBJECTS_LOOKED_INTO]:
            with contextlib.suppress(UnreadableError):
                kind_map = self._field(word, "map")
                n_words = self._memory.read(kind_map - 1 + self._is["instance_words"], 1)[0]
                first = self._is["elements"] // 8 + 1
                address = word - 1 + first * 8
                for value in self._memory.unpack(f"={max(0, n_words - first)}Q", address):
                    if self._is_a(value, "type_function"):
                        yield from self._function_of_file(value)

    def _function_of_file(self, function: int) -> Iterator[JsFrame]:
        frame = self._function(function)
        if frame is not None and _is_of_file(frame):
            yield frame

    def _is_frame(self, pointer: int) -> bool:
        """Whether a caller's frame pointer and a return address are there."""
        above = self._word(pointer)
        return above is not None and above > pointer and self._is_code(self._word(pointer + 8))

    def _is_code(self, address: int | None) -> bool:
        return address is not None and any(start <= address < end for start, end in self._code)

    def _callers_frame(self) -> int:
        """For a thread in the C library, which uses the frame pointer for other things and has
        put its caller's on the stack: with up to four more registers below its return address.
        Not to be looked for far up: buffers there hold the remains of earlier calls."""
        for returns_at in range(self._base, self._base + MAX_SAVED_BYTES, 8):
            if not self._is_code(self._word(returns_at)):
                continue
            for address in range(returns_at - 8, max(self._base, returns_at - 48) - 8, -8):
                saved = self._word(address) or 0
                if address < saved and self._is_frame(saved):
                    return saved
        return 0

    def _frame(self, pointer: int) -> JsFrame | None:
        context = self._word(pointer + self._is["off_context"])
        function = self._word(pointer + self._is["off_function"])
        if context is None or function is None:
            return None
        if not (_is_object(context) and _is_object(function)):
            return None
        try:
            frame = self._function(function)
            array = self._word(pointer + self._is["off_bytecode_array"])
            offset = self._word(pointer + self._is["off_bytecode_offset"])
            if frame is None or array is None or offset is None or offset & 1:
                return frame
            if not self._is_a(array, "type_bytecode_array"):
                return frame
            n_bytecodes = _small_integer(self._field(array, "fixed_length"))
        except UnreadableError:
            return None
        # Counted from the array's tagged address: its header is in it.
        bytecode_offset = _small_integer(offset) - self._is["bytecodes"] + 1
        if not 0 <= bytecode_offset < n_bytecodes:
            return frame
        return replace(frame, bytecode_offset=bytecode_offset, n_bytecodes=n_bytecodes)

    def _function(self, function: int) -> JsFrame | None:
        shared = self._field(function, "function_shared")
        if not self._is_a(shared, "type_shared"):
            return None
        name, position = self._name_and_position(shared)
        return JsFrame(name, self._script(shared), position)

    def _name_and_position(self, shared: int) -> tuple[str, tuple[int, int] | None]:
        info = self._field(shared, "shared_name")
        if not _is_object(info):
            return "", None
        if self._type(info) < _STRING_TYPES_END:
            return self._string(info), None
        if self._type(info) != self._is["type_scope_info"]:
            return "", None
        n_locals = _small_integer(self._memory.pointer(info - 1 + _SCOPE_COUNT_WORD * 8))
        if not 0 <= n_locals <= MAX_CONTEXT_LOCALS:
            return "", None
        # Behind names and flags of the locals comes what is optional: the first string is the
        # function's own name, or the one that V8 made up from what it was assigned to; the
        # first two small integers that are in order are where it begins and ends.
        first = info - 1 + (_SCOPE_COUNT_WORD + 1 + 2 * n_locals) * 8
        words = self._memory.unpack(f"={N_SCOPE_WORDS}Q", first)
        name = next((self._string(word) for word in words if self._is_string(word)), "")
        for begin, end in pairwise(words):
            if not begin & 1 and not end & 1 and 0 <= _small_integer(begin) < _small_integer(end):
                return name, (_small_integer(begin), _small_integer(end))
        return name, None

    def _script(self, shared: int) -> str:
        script = self._field(shared, "shared_script")
        if not self._is_a(script, "type_script"):
            return ""
        name = self._field(script, "script_name")
        return self._string(name) if self._is_string(name) else ""

    def _string(self, text: int) -> str:
        """A string, which may be put together from others; "" for what is outside of the heap."""
        found: list[str] = []
        todo = [text]
        for _ in range(MAX_STRING_PARTS):
            if not todo:
                break
            part = todo.pop()
            kind = self._type(part)
            representation = kind & _REPRESENTATION
            if representation == _CONS:
                todo += [self._field(part, "cons_second"), self._field(part, "cons_first")]
            elif representation == _THIN:
                todo.append(self._field(part, "thin_actual"))
            elif representation == _SEQUENTIAL:
                found.append(self._characters(part, is_one_byte=bool(kind & _ONE_BYTE)))
        return "".join(found)

    def _characters(self, text: int, *, is_one_byte: bool) -> str:
        length = self._memory.unpack("=i", text - 1 + self._is["string_length"])[0]
        length = max(0, min(length, MAX_STRING_CHARS))
        if is_one_byte:
            raw = self._memory.read(text - 1 + self._is["one_byte_chars"], length)
            return raw.decode("latin-1")
        raw = self._memory.read(text - 1 + self._is["two_byte_chars"], 2 * length)
        return raw.decode("utf-16-le", "replace")

    def _word(self, address: int) -> int | None:
        at = address - self._base
        if at < 0 or at + 8 > len(self._stack):
            return None
        number: int = struct.unpack_from("=Q", self._stack, at)[0]
        return number

    def _is_string(self, value: int) -> bool:
        return _is_object(value) and self._type(value) < _STRING_TYPES_END

    def _is_a(self, value: int, kind: str) -> bool:
        return _is_object(value) and self._type(value) == self._is[kind]

    def _type(self, value: int) -> int:
        kind_map = self._field(value, "map")
        return self._memory.unpack("=H", kind_map - 1 + self._is["instance_type"])[0]

    def _field(self, value: int, name: str) -> int:
        return self._memory.pointer(value - 1 + self._is[name])


def _is_of_file(frame: JsFrame) -> bool:
    return frame.script.startswith(("/", "file:"))


def _is_object(value: int) -> bool:
    return value & 3 == 1


def _small_integer(value: int) -> int:
    return (value >> 32) - (1 << 32 if value >> 63 else 0)
