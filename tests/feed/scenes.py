"""Waiting, agents in this process, and clients that are somebody else."""

import asyncio
import contextlib
import subprocess
import sys

from linnix_ls.feed.local import Hub
from linnix_ls.feed.server import FeedServer
from linnix_ls.tracer.psutil_tracer import PsutilTracer
from tests.feed.told_tracer import NoExaminer

PATIENCE_S = 30


async def until(is_reached):
    """Wait for a condition; one that never comes fails the test."""
    for _ in range(PATIENCE_S * 100):
        if is_reached():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


class Serving:
    """An agent in this process, without eBPF.

    Attributes:
        n_idle: how often its last client has gone.
    """

    def __init__(self, path, tracer=None, listener=None):
        self.path = path
        self.hub = Hub(tracer or PsutilTracer(), NoExaminer)
        self.n_idle = 0
        self.server = FeedServer(self.hub, path, self._count, listener)

    def _count(self):
        self.n_idle += 1

    async def __aenter__(self):
        try:
            self.server.bind()
            await self.hub.start()
            await self.server.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        await self.server.stop()
        await self.hub.stop()


# Everything is imported while it can be read: a checkout may be closed to other users.
_BECOME_NOBODY = """
import asyncio, ctypes, json, os, subprocess, sys, time
from pathlib import Path
from linnix_ls import app, diagnosis, procfs
from linnix_ls.config import Settings
from linnix_ls.errors import LinnixError
from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.locate import examiner
from linnix_ls.tracer import psutil_tracer
uid = int(sys.argv.pop(1))
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: else our own /proc files are root's now

async def refusal(doing):
    try:
        await doing
    except LinnixError as error:
        return error.message
"""


NOBODY = 65534


def nobody_command(script, *arguments, uid=NOBODY):
    """A Python program that runs as the user nobody, or another one. Its last line prints JSON."""
    return [sys.executable, "-c", _BECOME_NOBODY + script, str(uid), *map(str, arguments)]


async def run_as_nobody(script, *arguments, uid=NOBODY):
    """What such a program prints."""
    process = await asyncio.create_subprocess_exec(
        *nobody_command(script, *arguments, uid=uid), stdout=subprocess.PIPE
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return out


@contextlib.contextmanager
def sleeping(*command, **popen):
    """A process that does nothing, until the end of the block."""
    with subprocess.Popen(command or ["sleep", "1000"], **popen) as process:
        try:
            yield process
        finally:
            process.kill()
