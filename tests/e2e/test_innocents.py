"""Busy programs that get somewhere: nothing may be said about any of them.

A false alarm costs more than a miss. These are real builds, computations and test runs, each of
some seconds; `bench.accuracy` has many more.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linnix_ls import procfs
from linnix_ls.app import open_feed
from linnix_ls.config import Settings
from linnix_ls.core.changes import FindingChanged
from linnix_ls.feed.remote import RemoteFeed
from tests.feed.scenes import until

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf, pytest.mark.asyncio]

PATIENCE_S = 100


@pytest.fixture(scope="module")
def agent_path():
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as folder:
        path = Path(folder, "agent.sock")
        read_fd, write_fd = os.pipe()
        with subprocess.Popen(
            [sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", path,
             "--ready-fd", str(write_fd)],
            pass_fds=[write_fd],
        ) as process:  # fmt: skip
            os.close(write_fd)
            with open(read_fd) as ready:
                assert json.loads(ready.readline()) == {"is_ready": True}
            yield path
            process.terminate()


async def findings_about(agent_path, *command, cwd):
    """What is said about a run of `command`, in words; it has to succeed."""
    feed = await RemoteFeed.connect(agent_path)
    found = []

    def take(change):
        if isinstance(change.change, FindingChanged):
            finding = change.change.finding
            found.append((finding.kind, finding.cause, finding.process.argv, finding.evidence))

    feed.subscribe(take)
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", 'read go; exec "$@"', "held", *map(str, command),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=cwd, start_new_session=True,
    )  # fmt: skip
    try:
        await feed.watch(process.pid, "innocent", is_run=True, is_root_judged=True)
        await asyncio.wait_for(process.communicate(b"go\n"), PATIENCE_S)
        await asyncio.sleep(0.3)  # what is being looked at may still be judged
        seen = (await feed.status()).n_received
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await feed.close()
    assert process.returncode == 0
    assert seen > 10
    return found


C_FUNCTION = """
double work_%(n)d(const double *a, double *b, int n) {
    double s = %(n)d.5;
    for (int i = 1; i < n; i++) {
        b[i] = a[i] * a[i - 1] + s;
        if (b[i] > 1e3) s += b[i] / %(n)d.25; else s -= a[n - i] * 0.%(n)d;
        switch ((int) s & 15) {
            case 1: b[i] *= s; break; case 2: b[i] -= a[i]; break; case 3: s = -s; break;
            case 5: b[i - 1] += s; break; case 7: s *= 0.5; break; case 9: b[0] = s; break;
        }
    }
    for (int j = 0; j < 16; j++)
        for (int k = 0; k < 16; k++) b[(j * k) %% n] += a[(j + k) %% n] * s;
    return s;
}
"""


async def test_an_optimising_compiler(agent_path, tmp_path):
    source = "".join(C_FUNCTION % {"n": n + 1} for n in range(300))
    (tmp_path / "big.c").write_text(source)
    command = ("gcc", "-O2", "-c", "big.c")
    assert await findings_about(agent_path, *command, cwd=tmp_path) == []


async def test_a_computation_in_python(agent_path, tmp_path):
    (tmp_path / "primes.py").write_text(
        "def primes(limit):\n"
        "    found = [2]\n"
        "    for candidate in range(3, limit, 2):\n"
        "        for divisor in found:\n"
        "            if divisor * divisor > candidate:\n"
        "                found.append(candidate)\n"
        "                break\n"
        "            if candidate % divisor == 0:\n"
        "                break\n"
        "    return found\n"
        "print(len(primes(5_000_000)))\n"
    )
    assert await findings_about(agent_path, sys.executable, "primes.py", cwd=tmp_path) == []


if importlib.util.find_spec("numpy"):  # not a dependency; a skip would count as a failure

    async def test_a_loop_of_numpy(agent_path, tmp_path):
        (tmp_path / "steps.py").write_text(
            "import time\n"
            "import numpy as np\n"
            "field = np.random.default_rng(1).random((400, 400))\n"
            "while time.process_time() < 4:\n"
            "    field = (field + np.roll(field, 1, 0) + np.roll(field, 1, 1) @ field / 400) / 3\n"
        )
        assert await findings_about(agent_path, sys.executable, "steps.py", cwd=tmp_path) == []


async def test_a_parallel_build_of_many_files(agent_path, tmp_path):
    for n in range(200):
        (tmp_path / f"part_{n}.c").write_text(f"int part_{n}(int x) {{ return x * {n}; }}\n")
    (tmp_path / "Makefile").write_text(
        "parts := $(patsubst %.c,%.o,$(wildcard part_*.c))\n"
        "all: $(parts)\n\tar rc all.a $^\n"
        "%.o: %.c\n\t$(CC) -O2 -c -o $@ $<\n"
    )
    assert await findings_about(agent_path, "make", "-j4", cwd=tmp_path) == []
    assert (tmp_path / "all.a").exists()


async def test_a_test_suite_that_starts_many_programs(agent_path, tmp_path):
    (tmp_path / "test_commands.py").write_text(
        "import subprocess, sys\n"
        "import pytest\n\n"
        '@pytest.mark.parametrize("n", range(150))\n'
        "def test_command(n):\n"
        '    script = f"print({n} * 2)"\n'
        "    done = subprocess.run([sys.executable, '-ISc', script], capture_output=True)\n"
        "    assert done.stdout == b'%d\\n' % (n * 2)\n"
    )
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert await findings_about(agent_path, *command, cwd=tmp_path) == []


async def test_ourselves(tmp_path):
    """An editor's tree holds our own server, and what that has started: agent, worker, py-spy."""
    feed = await open_feed(Settings(tracer="bcc", agent_socket=str(tmp_path / "agent.sock")))
    (tmp_path / "spin.py").write_text("while True:\n    pass\n")
    found = asyncio.Event()
    accused = set()

    def take(change):
        if isinstance(change.change, FindingChanged):
            accused.add(change.change.finding.process.key.pid)
            found.set()

    feed.subscribe(take)
    await feed.watch(os.getpid(), "editor")
    spin = await asyncio.create_subprocess_exec(
        "sh", "-c", f"{sys.executable} spin.py; true", cwd=tmp_path, start_new_session=True
    )
    try:
        await asyncio.wait_for(found.wait(), PATIENCE_S)  # so py-spy has been at work
        ours = procfs.descendants(feed.agent_pid)
        in_tree = {view.key.pid: view for view in await feed.process_tree()}
        assert len(ours) >= 2
        assert not in_tree.keys() & set(ours)
        assert [view.argv for view in in_tree.values() if "py-spy" in str(view.argv)] == []
        assert {in_tree[pid].argv[-1] for pid in accused} == {"spin.py"}
    finally:
        os.killpg(spin.pid, 9)
        await spin.wait()
        await feed.close()
        await until(lambda: procfs.read_stat(feed.agent_pid) is None)
        await asyncio.sleep(0.05)  # for asyncio to hear of it
