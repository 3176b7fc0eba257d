"""What the product's own probes do and hold, as asked of the process that they are in.

Imported there, and only when it is asked first: watching needs none of this.
"""

from __future__ import annotations

from typing import Any

from linnix_ls.playground.c_source import CSource
from linnix_ls.playground.compiled import ProbeMap, bcc_target
from linnix_ls.playground.map_reader import read_map
from linnix_ls.playground.policy import MapSize
from linnix_ls.tracer import bpf_syscall
from linnix_ls.tracer.bcc_worker import Held, Probes
from linnix_ls.tracer.product import layout_of

# Attached while the system calls of a suspect are counted.
_AT_TIMES = {"on_cpu_clock": "CPU clock", "on_sys_exit": "raw tracepoint sys_exit"}


def read(probes: Probes) -> dict[str, Any]:
    """As `base.ProbeReading` has it, without the events."""
    n_cpus = bpf_syscall.n_possible_cpus()
    source = CSource(probes.product.source)
    maps = (_map(held, source) for held in probes.maps.values())
    return {"programs": _programs(probes), "maps": [read_map(each, n_cpus) for each in maps]}


def _map(held: Held, source: CSource) -> ProbeMap:
    declared = held.declared
    return ProbeMap(
        MapSize(*declared[:5]),
        declared.flags,
        held.fd,
        layout_of(declared.key),
        layout_of(declared.value),
        source.is_histogram(declared.name),
    )


def _programs(probes: Probes) -> list[dict[str, Any]]:
    found = []
    for program in probes.product.programs:
        if program.name not in probes.program_fds:
            continue
        info = bpf_syscall.program_info(probes.program_fds[program.name])
        target = _AT_TIMES.get(program.name) or str(bcc_target(program.name, info.type) or "")
        found.append(
            {
                "name": program.name,
                "attached_to": target,
                "run_count": info.run_cnt,
                "run_time_ns": info.run_time_ns,
                "n_instructions": len(program.code) // 8,
            }
        )
    return found
