"""A process is stopped if it is still the one that was meant, and still its user's."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linnix_ls import procfs
from linnix_ls.errors import AgentError
from linnix_ls.feed import local
from linnix_ls.feed.base import StopOutcome
from tests.feed.scenes import NOBODY

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf, pytest.mark.asyncio]  # needs root

BECOME = """
#include <signal.h>
#include <unistd.h>
int main(void) {
    signal(SIGTERM, SIG_IGN);
    setresuid(0, 0, 0);
    write(1, "root\\n", 5);
    for (;;) pause();
}
"""


@pytest.fixture
def become():
    """A set-user-id program, that is root's for good once it runs."""
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "become.c").write_text(BECOME)
        program = folder / "become"
        subprocess.run(["cc", "-w", "-o", program, folder / "become.c"], check=True)
        program.chmod(0o4755)
        yield program


async def test_what_has_become_roots_after_the_first_signal_gets_no_second(become, monkeypatch):
    """It takes the polite signal as an occasion to become another's."""
    monkeypatch.setattr(local, "KILL_AFTER_S", 0.7)
    script = f"trap 'exec {become}' TERM; echo ready; while :; do sleep 0.02; done"
    with subprocess.Popen(
        ["sh", "-c", script], user=NOBODY, group=NOBODY, extra_groups=[], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            key = procfs.read_stat(process.pid).key
            with pytest.raises(AgentError, match="runs with another user's rights"):
                await local._terminate(key, NOBODY)
            assert process.stdout.readline() == b"root\n"
            assert process.poll() is None
        finally:
            process.kill()


async def test_a_process_that_its_user_owns_is_stopped_for_that_user():
    with subprocess.Popen(["sleep", "1000"], user=NOBODY, group=NOBODY, extra_groups=[]) as process:
        key = procfs.read_stat(process.pid).key
        with pytest.raises(AgentError, match="runs with another user's rights"):
            await local._terminate(key, NOBODY + 1)
        assert await local._terminate(key, NOBODY) is StopOutcome.STOPPED


# In a pid namespace of its own, whose next pid can be chosen.
REUSES = """
import asyncio, os, signal, subprocess, time
from pathlib import Path
from linnix_ls import procfs
from linnix_ls.feed.local import _terminate

first = subprocess.Popen(["sleep", "1000"])
key = procfs.read_stat(first.pid).key
time.sleep(0.05)  # several ticks of the clock that start times are told in
first.kill()
first.wait()
for _ in range(1000):
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(key.pid - 1))
    second = subprocess.Popen(["sleep", "1000"])
    if second.pid == key.pid:
        break
    second.kill()
    second.wait()
assert second.pid == key.pid
print(asyncio.run(_terminate(key, 0)), second.poll())
now = procfs.read_stat(second.pid).key
print(asyncio.run(_terminate(now, 0)), second.wait())
"""


async def test_the_next_process_with_that_pid_is_spared():
    told = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", REUSES],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONWARNINGS": "ignore"}, timeout=60,
    )  # fmt: skip
    assert told.stdout.splitlines() == ["already_gone None", "stopped -15"]
