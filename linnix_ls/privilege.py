"""Whether this process may do what an agent does."""

from __future__ import annotations

import os
import re

_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39
# Inode number of the namespace that the kernel boots with (include/linux/proc_ns.h).
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD


def has_bpf_permission() -> bool:
    """Whether this process may load probes and sample (capabilities(7)). What a container without
    real root calls root may not, whatever capabilities it shows."""
    if os.stat("/proc/self/ns/user").st_ino != _INITIAL_USER_NAMESPACE:
        return False
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        match = re.search(r"CapEff:\s*([0-9a-f]+)", file.read())
    effective = int(match[1], 16) if match else 0
    has = [bool(effective >> cap & 1) for cap in (_CAP_SYS_ADMIN, _CAP_BPF, _CAP_PERFMON)]
    return has[0] or (has[1] and has[2])


def wants_more_to_sample() -> bool:
    """Whether this kernel may let nobody sample without CAP_SYS_ADMIN: those of Debian and Ubuntu
    do so above 2; others know no more than 2."""
    try:
        with open("/proc/sys/kernel/perf_event_paranoid", encoding="ascii") as file:
            return int(file.read()) > 2
    except (OSError, ValueError):
        return False
