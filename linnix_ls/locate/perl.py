"""Perl: the statement that runs, those that called it and the loops around it, read from the
interpreter's memory. Nothing in the process is changed or stopped.

A perl built with threads, as distributions build it, has one pointer to all it knows; what we
look for in there (``intrpvar.h``, ``cop.h``, ``sv.h``) is recognised by its form, as its place
differs between versions. Of the subroutine that runs the lexical variables are read; not what they
refer to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from linnix_ls import procfs
from linnix_ls.core.examination import PlaceHint, ProcessFacts, StackFrame, StackSnapshot
from linnix_ls.core.tree import script_argument
from linnix_ls.locate.base import Reading
from linnix_ls.locate.frames import hints_of
from linnix_ls.locate.memory import ProcessMemory, UnreadableError, mappings, symbol_addresses
from linnix_ls.locate.source import is_user_file, read_lines, resolve

MAX_FRAMES = 64
MAX_CONTEXTS = 512
N_INTERPRETER_WORDS = 96
_SYMBOLS = ("PL_curinterp", "Perl_pp_nextstate", "Perl_pp_dbstate")
_REGEX_SYMBOLS = ("Perl_pp_match", "Perl_pp_subst", "Perl_pp_split")
# struct cop: of BASEOP the function that runs it; then its line and its file.
_OP_FUNCTION, _COP_LINE, _COP_FILE = 16, 36, 48
# struct stackinfo: the stack, the contexts, …, the index of the innermost.
_STACKINFO = "=QQQQi"
# struct context, since 5.24: its type, and the statement outside of it. Its size varies.
_CONTEXT_SIZES, _CONTEXT_OUTER = range(80, 129, 8), 16
_LOOPS, _SUBROUTINES, _EVAL, _SUBSTITUTION = range(4, 9), (9, 10), 11, 12
# The second and third of the interpreter's words: the operation that runs, and the variables of
# the subroutine that it is in.
_OPERATION_INDEX, _PAD_INDEX = 1, 2
MAX_VARIABLES = 512
MAX_TEXT_BYTES = 64
# struct sv: its body, references and flags, and a value or where it is.
_SV = "=QIIQ"
_TYPE, _IS_INTEGER, _IS_NUMBER, _IS_TEXT, _IS_REFERENCE = 0xFF, 0x100, 0x200, 0x400, 0x800
_IS_TEMPORARY = 0x2_0000
_INTEGER_TYPE, _TEXT_TYPE, _ARRAY_TYPE, _HASH_TYPE = 1, 3, 11, 12
_HAS_MAGIC_TYPE, _POSITION_MAGIC = 7, ord("g")
# In a body: magic, the length of text or the last index, an integer, a number.
_MAGIC, _LENGTH, _INTEGER, _NUMBER = 8, 16, 32, 40
# struct magic: its type, and of a position that.
_MAGIC_TYPE, _MAGIC_LENGTH = 18, 24
_SUB = re.compile(r"^\s*(?:my\s+|our\s+)?(?:sub|method)\s+([\w:]+)")


class _Statement(NamedTuple):
    file: str
    line: int


class _Call(NamedTuple):
    """One frame: where it is, and where the loops around that begin, innermost first."""

    at: _Statement
    loops: tuple[_Statement, ...]


class PerlReader:
    """See `locate.base.LanguageReader`."""

    language = "perl"

    def recognises(self, facts: ProcessFacts) -> bool:
        names = [os.path.basename(name) for name in (facts.exe, *facts.argv[:1]) if name]
        return any(re.fullmatch(r"perl(5[\d.]*)?", name) for name in names)

    async def read(self, facts: ProcessFacts, *, n_looks: int, interval_s: float) -> Reading:
        stacks: list[StackSnapshot] = []
        note: str | None = None
        for n in range(n_looks):
            if n:
                # Uneven, so as not to meet a loop's own period each time.
                await asyncio.sleep(interval_s * (0.7 + 0.3 * (n % 3)))
            try:
                stacks.append(await asyncio.to_thread(_look, facts))
            except UnreadableError as error:
                note = f"no Perl stack: {error}"
                if not stacks and n:
                    break  # not just changed meanwhile
        if any(stack.is_in_user_code for stack in stacks):
            return Reading(self.language, tuple(stacks), hints_of(stacks, self.language))
        script = _path(script_argument(facts.argv) or "", facts)
        hints = (PlaceHint(script, 1, None, 0.4, "the script that it runs"),) if script else ()
        return Reading(self.language, hints=hints, notes=(note,) if note else ())


def _look(facts: ProcessFacts) -> StackSnapshot:
    pid = facts.key.pid
    libraries = [
        mapped.path
        for mapped in mappings(pid)
        if mapped.offset == 0 and os.path.basename(mapped.path).startswith(("perl", "libperl"))
    ]
    addresses: dict[str, int] = {}
    for library in libraries:
        addresses = addresses or symbol_addresses(pid, library, _SYMBOLS + _REGEX_SYMBOLS)
    if not addresses.keys() >= set(_SYMBOLS):
        raise UnreadableError("it does not export its interpreter")
    with ProcessMemory(pid) as memory:
        perl = _Perl(memory, addresses)
        calls = list(perl.calls())
        variables = perl.variables()
        operation, function = perl.operation()
    stat = procfs.read_stat(pid)
    return StackSnapshot(
        tid=pid,
        frames=tuple(_frame(call, facts) for call in calls),
        state_hash=hash((variables, tuple(calls[1:]))) if variables else None,
        is_running=stat.state == "R" if stat else None,
        native_leaf="regex" if function in map(addresses.get, _REGEX_SYMBOLS) else None,
        instruction=operation,
    )


class _Perl:
    def __init__(self, memory: ProcessMemory, addresses: dict[str, int]) -> None:
        self._memory = memory
        self._statement_functions = {
            addresses["Perl_pp_nextstate"],
            addresses["Perl_pp_dbstate"],
        }
        self._interpreter = memory.pointer(addresses["PL_curinterp"])

    def calls(self) -> Iterator[_Call]:
        """Innermost first."""
        current, stack_info = self._current()
        at = self._statement(current)
        loops: list[_Statement] = []
        n_calls = n_contexts = 0
        while stack_info and n_calls < MAX_FRAMES:
            _, contexts, outer_info, _, innermost = self._memory.unpack(_STACKINFO, stack_info)
            size = self._context_size(contexts, innermost)
            for index in range(innermost, -1, -1):
                n_contexts += 1
                if n_contexts > MAX_CONTEXTS:
                    break
                kind, op = self._context(contexts + index * size)
                if kind not in (*_LOOPS, *_SUBROUTINES, _EVAL) or (not self._is_statement(op)):
                    continue
                outer = self._statement(op)
                if kind in _LOOPS:
                    loops.append(outer)
                elif kind in _SUBROUTINES or outer.file != at.file:
                    yield _Call(at, tuple(loops))
                    n_calls += 1
                    at, loops = outer, []
            stack_info = outer_info
        yield _Call(at, tuple(loops))

    def operation(self) -> tuple[int, int | None]:
        """The one that runs, and the function that does it."""
        operation = self._memory.pointer(self._interpreter + 8 * _OPERATION_INDEX)
        try:
            return operation, self._memory.pointer(operation + _OP_FUNCTION)
        except UnreadableError:
            return operation, None

    def variables(self) -> tuple[object, ...]:
        """The values of the lexical variables of the subroutine that runs; () when they are not
        found."""
        words = self._memory.unpack(f"={N_INTERPRETER_WORDS}Q", self._interpreter)
        pad = words[_PAD_INDEX]
        for word in words[_PAD_INDEX + 1 :]:
            with contextlib.suppress(UnreadableError):
                body, _, flags, first = self._memory.unpack(_SV, word)
                if flags & _TYPE == _ARRAY_TYPE and first == pad:
                    n_variables = min(self._memory.pointer(body + _LENGTH) + 1, MAX_VARIABLES)
                    variables = self._memory.unpack(f"={n_variables}Q", pad)
                    return tuple(map(self._value, filter(None, variables[1:])))
        return ()

    def _value(self, variable: int) -> object:
        try:
            body, _, flags, value = self._memory.unpack(_SV, variable)
            kind = flags & _TYPE
            if flags & _IS_TEMPORARY:
                return None
            if kind in (_ARRAY_TYPE, _HASH_TYPE):
                return self._memory.pointer(body + _LENGTH)  # how much it holds
            if flags & _IS_REFERENCE or kind < _TEXT_TYPE:
                return value
            found: list[object] = []
            if flags & _IS_TEXT:
                n_bytes = min(self._memory.pointer(body + _LENGTH), MAX_TEXT_BYTES)
                found += [self._memory.pointer(body + _LENGTH), self._memory.read(value, n_bytes)]
            if flags & _IS_INTEGER and kind > _TEXT_TYPE:
                found.append(self._memory.pointer(body + _INTEGER))
            if flags & _IS_NUMBER and kind > _TEXT_TYPE:
                found.append(self._memory.pointer(body + _NUMBER))
            if kind >= _HAS_MAGIC_TYPE:
                found.append(self._position(self._memory.pointer(body + _MAGIC)))
            return tuple(found)
        except UnreadableError:
            return None

    def _position(self, magic: int) -> int | None:
        """Where the last match in a text ended."""
        if not magic or self._memory.read(magic + _MAGIC_TYPE, 1)[0] != _POSITION_MAGIC:
            return None
        return self._memory.pointer(magic + _MAGIC_LENGTH)

    def _context(self, address: int) -> tuple[int, int]:
        """Its kind, and the statement outside of it."""
        kind = self._memory.read(address, 1)[0] & 0xF
        return kind, self._memory.pointer(address + _CONTEXT_OUTER)

    def _context_size(self, contexts: int, innermost: int) -> int:
        """That with which each of the contexts, but the first one, begins in a statement."""
        for size in _CONTEXT_SIZES:
            with contextlib.suppress(UnreadableError):
                if all(
                    self._has_form(contexts + index * size)
                    for index in range(1, min(innermost, 8) + 1)
                ):
                    return size
        raise UnreadableError("its contexts have another form")

    def _has_form(self, context: int) -> bool:
        kind, op = self._context(context)
        return kind == _SUBSTITUTION or self._is_statement(op)

    def _current(self) -> tuple[int, int]:
        """The statement that runs and the innermost stack's info: a pointer to a statement, then
        the stack, then an info that has the same stack."""
        words = self._memory.unpack(f"={N_INTERPRETER_WORDS}Q", self._interpreter)
        for statement, stack, info in zip(words, words[1:], words[2:], strict=False):
            try:
                if self._memory.pointer(info) == stack and self._is_statement(statement):
                    return statement, info
            except UnreadableError:
                continue
        raise UnreadableError("its interpreter has another form")

    def _is_statement(self, op: int) -> bool:
        return self._memory.pointer(op + _OP_FUNCTION) in self._statement_functions

    def _statement(self, op: int) -> _Statement:
        line = self._memory.unpack("=I", op + _COP_LINE)[0]
        name = self._memory.string(self._memory.pointer(op + _COP_FILE))
        return _Statement(name.decode("utf-8", "backslashreplace"), line)


def _frame(call: _Call, facts: ProcessFacts) -> StackFrame:
    path = _path(call.at.file, facts)
    if path is None:
        return StackFrame("", None, None, is_user_code=False)
    lines = read_lines(path)
    line = min(call.at.line, len(lines))
    loops = tuple(
        (loop.line, max(line, _end_of_block(lines, loop.line)))
        for loop in call.loops
        if loop.file == call.at.file and loop.line <= line
    )
    return StackFrame(_function_at(lines, line), path, line, is_user_code=True, loops=loops)


def _path(file: str, facts: ProcessFacts) -> str | None:
    """The user's file of that name; None for evals, one-liners and installed modules."""
    path = resolve(file, facts.cwd)
    return path if is_user_file(path) else None


def _function_at(lines: list[str], line: int) -> str:
    """The last named subroutine that begins before `line` and has not ended; else main."""
    for first in range(line, 0, -1):
        match = _SUB.match(lines[first - 1])
        if match is not None:
            return match[1] if _end_of_block(lines, first) >= line else "main"
    return "main"


def _end_of_block(lines: list[str], first: int) -> int:
    """The line on which the block is closed that begins on line `first` or after it, by the
    indentation of its closing brace; `first` where there is none."""
    indent = re.match(r"\s*", lines[first - 1])
    closing = re.compile(rf"{indent[0] if indent else ''}\}}")
    for number in range(first + 1, len(lines) + 1):
        if closing.match(lines[number - 1]):
            return number
    return first
