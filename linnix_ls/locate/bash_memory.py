"""The call stack and the variables of a bash, read from its memory: nothing in it is changed or
stopped. bash exports its own symbols for loadable builtins; its structures are those of
``variables.h``, ``hashlib.h`` and ``array.h``, the same since 4.4 but for one field.

A look takes about 2 ms. Not here: which line of the stack matters (`locate.shell`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from linnix_ls.locate.memory import ProcessMemory, UnreadableError, symbol_addresses

_SYMBOLS = (
    "line_number",
    "shell_variables",
    "dollar_vars",
    "rest_of_args",
    "dist_version",
    "the_printed_command_except_trap",
)
MAX_VARIABLES = 4_000
MAX_ELEMENTS = 4_000
MAX_CONTEXTS = 256
MAX_BUCKETS = 1 << 16
N_DOLLAR_VARS = 10
N_LINE_READS = 8

# Flags of a variable (variables.h) whose value is no plain string.
_ARRAY, _ASSOCIATIVE, _FUNCTION = 0x4, 0x40, 0x8
# Change by themselves, or with every command whatever it does.
_NOT_STATE = frozenset({b"_", b"BASH_LINENO", b"PIPESTATUS", b"BASH_ARGV", b"BASH_ARGC"})


@dataclass(frozen=True, slots=True)
class BashFrame:
    """A function, sourced file or the script itself ("main"); `source` as bash was given it."""

    function: str
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class BashStack:
    """Innermost frame first.

    Attributes:
        lines: of the innermost frame, as seen in a few reads within microseconds. Between two
            commands, and while a program runs, bash shows the line that the function begins with;
            outside of functions, how far it has read.
        command: the last command that it began, with its variables unexpanded, as bash prints it.
        state_hash: of variables and arguments; None where there are too many.
    """

    frames: tuple[BashFrame, ...]
    lines: tuple[int, ...]
    command: str
    state_hash: int | None


def read_stack(pid: int, exe: str) -> BashStack:
    """The stack of a running bash.

    Raises:
        UnreadableError: it has gone, may not be read, or is no bash whose layout is known.
    """
    addresses = symbol_addresses(pid, exe, _SYMBOLS)
    if len(addresses) != len(_SYMBOLS):
        raise UnreadableError("this shell does not export its symbols")
    with ProcessMemory(pid) as memory:
        return _Bash(memory, addresses).stack()


class _Bash:
    def __init__(self, memory: ProcessMemory, addresses: dict[str, int]) -> None:
        self._memory = memory
        self._addresses = addresses
        version = memory.string(memory.pointer(addresses["dist_version"]))
        try:
            major, minor = (int(number) for number in version.split(b".")[:2])
        except ValueError as error:
            raise UnreadableError("no version of bash") from error
        if (major, minor) < (4, 4):
            raise UnreadableError("a bash older than 4.4")
        # struct array began with a type until 5.0.
        self._array_head = 16 if (major, minor) >= (5, 1) else 24

    def stack(self) -> BashStack:
        calls: dict[bytes, list[bytes]] = {}
        state = hashlib.blake2b(digest_size=8)
        n_variables = 0
        for name, address in self._variables():
            n_variables += 1
            if n_variables > MAX_VARIABLES:
                break
            _, value, _, dynamic, _, flags, _ = self._memory.unpack("=QQQQQii", address)
            if name in (b"FUNCNAME", b"BASH_SOURCE", b"BASH_LINENO"):
                calls.setdefault(name, self._array(value))
            elif dynamic or flags & _FUNCTION or name in _NOT_STATE or not value:
                continue
            state.update(b"\0" + name + b"=")
            if flags & _ARRAY:
                for element in self._array(value):
                    state.update(element + b"\0")
            elif flags & _ASSOCIATIVE:
                for key, element_address in self._table(value):
                    state.update(key + b"\0" + self._memory.string(element_address) + b"\0")
            else:
                state.update(self._memory.string(value))
        for argument in self._arguments():
            state.update(argument + b"\0")
        lines = tuple(
            self._memory.unpack("=i", self._addresses["line_number"])[0]
            for _ in range(N_LINE_READS)
        )
        names = [_text(name) for name in calls.get(b"FUNCNAME", [])]
        sources = [_text(source) for source in calls.get(b"BASH_SOURCE", [])]
        called_at = [int(n[:9]) for n in calls.get(b"BASH_LINENO", []) if n.isdigit()]
        if not len(names) == len(sources) == len(called_at):
            raise UnreadableError("the stack changed meanwhile")
        frames = tuple(
            BashFrame(name, source, line)
            for name, source, line in zip(names, sources, [lines[-1], *called_at], strict=False)
        )
        is_complete = n_variables <= MAX_VARIABLES
        state_hash = int.from_bytes(state.digest(), "little") if is_complete else None
        command = self._memory.pointer(self._addresses["the_printed_command_except_trap"])
        text = _text(self._memory.string(command)) if command else ""
        return BashStack(frames, lines, text, state_hash)

    def _variables(self) -> Iterator[tuple[bytes, int]]:
        """Names and SHELL_VARs, the innermost function's first."""
        context = self._memory.pointer(self._addresses["shell_variables"])
        for _ in range(MAX_CONTEXTS):
            if not context:
                return
            _, _, _, _, outer, table = self._memory.unpack("=QiiQQQ", context)
            if table:
                yield from self._table(table)
            context = outer

    def _table(self, address: int) -> Iterator[tuple[bytes, int]]:
        """The keys and data of a HASH_TABLE."""
        array, n_buckets, n_entries = self._memory.unpack("=Qii", address)
        if not array or not n_entries:
            return
        if not 0 < n_buckets <= MAX_BUCKETS or not 0 < n_entries <= MAX_BUCKETS:
            raise UnreadableError("no hash table")
        n_left = n_entries
        for bucket in self._memory.unpack(f"={n_buckets}Q", array):
            entry = bucket
            while entry and n_left:
                entry, key, data = self._memory.unpack("=QQQ", entry)
                n_left -= 1
                yield self._memory.string(key), data

    def _array(self, address: int) -> list[bytes]:
        """The values of an indexed array: a ring of elements that starts at its head."""
        if not address:
            return []
        head = self._memory.pointer(address + self._array_head)
        values: list[bytes] = []
        _, _, element = self._memory.unpack("=qQQ", head)
        while element != head:
            _, value, element = self._memory.unpack("=qQQ", element)
            values.append(self._memory.string(value))
            if len(values) > MAX_ELEMENTS:
                raise UnreadableError("too long an array")
        return values

    def _arguments(self) -> Iterator[bytes]:
        """$0 to $9, and those behind."""
        for pointer in self._memory.unpack(f"={N_DOLLAR_VARS}Q", self._addresses["dollar_vars"]):
            if pointer:
                yield self._memory.string(pointer)
        words = self._memory.pointer(self._addresses["rest_of_args"])
        for _ in range(MAX_ELEMENTS):
            if not words:
                return
            words, word = self._memory.unpack("=QQ", words)
            yield self._memory.string(self._memory.pointer(word))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
