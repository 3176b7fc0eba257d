"""Real processes to look at, and what is known of processes that need not exist."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time

from linnix_ls import procfs
from linnix_ls.core.examination import ProcessFacts
from linnix_ls.core.ids import ProcessKey

NO_PID = 1 << 22  # the highest that Linux gives out is one less


def facts(command="", *, cwd="/", exe=None, pid=NO_PID):
    """Of a process that is not there, unless `pid` says otherwise."""
    argv = tuple(command.split()) if isinstance(command, str) else tuple(command)
    return ProcessFacts(ProcessKey(pid, 1), argv, exe, str(cwd))


@contextlib.contextmanager
def running(*argv, says="ready", **popen):
    """A process that has said that it is where it shall be looked at; its pid."""
    process = subprocess.Popen(
        list(map(os.fspath, argv)), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
        start_new_session=True, **popen,
    )  # fmt: skip
    try:
        assert process.stdout.readline().decode().strip() == says
        await_its_loop(process.pid)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


def await_its_loop(pid):
    """On a loaded machine it may still be in the call that said so: until it has used some CPU
    since, or sleeps and will use none."""
    first = procfs.read_stat(pid)
    deadline = time.monotonic() + 20
    while first is not None and time.monotonic() < deadline:
        now = procfs.read_stat(pid)
        if now is None or now.state == "S" or now.utime_ticks > first.utime_ticks + 2:
            return
        time.sleep(0.01)


def running_python(script, *argv, **popen):
    return running(sys.executable, "-S", script, *argv, **popen)


def read(reader, of, *, n_looks=3, interval_s=0.02):
    """What a reader finds out."""
    return asyncio.run(reader.read(of, n_looks=n_looks, interval_s=interval_s))
