"""Probes compiled by BCC, into a product that others load.

libbcc may abort (LLVM), exit (on a type it does not know) or print to any stream, and it keeps a
hundred megabytes: this is for a process that is there for nothing else, and ends when it is done
(`bcc_worker.made_by_a_child`). Not here: loading (`bcc_worker`), keeping (`kept_products`).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from linnix_ls.errors import TracerUnavailable
from linnix_ls.tracer import bpf_syscall
from linnix_ls.tracer.product import (
    PERF_EVENT,
    RAW_TRACEPOINT,
    TRACEPOINT,
    Map,
    Product,
    Program,
    describe,
    with_maps,
)

_DISTRIBUTION_FOLDERS = (
    "/usr/lib/python3/dist-packages",  # Debian, Ubuntu
    *sorted(map(str, Path("/usr/lib").glob("python3.*/site-packages")), reverse=True),
    *sorted(map(str, Path("/usr/lib64").glob("python3.*/site-packages")), reverse=True),
)
_INSTALL_BCC = (
    "apt-get install python3-bpfcc   (Fedora: python3-bcc, Alpine: py3-bcc, Arch: python-bcc)"
)


def import_bcc() -> Any:
    """BCC's Python binding, from wherever the distribution put it.

    It is pure Python over libbcc, so any interpreter can use the copy that belongs to the
    system's python3. PyPI's `bcc` is an unrelated package and is passed over.

    Raises:
        TracerUnavailable: not installed, or only the unrelated package is.
    """
    found_wrong: str | None = None
    broken: Exception | None = None
    try:
        module = importlib.import_module("bcc")
        if hasattr(module, "BPF"):
            return module
        found_wrong = module.__file__  # None: an empty folder of that name
    except ModuleNotFoundError:
        pass
    except Exception as error:  # noqa: BLE001 - whatever package that is, it may do anything
        broken = error
    for folder in _DISTRIBUTION_FOLDERS:
        package = Path(folder, "bcc")
        if not (package / "libbcc.py").is_file():
            continue
        for name in [name for name in sys.modules if name.split(".")[0] == "bcc"]:
            del sys.modules[name]
        spec = importlib.util.spec_from_file_location(
            "bcc", package / "__init__.py", submodule_search_locations=[str(package)]
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["bcc"] = module
        try:
            spec.loader.exec_module(module)
        except (ImportError, OSError, AttributeError) as error:  # libbcc is missing, or another's
            broken = error
            continue
        return module
    if found_wrong:
        raise TracerUnavailable(
            f"the installed `bcc` ({found_wrong}) is PyPI's unrelated package of that name",
            fix=_INSTALL_BCC,
            cause="wrong_bcc",
        )
    if broken is not None:
        raise TracerUnavailable(
            f"BCC is installed, but does not load: {broken}",
            fix="apt-get install --reinstall python3-bpfcc libbpfcc",
            cause="no_bcc",
        )
    raise TracerUnavailable(
        "BCC's Python binding is not installed", fix=_INSTALL_BCC, cause="no_bcc"
    )


# What is attached by something else than its name.
_TYPES = {"on_cpu_clock": PERF_EVENT, "on_sys_exit": RAW_TRACEPOINT}
_PREFIXES = {"tracepoint__": TRACEPOINT, "raw_tracepoint__": RAW_TRACEPOINT}


class Table(NamedTuple):
    """A map that BCC has made, and what it knows of its layouts."""

    name: str
    fd: int
    key: type[Any] | None
    value: type[Any] | None


def compiled(bcc: Any, source: str, flags: Sequence[str]) -> Product:
    """Of one source; the environment says where BCC finds the kernel's headers.

    Raises:
        Exception: libbcc's own, which is bare, and says little: it prints the rest.
    """

    class Module(bcc.BPF):  # type: ignore[misc]
        def _trace_autoload(self) -> None:
            """Else it would load and attach what it knows by name."""

    module = Module(text=source, cflags=list(flags))
    lib = bcc.libbcc.lib
    tables = tables_of(module, lib)
    places = {table.fd: place for place, table in enumerate(tables)}
    names = [
        os.fsdecode(lib.bpf_function_name(module.module, index))
        for index in range(lib.bpf_num_functions(module.module))
    ]
    return Product(
        source,
        lib.bpf_module_license(module.module),
        tuple(
            Program(name, _type_of(name), with_maps(module.dump_func(name.encode()), places))
            for name in names
        ),
        tuple(map(_map, tables)),
        {
            number: os.fsdecode(name)
            for number, name in importlib.import_module("bcc.syscall").syscalls.items()
        },
    )


def _type_of(name: str) -> int:
    by_prefix = (kind for prefix, kind in _PREFIXES.items() if name.startswith(prefix))
    return _TYPES.get(name) or next(by_prefix, 0)


def _map(table: Table) -> Map:
    """By the kernel's word: BCC tells some sizes as the source has them."""
    info = bpf_syscall.map_info(table.fd)
    return Map(
        table.name,
        *(info.type, info.key_size, info.value_size, info.max_entries, info.map_flags),
        *(describe(table.key), describe(table.value)),
    )


def tables_of(module: Any, lib: Any) -> list[Table]:
    """All maps of a module that BCC has made."""
    lib.bpf_table_name.restype = ctypes.c_char_p  # the binding has no use for it, and no types
    lib.bpf_table_name.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    found = []
    for index in range(lib.bpf_num_tables(module.module)):
        name = lib.bpf_table_name(module.module, index)
        found.append(
            Table(
                os.fsdecode(name),
                lib.bpf_table_fd(module.module, name),
                _layout(
                    module,
                    lib.bpf_table_key_desc(module.module, name),
                    lib.bpf_table_key_size_id(module.module, index),
                ),
                _layout(
                    module,
                    lib.bpf_table_leaf_desc(module.module, name),
                    lib.bpf_table_leaf_size_id(module.module, index),
                ),
            )
        )
    return found


def _layout(module: Any, description: bytes | None, size: int) -> type[Any] | None:
    """None for a type that BCC's binding cannot express, and for one that contradicts the
    kernel."""
    with contextlib.suppress(Exception):
        layout: type[Any] = module._decode_table_type(json.loads(description or b""))  # noqa: SLF001
        if ctypes.sizeof(layout) == size:
            return layout
    return None
