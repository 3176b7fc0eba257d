"""What the product's own probes cost, as asked of the process that they are in (`own_reading` tells
more, and takes more).
"""

from __future__ import annotations

from linnix_ls.tracer import bpf_syscall
from linnix_ls.tracer.bcc_worker import Probes


def run_time_ns(probes: Probes) -> int:
    """Of all programs together, as long as the kernel keeps count."""
    fds = probes.program_fds.values()
    return sum(int(bpf_syscall.program_info(fd).run_time_ns) for fd in fds)
