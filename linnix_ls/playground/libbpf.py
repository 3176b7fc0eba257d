"""What is needed of libbpf.so.1, and the line table of an object file; only for workers."""

from __future__ import annotations

import ctypes
import ctypes.util
import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from elftools.elf.elffile import ELFFile


class ProgramInfo(NamedTuple):
    """One program of an object."""

    name: str
    section: str
    type: int
    code: bytes


class _OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts of libbpf.h."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("object_name", ctypes.c_char_p),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", ctypes.c_char_p),
        ("removed", ctypes.c_uint32),
        ("kconfig", ctypes.c_char_p),
        ("btf_custom_path", ctypes.c_char_p),
    )


# The kernel's own types. Named, they are all that libbpf looks through: for a type that is not
# among them it would go on to those of modules, which takes more privilege than a worker has, and
# older releases fail there where they should only say that there is none.
_OPEN_OPTIONS = _OpenOptions(
    sz=ctypes.sizeof(_OpenOptions), btf_custom_path=b"/sys/kernel/btf/vmlinux"
)


class _Object:
    def __init__(self, lib: ctypes.CDLL, handle: int) -> None:
        self.lib = lib
        self.handle = handle

    def pointers(self) -> Iterator[int]:
        program = self.lib.bpf_object__next_program(self.handle, None)
        while program:
            yield program
            program = self.lib.bpf_object__next_program(self.handle, program)

    def programs(self) -> list[ProgramInfo]:
        return [
            ProgramInfo(
                os.fsdecode(self.lib.bpf_program__name(each)),
                os.fsdecode(self.lib.bpf_program__section_name(each)),
                self.lib.bpf_program__type(each),
                ctypes.string_at(
                    self.lib.bpf_program__insns(each), self.lib.bpf_program__insn_cnt(each) * 8
                ),
            )
            for each in self.pointers()
        ]

    def maps(self) -> list[tuple[str, int, int, int, int]]:
        """Name, type, sizes of key and value, entries; but for those that hold global variables."""
        found = []
        each = self.lib.bpf_object__next_map(self.handle, None)
        while each:
            if not self.lib.bpf_map__is_internal(each):
                found.append(
                    (
                        os.fsdecode(self.lib.bpf_map__name(each)),
                        self.lib.bpf_map__type(each),
                        self.lib.bpf_map__key_size(each),
                        self.lib.bpf_map__value_size(each),
                        self.lib.bpf_map__max_entries(each),
                    )
                )
            each = self.lib.bpf_object__next_map(self.handle, each)
        return found

    def load(self) -> None:
        """All its maps and programs.

        Raises:
            OSError: one is refused.
        """
        if error := -self.lib.bpf_object__load(self.handle):
            raise OSError(error, os.strerror(error))

    def loaded_programs(self) -> list[tuple[ProgramInfo, int]]:
        """With their bytecode as the kernel got it, and their file descriptors."""
        fds = [self.lib.bpf_program__fd(each) for each in self.pointers()]
        return list(zip(self.programs(), fds, strict=True))

    def unload_programs(self) -> None:
        """Let them go; the maps stay."""
        for each in self.pointers():
            self.lib.bpf_program__unload(each)

    def loaded_maps(self) -> list[tuple[str, int, int, int, int, int, int]]:
        """As `maps`, with flags and file descriptor."""
        found = []
        by_name = {each[0]: each for each in self.maps()}
        for name, facts in by_name.items():
            each = self.lib.bpf_object__find_map_by_name(self.handle, os.fsencode(name))
            flags, fd = self.lib.bpf_map__map_flags(each), self.lib.bpf_map__fd(each)
            found.append((*facts, flags, fd))
        return found


