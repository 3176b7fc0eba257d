"""bpf/events.h is the contract; `tracer.wire` must be what a compiler makes of it."""

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from linnix_ls.tracer import generate_wire, wire
from linnix_ls.tracer.bpf_source import bpf_dir
from linnix_ls.tracer.kernel_headers import find_bpftool

STRUCTS = {
    name: getattr(wire, "".join(part.capitalize() for part in name.split("_")))
    for name in re.findall(r"^struct (\w+) {", (bpf_dir() / "events.h").read_text(), re.MULTILINE)
}


def test_the_header_has_not_changed_since_wire_was_generated():
    assert generate_wire.events_h_digest() == wire.EVENTS_H_SHA256, "run `make generate`"


def test_every_structure_of_the_header_is_there():
    assert {"event_header", "fork_event", "exec_event", "exit_event", "sample_event"} <= set(
        STRUCTS
    )
    assert all(issubclass(structure, ctypes.Structure) for structure in STRUCTS.values())


def test_the_committed_file_is_what_the_generator_writes(tmp_path, monkeypatch):
    """By each compiler that can; where none can, the hash above has to do."""
    committed = Path(wire.__file__).read_text()
    for compiler in ("clang", "gcc"):
        if not _emits_btf(compiler, tmp_path) or find_bpftool() is None:
            continue
        alone = tmp_path / f"only-{compiler}"
        alone.mkdir()
        for program in (compiler, "as"):
            if path := shutil.which(program):
                (alone / program).symlink_to(path)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", str(alone))
            assert generate_wire.generate() == committed, f"{compiler}: run `make generate`"


def _emits_btf(compiler, folder):
    if shutil.which(compiler) is None:
        return False
    (folder / "x.c").write_text("int x;\n")
    flags = ["-target", "bpf", "-g"] if compiler == "clang" else ["-gbtf"]
    command = [compiler, *flags, "-c", "-o", folder / "x.o", folder / "x.c"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_without_bpftool_the_generator_says_so(monkeypatch):
    monkeypatch.setattr(generate_wire, "find_bpftool", lambda: None)
    with pytest.raises(RuntimeError, match="bpftool"):
        generate_wire.generate()


def test_without_a_compiler_the_generator_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(generate_wire, "find_bpftool", lambda: "/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="gcc"):
        generate_wire.generate()


def test_sizes_and_offsets_are_those_of_a_c_compiler(tmp_path):
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    lines = [
        f'printf("{name} {field} %zu\\n", offsetof(struct {name}, {field}));'
        for name, structure in STRUCTS.items()
        for field, *_ in structure._fields_
    ]
    lines += [f'printf("{name} size %zu\\n", sizeof(struct {name}));' for name in STRUCTS]
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/types.h>\n"
        '#include "events.h"\nint main(void) {\n' + "\n".join(lines) + "\nreturn 0; }\n"
    )
    subprocess.run([compiler, f"-I{bpf_dir()}", "-o", program, source], check=True)
    out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    in_python = [
        f"{name} {field} {getattr(structure, field).offset}"
        for name, structure in STRUCTS.items()
        for field, *_ in structure._fields_
    ]
    in_python += [f"{name} size {ctypes.sizeof(s)}" for name, s in STRUCTS.items()]
    assert out.splitlines() == in_python


@pytest.mark.parametrize("name", STRUCTS)
def test_structures_have_no_holes(name):
    """Padding is a named field: what the kernel side did not set would be its memory."""
    end = 0
    for field, *_ in STRUCTS[name]._fields_:
        descriptor = getattr(STRUCTS[name], field)
        assert descriptor.offset == end, f"a hole before {field}"
        end += descriptor.size
    assert end == ctypes.sizeof(STRUCTS[name])


def test_the_header_compiles_alone(tmp_path):
    """With nothing but the integer types: other languages may read it, too."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    (tmp_path / "x.c").write_text(generate_wire._CHECK_C)
    flags = ["-std=c11", "-Wall", "-Wpadded", "-Werror", "-fsyntax-only", f"-I{bpf_dir()}"]
    subprocess.run([compiler, *flags, tmp_path / "x.c"], check=True, cwd=os.sep)
