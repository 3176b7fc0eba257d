"""Writes `wire.py` from bpf/events.h: ``python -m linnix_ls.tracer.generate_wire``.

The header is compiled with type information (BTF) and read back with bpftool, so what the
compiler laid out is what Python gets. Needs gcc >= 12 or clang, and bpftool. A test compares
the committed file with a fresh one where those exist, and the header's hash everywhere.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from linnix_ls.tracer.bpf_source import bpf_dir
from linnix_ls.tracer.kernel_headers import find_bpftool

_HEAD = '''\
"""Generated from bpf/events.h by `python -m linnix_ls.tracer.generate_wire`. Do not edit."""

from __future__ import annotations

import ctypes
import enum

EVENTS_H_SHA256 = "{digest}"
'''

_INTEGERS = {(1, False): "c_uint8", (2, False): "c_uint16", (4, False): "c_uint32"}
_INTEGERS |= {(8, False): "c_uint64", (1, True): "c_char"}

_CHECK_C = """\
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
#include "events.h"
"""


def events_h_digest() -> str:
    """The hash that ties wire.py to its header."""
    return hashlib.sha256((bpf_dir() / "events.h").read_bytes()).hexdigest()


def generate() -> str:
    """The text of wire.py.

    Raises:
        RuntimeError: no compiler that emits BTF, or no bpftool.
    """
    types = {int(t["id"]): t for t in _btf()}
    lines = [_HEAD.format(digest=events_h_digest())]
    for entry in types.values():
        if entry["kind"] == "ENUM":
            lines += _enum(entry)
    for entry in types.values():
        if entry["kind"] == "STRUCT":
            lines += _struct(entry, types)
    return "\n".join(lines).rstrip("\n") + "\n"


def _btf() -> list[dict[str, Any]]:
    bpftool = find_bpftool()
    if bpftool is None:
        raise RuntimeError("bpftool is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        source, compiled = Path(scratch, "wire.c"), Path(scratch, "wire.o")
        instances = [
            f"struct {name} {name};" for name in _names("struct") if not name.startswith("_")
        ] + [f"enum {name} {name};" for name in _names("enum")]
        source.write_text(_CHECK_C + "\n".join(instances) + "\n")
        for command in (["clang", "-target", "bpf", "-g"], ["gcc", "-gbtf"]):
            if shutil.which(command[0]) is None:
                continue
            done = subprocess.run(
                [*command, "-c", f"-I{bpf_dir()}", "-o", str(compiled), str(source)],
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                dump = subprocess.run(
                    [bpftool, "-j", "btf", "dump", "file", str(compiled)],
                    capture_output=True,
                    check=True,
                )
                entries: list[dict[str, Any]] = json.loads(dump.stdout)["types"]
                return entries
    raise RuntimeError("neither clang nor a gcc that knows -gbtf (12 and later) is installed")


def _names(keyword: str) -> list[str]:
    text = (bpf_dir() / "events.h").read_text()
    return [
        line.split()[1]
        for line in text.splitlines()
        if line.startswith(f"{keyword} ") and line.endswith("{")
    ]


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _enum(entry: dict[str, Any]) -> list[str]:
    members = [f"    {value['name']} = {value['val']}" for value in entry["values"]]
    return ["", f"class {_camel(entry['name'])}(enum.IntEnum):", *members, ""]


def _struct(entry: dict[str, Any], types: dict[int, dict[str, Any]]) -> list[str]:
    fields = [
        f'        ("{member["name"]}", {_ctype(types[member["type_id"]], types)}),'
        for member in entry["members"]
    ]
    return [
        "",
        f"class {_camel(entry['name'])}(ctypes.Structure):",
        "    _fields_ = (",
        *fields,
        "    )",
        "",
        "",
        f"assert ctypes.sizeof({_camel(entry['name'])}) == {entry['size']}",
        "",
    ]


def _ctype(entry: dict[str, Any], types: dict[int, dict[str, Any]]) -> str:
    kind = entry["kind"]
    if kind == "TYPEDEF":
        return _ctype(types[entry["type_id"]], types)
    if kind == "ARRAY":
        element = types[entry["type_id"]]
        # char[N] and not __u8[N]: text
        is_text = element["kind"] == "INT" and element["name"] == "char"
        name = "ctypes.c_char" if is_text else _ctype(element, types)
        return f"{name} * {entry['nr_elems']}"
    if kind == "STRUCT":
        return _camel(entry["name"])
    return f"ctypes.{_INTEGERS[entry['size'], False]}"


if __name__ == "__main__":
    Path(__file__).with_name("wire.py").write_text(generate())
