"""ELF files as they are, and as they should not be."""

import os
import random
import struct
import subprocess
import time

import pytest

from linnix_ls.locate import elf


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Of some lines, with its debug information compressed."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "a.c").write_text("int f(int n)\n{\n    return n * 2;\n}\n")
    flags = ("-shared", "-fPIC", "-g", "-gz", "-fno-asynchronous-unwind-tables")
    subprocess.run(["cc", *flags, "-o", "liba.so", "a.c"], cwd=folder, check=True)
    return folder / "liba.so"


def read_all(path):
    """All that can be asked of a file; [] where it is malformed."""
    try:
        with elf.open_file(str(path)) as file:
            return [
                elf.file_segments(file),
                elf.has_section(file, ".debug_addr"),
                elf.read_section(file, ".debug_info", 1 << 20),
            ]
    except elf.MalformedError:
        return []


def section_by_objcopy(path, name):
    out = path.with_suffix(name)
    command = ["objcopy", "--decompress-debug-sections", f"--dump-section={name}={out}", path]
    subprocess.run([*command, os.devnull], check=True)
    return out.read_bytes()


def test_sections_are_read_and_decompressed(library):
    with elf.open_file(str(library)) as file:
        assert elf.has_section(file, ".text")
        assert not elf.has_section(file, ".tex")
        section = elf.read_section(file, ".debug_info", 1 << 20)
        assert section.content == section_by_objcopy(library, ".debug_info")
        assert elf.read_section(file, ".debug_info", 8).content == b""
        assert elf.read_section(file, ".eh_frame", 1 << 20).address > 0


def test_segments_are_those_of_readelf(library):
    command = ["readelf", "--program-headers", "--wide", library]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loaded = [line.split() for line in out.splitlines() if line.split()[:1] == ["LOAD"]]
    with elf.open_file(str(library)) as file:
        found = [segment for segment in elf.file_segments(file) if segment.kind == 1]
    expected = [tuple(int(words[n], 16) for n in (1, 2, 4)) for words in loaded]
    assert [(s.offset, s.address, s.size) for s in found] == expected


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(90), bytes(4096)])
def test_what_is_no_elf_file_of_ours_is_malformed(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert read_all(tmp_path / "file") == []


def test_what_is_no_file_is_malformed(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "none", "/dev/zero", "\0"):
        assert read_all(path) == []


def test_a_file_of_any_bytes_is_read_in_no_time(library, tmp_path):
    chance = random.Random(5)
    original = library.read_bytes()
    began = time.process_time()
    for _ in range(300):
        content = bytearray(original)
        for _ in range(1 + chance.randrange(8)):
            content[chance.randrange(64)] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        table = struct.unpack_from("<Q", content, 40)[0]
        if table < len(content) - 64:
            for _ in range(chance.randrange(20)):
                content[chance.randrange(table, len(content))] = chance.choice((0, 0xFF))
        path = tmp_path / "odd"
        path.write_bytes(content)
        os.truncate(path, 1 << 40)  # however far its offsets point, there is something
        read_all(path)
    assert time.process_time() - began < 10
