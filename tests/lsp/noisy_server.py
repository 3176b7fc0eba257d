"""A language server on stdio whose feed does everything that endangers the protocol's streams.

Run as a script by test_stdio.py; the first argument names the trouble.
"""

import asyncio
import ctypes
import os
import subprocess
import sys
import time

from linnix_ls.lsp.stdio import claim_stdio, exit_within
from tests.lsp.memory_feed import MemoryFeed


async def open_feed(settings, *, on_progress):
    make_trouble(sys.argv[1])
    if sys.argv[1] == "hangs":
        await asyncio.to_thread(time.sleep, 60)
    return MemoryFeed()


def make_trouble(trouble):
    if trouble == "prints":
        print("a line on stdout")  # noqa: T201 - it must not get there
        os.write(1, b"bytes without a newline")
        libc = ctypes.CDLL(None)
        libc.printf(b"buffered by the C library")
        libc.fflush(None)
        subprocess.run(["sh", "-c", "printf from-a-child"], check=True)
    elif trouble == "reads":
        taken = subprocess.run(["head", "-c", "5"], stdout=subprocess.PIPE, check=True).stdout
        assert (taken, sys.stdin.read()) == (b"", ""), taken


async def main(source, sink):
    from linnix_ls.lsp.server import serve_connection

    exit_code = await serve_connection(open_feed, source, sink)
    exit_within(0.3, exit_code)
    return exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*claim_stdio())))
