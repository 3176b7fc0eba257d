"""The process that holds an edit of the product's own probes, in place of `tracer.bcc_worker`,
which it is but for two things: it is confined as the user whose edit it is before it sees the
source, and what the compiler makes of it is checked before any of it is loaded.

    python -m linnix_ls.playground.own_worker FRAMES_FD

The first line of stdin is the request: source, headers, ring_pages, user.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from linnix_ls.errors import TracerUnavailable
from linnix_ls.playground import policy, sandbox
from linnix_ls.playground.compiled import MAP_TYPES
from linnix_ls.playground.policy import MapSize
from linnix_ls.playground.probe_worker import MAX_MAPS, MAX_PROGRAMS, limit, limit_no_more
from linnix_ls.tracer import bcc_compiler, bpf_syscall
from linnix_ls.tracer.bcc_worker import (
    NEEDED_MAPS,
    NEEDED_PROGRAMS,
    Frames,
    Probes,
    hold,
    made_by_a_child,
)
from linnix_ls.tracer.bpf_source import bpf_dir
from linnix_ls.tracer.product import RING_BUFFER, Product

_LONGEST_REQUEST = 8 << 20
# What BCC attaches by the names of programs, and a probe of the playground may not be.
_REFUSED_PREFIXES = ("lsm__", "kprobe__", "kretprobe__", "kfunc__", "kretfunc__", "kmod_ret__")


def _refusal(message: str) -> TracerUnavailable:
    return TracerUnavailable(message, cause="policy")


def _check(product: Product) -> None:
    """Called when all is compiled, and nothing is loaded."""
    _check_programs({each.name: each.code for each in product.programs})
    _check_maps({each.name: MapSize(*each[:5]) for each in product.maps})


def _check_programs(codes: dict[str, bytes]) -> None:
    for name, code in codes.items():
        for _, helper in policy.refused_calls(code):
            called = policy.REFUSED_HELPERS[helper].name
            raise _refusal(f"{name} calls {called}(), and a probe only looks")
        if name.startswith(_REFUSED_PREFIXES):
            raise _refusal(
                f"{name}: probes are attached to tracepoints, raw tracepoints and the CPU clock"
                " only"
            )
    if missing := [name for name in NEEDED_PROGRAMS if name not in codes]:
        raise _refusal(f"the agent needs the program {missing[0]}, and it is not there")
    if len(codes) > MAX_PROGRAMS:
        raise _refusal(f"more than {MAX_PROGRAMS} programs")


def _check_maps(maps: dict[str, MapSize]) -> None:
    for name, (key_size, value_size) in NEEDED_MAPS.items():
        found = maps.get(name)
        if found is None:
            raise _refusal(f"the agent needs the map {name}, and it is not there")
        is_ring = name == "events"
        if is_ring != (found.type == RING_BUFFER) or (
            not is_ring and (found.key_size, found.value_size) != (key_size, value_size)
        ):
            raise _refusal(
                f"the agent reads the map {name} as it was shipped, and it is declared otherwise"
            )
    if len(maps) > MAX_MAPS:
        raise _refusal(f"more than {MAX_MAPS} maps")
    n_cpus = bpf_syscall.n_possible_cpus()
    n_bytes = sum(each.n_bytes(n_cpus) for each in maps.values())
    if n_bytes > policy.MAX_MAP_BYTES:
        raise _refusal(
            f"its maps take {n_bytes >> 20} MB, and {policy.MAX_MAP_BYTES >> 20} MB are allowed"
        )
    for each in maps.values():
        if each.type not in MAP_TYPES:
            raise _refusal(f"maps such as {each.name} (type {each.type}) are refused")


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


def _compiled(request: dict[str, Any], user: sandbox.User) -> Product:
    # Libraries first, from wherever they are: they are ours.
    bcc = bcc_compiler.import_bcc()
    _confine(request, user)
    os.environ["BCC_KERNEL_SOURCE"] = request["headers"]
    flags = [f"-I{bpf_dir()}", f"-DRING_PAGES={request['ring_pages']}", "-Wno-everything"]
    return bcc_compiler.compiled(bcc, request["source"], flags)


def _confine(request: dict[str, Any], user: sandbox.User) -> None:
    own = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]))
    sandbox.confine(user, (*own, request["headers"], str(bpf_dir())))


def main() -> None:
    """Load, say so, and serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is not for us
    limit()
    frames = Frames(int(sys.argv[1]))
    request = _request()
    user = sandbox.User(*request["user"])

    def probes() -> Probes:
        product = made_by_a_child(lambda: _compiled(request, user))
        _confine(request, user)
        _check(product)
        loaded = Probes(product)
        limit_no_more()
        return loaded

    hold(frames, probes)


if __name__ == "__main__":
    # What is in the folder that we were started in is no module of ours.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    main()
