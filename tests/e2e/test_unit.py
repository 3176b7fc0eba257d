"""The service's unit takes from the agent what it can do without, and nothing that it needs."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.confined import UNIT
from tests.feed.scenes import run_as_nobody

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf]

USER = 61_003
ROOT = Path(__file__).parents[2]

# Looks at a loop in each language, stops it, and has probes checked.
WORKS = """
from linnix_ls.playground.dialect import Dialect

LOOPS = {
    "spin.py": ["python3", "-S", "spin.py"],
    "spin.c": ["./spin"],
    "spin.js": ["node", "spin.js"],
}

async def look_at(feed, source, command):
    run = subprocess.Popen(["prlimit", "--cpu=90", *command], cwd=sys.argv[2])
    key = await feed.watch(run.pid, source, is_run=True, is_root_judged=True)
    seen = set()
    while "spin" not in {function for function, _ in seen}:
        stack = await feed.stack(key)
        frames = [frame for thread in stack.threads for frame in thread.frames]
        seen = {(frame.function, Path(frame.path or "").name) for frame in frames}
    outcome = await feed.stop_process(key)
    run.wait()
    return [("spin", source) in seen, outcome]

async def main():
    feed = await RemoteFeed.connect(Path(sys.argv[1]))
    told = {source: await look_at(feed, source, command) for source, command in LOOPS.items()}
    for dialect, source in json.loads(sys.argv[3]).items():
        checked = await feed.playground.check(Dialect(dialect), "x.bpf.c", source)
        told[dialect] = [problem.message for problem in checked.problems]
        told[dialect] += [program.errno for program in checked.programs]
    told["status"] = Path(f"/proc/{feed.agent_pid}/status").read_text()
    print(json.dumps(told))
    await feed.close()

asyncio.run(main())
"""
PROBES = {
    "bcc": "TRACEPOINT_PROBE(sched, sched_process_exec) { return 0; }\n",
    "libbpf": '#include "vmlinux.h"\n#include <bpf/bpf_helpers.h>\n'
    'SEC("raw_tp/sched_process_exec") int on_exec(void *ctx) { return 0; }\n'
    'char LICENSE[] SEC("license") = "GPL";\n',
}


@pytest.fixture
def home():
    """Closed to all others, with a program of each language in it."""
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir(mode=0o700)
        (home / "spin.py").write_text("def spin():\n    while True:\n        pass\nspin()\n")
        (home / "spin.js").write_text("function spin() {\n  for (;;) {}\n}\nspin();\n")
        (home / "spin.c").write_text(
            "static volatile int stop;\n"
            "__attribute__((noinline)) static void spin(void) { while (!stop) ; }\n"
            "int main(void) { spin(); return 0; }\n"
        )
        subprocess.run(["cc", "-g", "-O0", "-o", "spin", "spin.c"], cwd=home, check=True)
        for path in (home, *home.iterdir()):
            os.chown(path, USER, USER)
        yield home


@pytest.mark.asyncio
async def test_under_it_an_agent_does_all_of_its_work_for_a_user(home):
    path = home.parent / "agent.sock"
    read_fd, write_fd = os.pipe()
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.e2e.confined", "agent", "--socket", path),
        *("--ready-fd", str(write_fd)),
        pass_fds=[write_fd], cwd=ROOT,
    )  # fmt: skip
    os.close(write_fd)
    try:
        assert b"is_ready" in await asyncio.to_thread(os.read, read_fd, 1000)
        os.close(read_fd)
        out = await run_as_nobody(WORKS, path, home, json.dumps(PROBES), uid=USER)
    finally:
        agent.terminate()
        await agent.wait()
    told = json.loads(out.splitlines()[-1])
    status = told.pop("status")
    assert told == {
        "spin.py": [True, "stopped"],
        "spin.c": [True, "stopped"],
        "spin.js": [True, "stopped"],
        "bcc": [0],
        "libbpf": [0],
    }
    assert re.search(r"^Seccomp:\s*2$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE)
    # Neither is there anything set aside: the unit has not given it.
    assert len(set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\s*(\w+)$", status, re.MULTILINE))) == 1


def test_its_exposure_by_systemds_measure_has_not_grown():
    """In tenths; what is left is told in docs/privilege.md."""
    subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=34", UNIT],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
