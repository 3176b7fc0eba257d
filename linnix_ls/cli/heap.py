"""Memory that a process which lives long gives back to the system."""

from __future__ import annotations

import contextlib

# Of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 64 << 10


def give_back_memory() -> None:
    """Have what something large took go back to the system once it is done: an answer that the
    server sends, what the agent reads of a process to examine it.

    glibc keeps it otherwise: after the first large block that is freed it takes those of that size
    from its heap, where anything small behind them holds them (mallopt(3), M_MMAP_THRESHOLD). And
    each thread has a heap of its own. A tree of a thousand processes with long arguments left
    20 MB behind in the server, nine examinations of two processes 10 MB in the agent. To be called
    before there are threads.
    """
    import ctypes

    with contextlib.suppress(AttributeError):  # another C library has no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, 1)
