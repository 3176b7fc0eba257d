"""A client of the agent that comes, watches a storm of its own, and goes: closing, or killed.

    python -m bench.soak.client SOCKET UID N_PROCESSES

Becomes that user, says on stdout that the storm has begun, and when it is through, what it was
told of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from linnix_ls.feed.remote import RemoteFeed

# Waits for a line, so that it is watched before it begins. A thousand processes take a second, so
# that the storm leaves something of the machine to others.
STORM = """
import os, sys, time
sys.stdin.readline()
for n in range(int(sys.argv[1])):
    pid = os.fork()
    if not pid:
        if n % 4 == 0:
            os.execv("/bin/true", ["true"])
        os._exit(0)
    os.waitpid(pid, 0)
    if n % 20 == 0:
        time.sleep(0.01)
"""
TOLD_WITHIN_S = 30.0


async def storm(
    feed: RemoteFeed, n_processes: int, *, on_begin: Callable[[], None] = lambda: None
) -> dict[str, int]:
    """Have one watched from its first process to its last, and say what the feed told of it."""
    before = await feed.status()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", STORM, str(n_processes)), stdin=subprocess.PIPE
    )
    assert child.stdin is not None
    try:
        await feed.watch(child.pid, "storm", is_run=True)
        child.stdin.write(b"\n")
        on_begin()
        await child.wait()
        give_up_s = time.monotonic() + TOLD_WITHIN_S
        while True:
            status = await feed.status()
            n_told = status.n_processes - before.n_processes - 1  # the storm's own process
            n_lost = status.n_lost - before.n_lost
            if n_told >= n_processes or time.monotonic() > give_up_s:
                return {"started": n_processes, "told": n_told, "lost": n_lost}
            await asyncio.sleep(0.1)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _main(path: Path, n_processes: int) -> None:
    feed = await RemoteFeed.connect(path, hello_timeout_s=60)
    told = await storm(feed, n_processes, on_begin=lambda: print("begun", flush=True))
    await feed.process_tree()
    for run in await feed.runs():
        await feed.run(run.key)
    print(json.dumps(told), flush=True)
    await feed.close()


if __name__ == "__main__":
    user = int(sys.argv[2])
    if user != os.geteuid():  # everything is imported by now: a checkout may be closed to others
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[3])))
