"""What only root can find out and authoring help wants: the formats of tracepoints, and which
programs may call which helpers. An agent does it once, and passes it on to whoever asks: it is the
same for all users, and no secret of any.
"""

from __future__ import annotations

import functools
import json
import os
import struct

from linnix_ls.playground import policy
from linnix_ls.playground.knowledge import tracepoints
from linnix_ls.playground.knowledge.btf import Btf
from linnix_ls.tracer import bpf_syscall

# Not kprobes: they may call what perf events may. Nor tracing programs: those need a target.
_PROGRAM_TYPES = {
    "tracepoint": policy.TRACEPOINT,
    "raw_tracepoint": policy.RAW_TRACEPOINT,
    "perf_event": policy.PERF_EVENT,
}
# What the verifier says of a helper that is not for this type of program, by version.
_REFUSALS = ("cannot use helper", "unknown func", "invalid func")
_CALL, _EXIT = 0x85, 0x95
_LOG_BYTES = 4096


@functools.cache
def knowledge() -> str:
    """As `authoring.load` takes it: JSON, 2 MB. Takes 0.2 s, once."""
    points = tracepoints.as_json()
    return f'{{"tracepoints":{points},"callers":{json.dumps(callers(Btf.of_this_kernel()))}}}'


def callers(btf: Btf | None) -> dict[str, list[str]] | None:
    """Helpers by program type: a program that calls one, with whatever is in the registers, is
    refused, but for different reasons. None where programs cannot be loaded.
    """
    numbers = btf.constants("bpf_func_id") if btf else {}
    found: dict[str, list[str]] = {}
    for kind, prog_type in _PROGRAM_TYPES.items():
        if _refusal(prog_type, 0) != "":  # a program that only ends
            return None
        found[kind] = [
            constant.replace("BPF_FUNC_", "bpf_", 1)
            for constant, number in numbers.items()
            if constant.startswith("BPF_FUNC_") and number
            if not any(said in (_refusal(prog_type, number) or "") for said in _REFUSALS)
        ]
    return found


def _refusal(prog_type: int, helper: int) -> str | None:
    """What the verifier says of a program with that call; "" if it loads, None without a word."""
    call = struct.pack("<BBhi", _CALL, 0, 0, helper) if helper else b""
    zero = struct.pack("<BBhi", 0xB7, 0, 0, 0)  # r0 = 0
    code = call + zero + struct.pack("<BBhi", _EXIT, 0, 0, 0)
    loaded = bpf_syscall.load(prog_type, code, b"GPL", b"linnix_try", _LOG_BYTES)
    if loaded.fd is not None:
        os.close(loaded.fd)
        return ""
    return loaded.log or None
