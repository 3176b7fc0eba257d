"""The process in which probe source is compiled and loaded on trial. Nothing is attached.

    python -m linnix_ls.playground.check_worker RESULT_FD

LLVM may abort here, libbcc may exit, the verifier may take long: that ends this process and
nothing else. The request is a JSON object on stdin (`checker.Request`); what is known so far
leaves as JSON lines on RESULT_FD, so that of a process that dies is known where. Compilers print
to stderr, which whoever started this reads as well. Programs that load are let go at the end.
What this process may do is in `sandbox`; it is confined before it sees any source.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from linnix_ls import capabilities
from linnix_ls.errors import TracerUnavailable
from linnix_ls.playground import own_names, policy, sandbox
from linnix_ls.playground.context_reads import furthest_read
from linnix_ls.playground.dialect import Dialect, numbered
from linnix_ls.playground.policy import (
    KPROBE,
    MODIFY_RETURN,
    PERF_EVENT,
    RAW_TRACEPOINT,
    TRACEPOINT,
    TRACING,
)
from linnix_ls.tracer import bpf_syscall, needed_types
from linnix_ls.tracer.bcc_compiler import import_bcc

if TYPE_CHECKING:
    from linnix_ls.playground.libbpf import Libbpf

CPU_LIMIT_S = 20
MEMORY_LIMIT_BYTES = 4 << 30  # of addresses: LLVM maps much more than it uses
OUTPUT_LIMIT_BYTES = 16 << 20
LOG_BYTES = 1 << 20
# What is left over in a program does no harm, and real tools are full of it.
WARNINGS = (
    "-Wall",
    *(f"-Wno-unused-{what}" for what in ("function", "variable", "but-set-variable")),
)

# By how BCC calls functions that it attaches by itself.
_BCC_PREFIXES = {
    "tracepoint__": TRACEPOINT,
    "raw_tracepoint__": RAW_TRACEPOINT,
    "kprobe__": KPROBE,
    "kretprobe__": KPROBE,
    "kfunc__": TRACING,
    "kretfunc__": TRACING,
    # Those that policy refuses, whichever macro made them.
    "lsm__": 29,
    "kmod_ret__": MODIFY_RETURN,
}
# And by the context that the others take.
_BCC_CONTEXTS = {
    "bpf_perf_event_data": PERF_EVENT,
    "bpf_raw_tracepoint_args": RAW_TRACEPOINT,
    "pt_regs": KPROBE,
    # Those that policy refuses.
    "xdp_md": 6,
    "__sk_buff": 3,
    "bpf_sock_ops": 13,
}
# enum bpf_attach_type: BPF_TRACE_FENTRY, BPF_TRACE_FEXIT
_TRAMPOLINES = {"kfunc__": 24, "kretfunc__": 25}

_DEBUG_SOURCE = 8  # prints the program with the source line of each instruction
# What clang says where a type is not there, or only its name.
_OF_A_TYPE = re.compile(
    r"(?:error|warning): .*(?:unknown type|incomplete|undeclared|no member|not be visible"
    r"|implicit|forward|must use)"
)

Tell = Callable[..., None]


def main() -> None:
    """Check what stdin says, and tell."""
    limit()
    request = json.load(sys.stdin)
    is_bcc = request["dialect"] == Dialect.BCC
    result = open(int(sys.argv[1]), "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115 - for our whole life

    def tell(**fields: Any) -> None:
        print(json.dumps(fields), file=result, flush=True)

    try:
        # Libraries first, from wherever they are: they are ours.
        library = import_bcc() if is_bcc else _import_libbpf()
    except TracerUnavailable as error:
        tell(missing=[error.message, error.fix])
        return
    user = sandbox.User(*request["user"]) if request["user"] else None
    own = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]))
    sandbox.confine(user, (*own, request["headers"], *request["include"]))
    tell(stage="compile")
    (_check_bcc if is_bcc else _check_libbpf)(library, request, tell)
    tell(stage="done")
    # Not through the destructors of libraries that we do not know.
    os._exit(0)


def _import_libbpf() -> Libbpf:
    """With clang, which compiles for it."""
    fix = "apt-get install clang libbpf-dev   (Fedora: clang libbpf-devel)"
    if shutil.which("clang") is None:
        raise TracerUnavailable(
            "clang, which compiles probes of libbpf's dialect, is not installed",
            fix=fix,
            cause="no_clang",
        )
    try:
        library: Libbpf = _libbpf().Libbpf()
    except OSError as error:
        raise TracerUnavailable(
            f"libbpf is not there: {error}", fix=fix, cause="no_libbpf"
        ) from error
    return library


def _libbpf() -> ModuleType:
    """With what reads ELF files, for which BCC's dialect need not wait."""
    return importlib.import_module("linnix_ls.playground.libbpf")


