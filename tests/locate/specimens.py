"""Real processes to look at, and what is known of processes that need not exist."""

import asyncio
import contextlib
import os
import subprocess
import sys

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
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


def running_python(script, *argv, **popen):
    return running(sys.executable, "-S", script, *argv, **popen)


def read(reader, of, *, n_looks=3, interval_s=0.02):
    """What a reader finds out."""
    return asyncio.run(reader.read(of, n_looks=n_looks, interval_s=interval_s))
