"""Events that a child may not open itself, and gets from who has started it."""

import asyncio
import ctypes
import errno
import os
import sys

import pytest

from linnix_ls.tracer import perf_event
from linnix_ls.tracer.event_opener import EventOpener

# Without a program there is nothing to attach: what is told is how far it comes.
POWERLESS = """
from linnix_ls import capabilities
from linnix_ls.tracer import perf_event
capabilities.keep(0)
try:
    perf_event.attach_cpu_clock(program_fd=-1, frequency_hz=99)
except OSError as error:
    print(error.errno)
"""


async def errno_of_one_without_power(opener=None):
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", POWERLESS),
        stdout=asyncio.subprocess.PIPE,
        pass_fds=[opener.fd] if opener else [],
        env=opener.environment(None) if opener else None,
    )
    if opener:
        opener.child_started()
    out, _ = await child.communicate()
    return int(out)


@pytest.mark.ebpf
@pytest.mark.asyncio
async def test_who_may_open_nothing_is_handed_the_cpu_clocks():
    assert await errno_of_one_without_power() == errno.EACCES
    opener = EventOpener()
    try:
        assert await errno_of_one_without_power(opener) == errno.EBADF
    finally:
        opener.close()


def asked(**changed):
    fields = {"type": 1, "size": 64, "sample_period": 99, "flags": 1 << 10, **changed}
    return bytes(perf_event._Attributes(**fields)) + bytes(4)


@pytest.mark.parametrize(
    "message",
    [
        b"x",
        asked()[:-1],
        asked() + b"x",
        asked(sample_type=1 << 3),  # addresses of whoever runs
        asked(read_format=1),
        asked(flags=1 << 6),
        asked(type=0),  # the processor's own counters
        asked(type=5),  # breakpoints
        asked(config=9),
    ],
)
def test_nothing_else_is_opened_for_anybody(message):
    with pytest.raises(OSError, match="not an event"):
        perf_event.opened_for_another(message)


@pytest.mark.ebpf
@pytest.mark.asyncio
async def test_a_child_that_asks_for_nonsense_is_told_so_and_can_ask_again():
    opener = EventOpener()
    loop = asyncio.get_running_loop()
    fd = os.dup(opener.fd)
    try:
        for message, number in ((b"nonsense", errno.EINVAL), (asked(type=5), errno.EPERM)):
            with pytest.raises(OSError, match=os.strerror(number)) as refused:
                await loop.run_in_executor(None, perf_event._opened_by_another, fd, message)
            assert refused.value.errno == number
        event_fd = await loop.run_in_executor(None, perf_event._opened_by_another, fd, asked())
        assert os.readlink(f"/proc/self/fd/{event_fd}") == "anon_inode:[perf_event]"
        os.close(event_fd)
    finally:
        os.close(fd)
        opener.close()


def test_the_kernel_knows_the_first_version_of_the_attributes():
    assert ctypes.sizeof(perf_event._Attributes) == 64
