"""What the product's own probes do and hold, as asked of the process that they are in.

Imported there, and only when it is asked first: watching needs none of this.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from linnix_ls.playground import bpf_syscall
from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.compiled import bcc_maps, bcc_target
from linnix_ls.playground.map_reader import read_map
from linnix_ls.tracer.bcc_worker import Probes

# Attached while the system calls of a suspect are counted.
_AT_TIMES = {"on_cpu_clock": "CPU clock", "on_sys_exit": "raw tracepoint sys_exit"}


def read(probes: Probes) -> dict[str, Any]:
    """As `base.ProbeReading` has it, without the events."""
    lib = sys.modules["bcc"].libbcc.lib
    n_cpus = bpf_syscall.n_possible_cpus()
    maps = bcc_maps(probes.bpf, lib, CSource(probes.source))
    return {"programs": _programs(probes), "maps": [read_map(each, n_cpus) for each in maps]}


def _programs(probes: Probes) -> list[dict[str, Any]]:
    found = []
    for raw_name, function in probes.bpf.funcs.items():
        name = os.fsdecode(raw_name)
        info = bpf_syscall.program_info(function.fd)
        found.append(
            {
                "name": name,
                "attached_to": _AT_TIMES.get(name) or str(bcc_target(name, info.type) or ""),
                "run_count": info.run_cnt,
                "run_time_ns": info.run_time_ns,
                "n_instructions": len(probes.bpf.dump_func(raw_name)) // 8,
            }
        )
    return found