def limit() -> None:
    # An agent is in more of a hurry than a compiler need be.
    os.setpriority(os.PRIO_PROCESS, 0, max(0, os.getpriority(os.PRIO_PROCESS, 0)))
    for what, limit in (
        (resource.RLIMIT_CPU, CPU_LIMIT_S),
        (resource.RLIMIT_AS, MEMORY_LIMIT_BYTES),
        (resource.RLIMIT_FSIZE, OUTPUT_LIMIT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (bound, bound))
    capabilities.allow_locked_memory()


def _check_bcc(bcc: Any, request: dict[str, Any], tell: Tell) -> None:
    lib = bcc.libbcc.lib
    try:
        module = _trial_module(bcc, request)
    except Exception as error:  # noqa: BLE001 - libbcc raises bare Exception; stderr says more
        tell(failed=str(error))
        return
    tell(maps=_bcc_maps(module, lib))
    for name, prog_type in bcc_programs(module, lib, request["contexts"]):
        tell(stage="load", name=name)
        code = module.dump_func(name.encode())
        told = _described(name, prog_type, code)
        if name.startswith("tracepoint__"):
            told["section"] = name.replace("__", "/", 2)
            told["furthest_read"] = furthest_read(code)
        if request["may_load"] and not told["refused"]:
            attach = _trampoline(lib, name)
            loaded = bpf_syscall.load(
                *(prog_type, code, lib.bpf_module_license(module.module), name.encode(), LOG_BYTES),
                attach=attach,
            )
            told |= {"errno": loaded.errno, "log": loaded.log}
        tell(program=told)


def _trampoline(lib: Any, name: str) -> tuple[int, int]:
    """What a program for a function of the kernel is loaded for: attach type and BTF id."""
    for prefix, kind in _TRAMPOLINES.items():
        if name.startswith(prefix):
            function = name.removeprefix(prefix).removeprefix("vmlinux__")
            return kind, max(0, lib.libbpf_find_vmlinux_btf_id(function.encode(), kind))
    return 0, 0


def _trial_module(bcc: Any, request: dict[str, Any]) -> Any:
    """Compiled with the few types that it seems to need; with all of them if that leads to
    complaints that the lack of one may be the reason of."""
    text = numbered(request["source"])
    failure: Exception | None = None
    try:
        module = bcc_module(bcc, text, request, _DEBUG_SOURCE, has_all_types=False)
    except Exception as error:  # noqa: BLE001 - libbcc raises bare Exception; stderr says more
        failure = error
    said = os.pread(sys.stderr.fileno(), OUTPUT_LIMIT_BYTES, 0).decode(errors="replace")
    if not _OF_A_TYPE.search(said):
        if failure:
            raise failure
        return module
    os.ftruncate(sys.stderr.fileno(), 0)
    os.lseek(sys.stderr.fileno(), 0, os.SEEK_SET)
    return bcc_module(bcc, text, request, _DEBUG_SOURCE)


def bcc_module(
    bcc: Any, text: str, request: dict[str, Any], debug: int = 0, *, has_all_types: bool = True
) -> Any:
    """BCC's module of a source: compiled, its maps made, nothing loaded and nothing attached."""
    os.environ["BCC_KERNEL_SOURCE"] = request["headers"]

    class Module(bcc.BPF):  # type: ignore[misc]
        def _trace_autoload(self) -> None:
            """Else it would load and attach what it knows by name."""

    flags = [*(f"-I{folder}" for folder in request["include"]), *WARNINGS]
    with _kernel_types(request, is_whole=has_all_types) as types:
        return Module(text=text, debug=debug, cflags=flags + types)


@contextmanager
def _kernel_types(request: dict[str, Any], *, is_whole: bool) -> Iterator[list[str]]:
    """Flags by which the header tree takes its types from elsewhere: only those that the source
    needs, and by other names where it has some of the same. They are in memory: nothing can be
    written here."""
    whole = Path(request["headers"], "include/linux/linnix_btf.h")
    if not whole.is_file():
        yield []
        return
    types = declarations = whole.read_text()
    folders = [Path(each) for each in request["include"]]
    if not is_whole and (place := needed_types.index_in(folders)):
        texts = [
            path.read_text(errors="replace")
            for folder in folders
            for path in folder.glob("*.h")
            if path.name != "vmlinux.h"
        ]
        index = needed_types.read_index(place)
        words = needed_types.words_of([request["source"], *texts])
        types = index.needed(declarations, words)
    types = own_names.renamed(types, request["source"]) or types
    if types is declarations:
        yield []
        return
    fd = os.memfd_create("linnix-types")
    try:
        with open(fd, "w", closefd=False) as file:
            file.write(types)
        yield [f'-DLINNIX_TYPES="/proc/self/fd/{fd}"']
    finally:
        os.close(fd)


def _described(name: str, prog_type: int, code: bytes) -> dict[str, Any]:
    """What is known of a program before it is loaded, and whether it may be.

    ``refused``: (instruction, helper) of calls that policy refuses; (0, 0) for its whole type.
    """
    refused = list(policy.refused_calls(code))
    if policy.type_refused(prog_type):
        refused.append((0, 0))
    return {
        "name": name,
        "type": prog_type,
        "errno": 0,
        "log": "",
        "n_instructions": len(code) // 8,
        "helpers": sorted(bpf_syscall.helpers_in(code)),
        "refused": refused,
        "lines": [],
    }


def _bcc_maps(module: Any, lib: Any) -> list[tuple[str, int, int, int, int]]:
    lib.bpf_table_name.restype = ctypes.c_char_p  # the binding has no use for it, and no types
    lib.bpf_table_name.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return [
        (
            os.fsdecode(lib.bpf_table_name(module.module, index)),
            lib.bpf_table_type_id(module.module, index),
            lib.bpf_table_key_size_id(module.module, index),
            lib.bpf_table_leaf_size_id(module.module, index),
            lib.bpf_table_max_entries_id(module.module, index),
        )
        for index in range(lib.bpf_num_tables(module.module))
    ]


def bcc_programs(module: Any, lib: Any, contexts: dict[str, str]) -> Iterator[tuple[str, int]]:
    for index in range(lib.bpf_num_functions(module.module)):
        name = os.fsdecode(lib.bpf_function_name(module.module, index))
        known = next(
            (kind for prefix, kind in _BCC_PREFIXES.items() if name.startswith(prefix)), None
        )
        yield name, known or _BCC_CONTEXTS.get(contexts.get(name, ""), TRACEPOINT)


def _check_libbpf(library: Libbpf, request: dict[str, Any], tell: Tell) -> None:
    compiled = compiled_object(request)
    if compiled.returncode:
        tell(failed="clang", status=compiled.returncode)
        return
    try:
        with library.open(compiled.stdout) as opened:
            programs, maps = opened.programs(), opened.maps()
    except OSError as error:  # it has said why
        tell(failed=f"libbpf: {error.strerror}")
        return
    tell(maps=maps)
    if (
        sum(policy.MapSize(*each).n_bytes(os.cpu_count() or 1) for each in maps)
        > policy.MAX_MAP_BYTES
    ):
        return
    lines = _libbpf().line_table(compiled.stdout)
    is_refused = False
    for name, code in _libbpf().shared_functions(compiled.stdout).items():
        # Not in the bytecode of the programs that call them before libbpf has put it there.
        if any(policy.refused_calls(code)):
            is_refused = True
            tell(program=_described(name, TRACEPOINT, code) | {"lines": lines.get(name, [])})
    if is_refused:
        return
    for program in programs:
        tell(stage="load", name=program.name)
        told = _described(program.name, program.type, program.code)
        told |= {
            "section": program.section,
            "lines": lines.get(program.name, []),
            "furthest_read": furthest_read(program.code),
        }
        if request["may_load"] and not told["refused"]:
            number, log = library.load_alone(compiled.stdout, program.name, LOG_BYTES)
            told |= {"errno": number, "log": log}
        tell(program=told)


def compiled_object(request: dict[str, Any]) -> subprocess.CompletedProcess[bytes]:
    """clang's run over a source of libbpf's dialect; the object file is its stdout."""
    return subprocess.run(
        [
            *("clang", "-target", "bpf", "-g", "-O2", "-x", "c", "-c", "-o", "-"),
            *WARNINGS,
            *("-fno-crash-diagnostics", "-fno-color-diagnostics"),
            *(f"-I{folder}" for folder in request["include"]),
            # Where Debian keeps asm/types.h, which linux/bpf.h includes; not there for BPF.
            *("-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"),
            f"-D__TARGET_ARCH_{_libbpf_architecture()}",
            # By it the C library's headers (stdint.h) know that this is no 32-bit machine.
            f"-D__{os.uname().machine}__",
            "-",
        ],
        input=f'#line 1 "{request["name"]}"\n{request["source"]}'.encode(errors="surrogateescape"),
        stdout=subprocess.PIPE,
        check=False,
    )


def _libbpf_architecture() -> str:
    machine = os.uname().machine
    return {"x86_64": "x86", "aarch64": "arm64", "ppc64le": "powerpc", "s390x": "s390"}.get(
        machine, machine
    )


if __name__ == "__main__":
    # What is in the folder that we were started in is no module of ours.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    main()
