"""The process that holds an edit of the product's own probes, in place of `tracer.bcc_worker`,
which it is but for two things: it is confined as the user whose edit it is before it sees the
source, and what the compiler makes of it is checked before any of it is loaded.

    python -m linnix_ls.playground.own_worker FRAMES_FD

The first line of stdin is the request: source, headers, ring_pages, user.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from linnix_ls.errors import TracerUnavailable
from linnix_ls.playground import bpf_syscall, policy, sandbox
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.compiled import MAP_TYPES, RING_BUFFER, bcc_maps
from linnix_ls.playground.probe_worker import MAX_MAPS, MAX_PROGRAMS, limit, limit_no_more
from linnix_ls.tracer.bcc_worker import (
    NEEDED_MAPS,
    NEEDED_PROGRAMS,
    Frames,
    Probes,
    import_bcc,
    serve,
)
from linnix_ls.tracer.bpf_source import bpf_dir

_LONGEST_REQUEST = 8 << 20
# What BCC attaches by the names of programs, and a probe of the playground may not be.
_REFUSED_PREFIXES = ("lsm__", "kprobe__", "kretprobe__", "kfunc__", "kretfunc__", "kmod_ret__")


class _Refused(Exception):
    """It is not loaded."""


def _checking(bcc: Any, source: str) -> type[Any]:
    lib = bcc.libbcc.lib

    class Checking(bcc.BPF):  # type: ignore[misc]
        def _trace_autoload(self) -> None:
            """Called when all is compiled, and nothing is loaded."""
            names = [
                os.fsdecode(lib.bpf_function_name(self.module, index))
                for index in range(lib.bpf_num_functions(self.module))
            ]
            _check_programs({name: self.dump_func(name.encode()) for name in names})
            _check_maps(self, lib, source)
            super()._trace_autoload()

    return Checking


def _check_programs(codes: dict[str, bytes]) -> None:
    for name, code in codes.items():
        for _, helper in policy.refused_calls(code):
            called = policy.REFUSED_HELPERS[helper].name
            raise _Refused(f"{name} calls {called}(), and a probe only looks")
        if name.startswith(_REFUSED_PREFIXES):
            raise _Refused(
                f"{name}: probes are attached to tracepoints, raw tracepoints and the CPU clock"
                " only"
            )
    if missing := [name for name in NEEDED_PROGRAMS if name not in codes]:
        raise _Refused(f"the agent needs the program {missing[0]}, and it is not there")
    if len(codes) > MAX_PROGRAMS:
        raise _Refused(f"more than {MAX_PROGRAMS} programs")


def _check_maps(module: Any, lib: Any, source: str) -> None:
    maps = {each.name: each for each in bcc_maps(module, lib, CSource(source))}
    for name, (key_size, value_size) in NEEDED_MAPS.items():
        found = maps.get(name)
        if found is None:
            raise _Refused(f"the agent needs the map {name}, and it is not there")
        is_ring = name == "events"
        if is_ring != (found.type == RING_BUFFER) or (
            not is_ring and (found.size.key_size, found.size.value_size) != (key_size, value_size)
        ):
            raise _Refused(
                f"the agent reads the map {name} as it was shipped, and it is declared otherwise"
            )
    if len(maps) > MAX_MAPS:
        raise _Refused(f"more than {MAX_MAPS} maps")
    n_cpus = bpf_syscall.n_possible_cpus()
    n_bytes = sum(each.size.n_bytes(n_cpus) for each in maps.values())
    if n_bytes > policy.MAX_MAP_BYTES:
        raise _Refused(
            f"its maps take {n_bytes >> 20} MB, and {policy.MAX_MAP_BYTES >> 20} MB are allowed"
        )
    for each in maps.values():
        if each.type not in MAP_TYPES:
            raise _Refused(f"maps such as {each.name} (type {each.type}) are refused")


def _request() -> dict[str, Any]:
    """Nothing else is sent before an answer to this."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 1 << 16)
        if not chunk or len(line) > _LONGEST_REQUEST:
            raise EOFError
        line += chunk
    request: dict[str, Any] = json.loads(line)
    return request


def main() -> None:
    """Load, say so, and serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is not for us
    limit()
    frames = Frames(int(sys.argv[1]))
    request = _request()
    try:
        # Libraries first, from wherever they are: they are ours.
        bcc = import_bcc()
        os.environ["BCC_KERNEL_SOURCE"] = request["headers"]
        own = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]))
        user = sandbox.User(*request["user"])
        sandbox.confine(user, (*own, request["headers"], str(bpf_dir())))
        source = request["source"]
        probes = Probes(bcc, source, request["ring_pages"], _checking(bcc, source))
    except _Refused as error:
        frames.message(failed=str(error), fix=None, cause="policy")
        os._exit(0)
    except TracerUnavailable as error:
        frames.message(failed=error.message, fix=error.fix, cause=error.cause)
        os._exit(0)
    except Exception as error:  # noqa: BLE001 - libbcc raises bare Exception
        ctypes.CDLL(None).fflush(None)
        frames.message(failed=f"BCC: {error}", fix=None, cause="load_failed")
        os._exit(0)
    limit_no_more()
    frames.message(ready=True)
    with contextlib.suppress(BrokenPipeError):
        serve(probes, frames)
    # Not through the destructors of libraries that we do not know.
    os._exit(0)


if __name__ == "__main__":
    # What is in the folder that we were started in is no module of ours.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    main()