class Libbpf:
    """The library.

    Raises:
        OSError: it is not installed.
    """

    def __init__(self) -> None:
        lib = self._lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        lib.bpf_object__open_mem.restype = pointer
        lib.bpf_object__open_mem.argtypes = [text, ctypes.c_size_t, pointer]
        lib.bpf_object__next_program.restype = pointer
        lib.bpf_object__next_program.argtypes = [pointer, pointer]
        lib.bpf_object__next_map.restype = pointer
        lib.bpf_object__next_map.argtypes = [pointer, pointer]
        lib.bpf_map__name.restype = text
        lib.bpf_map__is_internal.restype = ctypes.c_bool
        for name in "name type key_size value_size max_entries is_internal map_flags fd".split():
            getattr(lib, f"bpf_map__{name}").argtypes = [pointer]
        lib.bpf_object__find_map_by_name.restype = pointer
        lib.bpf_object__find_map_by_name.argtypes = [pointer, text]
        lib.bpf_program__fd.argtypes = [pointer]
        lib.bpf_program__unload.argtypes = [pointer]
        lib.bpf_object__load.argtypes = [pointer]
        lib.bpf_object__close.argtypes = [pointer]
        for name in ("name", "section_name"):
            function = getattr(lib, f"bpf_program__{name}")
            function.restype, function.argtypes = text, [pointer]
        lib.bpf_program__type.argtypes = [pointer]
        lib.bpf_program__set_autoload.argtypes = [pointer, ctypes.c_bool]
        lib.bpf_program__set_log_buf.argtypes = [pointer, text, ctypes.c_size_t]
        lib.bpf_program__insns.restype = pointer
        lib.bpf_program__insns.argtypes = [pointer]
        lib.bpf_program__insn_cnt.restype = ctypes.c_size_t
        lib.bpf_program__insn_cnt.argtypes = [pointer]
        lib.libbpf_get_error.restype = ctypes.c_long
        lib.libbpf_get_error.argtypes = [pointer]

    @contextmanager
    def open(self, content: bytes) -> Iterator[_Object]:
        """An object file's content, opened, not loaded.

        Raises:
            OSError: libbpf cannot read it; it has said why on stderr.
        """
        opened = self.open_for_life(content)
        try:
            yield opened
        finally:
            self._lib.bpf_object__close(opened.handle)

    def open_for_life(self, content: bytes) -> _Object:
        """The same, never closed."""
        handle = self._lib.bpf_object__open_mem(content, len(content), ctypes.byref(_OPEN_OPTIONS))
        if not handle:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return _Object(self._lib, handle)

    def load_alone(self, content: bytes, name: str, log_bytes: int) -> tuple[int, str]:
        """Load this program and no other of the object.

        Returns the errno (0 if it loads) and the verifier's log.
        """
        log = ctypes.create_string_buffer(log_bytes)
        with self.open(content) as opened:
            for program in opened.pointers():
                is_wanted = os.fsdecode(self._lib.bpf_program__name(program)) == name
                self._lib.bpf_program__set_autoload(program, is_wanted)
                if is_wanted:
                    self._lib.bpf_program__set_log_buf(program, log, log_bytes)
            error = -self._lib.bpf_object__load(opened.handle)
            return error, os.fsdecode(log.value)


def shared_functions(content: bytes) -> dict[str, bytes]:
    """The bytecode of the functions that are no programs, but called by some."""
    elf: Any = ELFFile(io.BytesIO(content))
    symbols = elf.get_section_by_name(".symtab")
    code = elf.get_section_by_name(".text")
    if not (symbols and code):
        return {}
    number = elf.get_section_index(".text")
    return {
        symbol.name: code.data()[symbol["st_value"] :][: symbol["st_size"]]
        for symbol in symbols.iter_symbols()
        if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] == number
    }


def line_table(content: bytes) -> dict[str, list[tuple[int, str, int, int]]]:
    """Of each program: (instruction, file, line, column), by instruction.

    Source: Documentation/bpf/btf.rst (.BTF.ext). Empty where the object has none.
    """
    elf: Any = ELFFile(io.BytesIO(content))  # what it is typed as knows no symbols
    btf, extended = elf.get_section_by_name(".BTF"), elf.get_section_by_name(".BTF.ext")
    symbols = elf.get_section_by_name(".symtab")
    if not (btf and extended and symbols):
        return {}
    functions: dict[str, list[tuple[int, int, str]]] = {}
    for symbol in symbols.iter_symbols():
        section = symbol["st_shndx"]
        if symbol["st_info"]["type"] == "STT_FUNC" and isinstance(section, int):
            where = elf.get_section(section).name
            functions.setdefault(where, []).append(
                (symbol["st_value"], symbol["st_size"], symbol.name)
            )
    header = btf.data()
    strings_at, strings_len = struct.unpack_from("<II", header, 16)
    (btf_header_len,) = struct.unpack_from("<I", header, 4)
    strings = header[btf_header_len + strings_at :][:strings_len]

    def text(offset: int) -> str:
        return os.fsdecode(strings[offset : strings.index(b"\0", offset)])

    data = extended.data()
    header_len, _, _, line_at, line_len = struct.unpack_from("<IIIII", data, 4)
    block = data[header_len + line_at :][:line_len]
    if not block:
        return {}
    (record_size,) = struct.unpack_from("<I", block, 0)
    at = 4
    table: dict[str, list[tuple[int, str, int, int]]] = {}
    while at < len(block):
        name_at, count = struct.unpack_from("<II", block, at)
        at += 8
        for _ in range(count):
            offset, file_at, _, position = struct.unpack_from("<IIII", block, at)
            at += record_size
            for start, size, name in functions.get(text(name_at), []):
                if start <= offset < start + size:
                    row = ((offset - start) // 8, text(file_at), position >> 10, position & 0x3FF)
                    table.setdefault(name, []).append(row)
    return table
