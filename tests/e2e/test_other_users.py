"""What a user can get from the agent of other users' processes: nothing, whatever is asked.

Alice's run is watched by alice and found guilty, root's process sleeps and root's probe runs; bob
asks every method of the protocol for them.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from linnix_ls import procfs
from linnix_ls.capabilities import AGENT, SYS_ADMIN
from linnix_ls.feed.protocol import METHODS, PLAYGROUND_METHODS
from linnix_ls.feed.remote import RemoteFeed
from linnix_ls.playground.dialect import Dialect
from tests.feed.scenes import nobody_command, run_as_nobody, sleeping

pytestmark = [pytest.mark.e2e, pytest.mark.ebpf, pytest.mark.asyncio]

ALICE, BOB = 61_001, 61_002
SECRET = "alices-secret"
PROBE = (
    "BPF_HASH(roots_map, u32, u64);\nTRACEPOINT_PROBE(sched, sched_process_exec) { return 0; }\n"
)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as name:
        os.chmod(name, 0o755)  # pytest's own folders are closed to other users
        yield Path(name)


@contextlib.asynccontextmanager
async def agent_in(folder):
    read_fd, write_fd = os.pipe()
    path = folder / "agent.sock"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", path),
        *("--ready-fd", str(write_fd)),
        pass_fds=[write_fd],
    )
    os.close(write_fd)
    try:
        assert b"is_ready" in await asyncio.to_thread(os.read, read_fd, 1000)
        os.close(read_fd)
        yield path
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def user(uid, script, *arguments):
    """A program of a user that goes on; it can be asked for a line, and be told one."""
    process = await asyncio.create_subprocess_exec(
        *nobody_command(script, *arguments, uid=uid),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 24, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


ALICES = f"""
async def main():
    feed = await RemoteFeed.connect(Path(sys.argv[1]))
    run = subprocess.Popen(
        ["sh", "-c", "read go; timeout 90 python3 -c 'while True: pass' --token={SECRET} & "
                     "while :; do sleep 0.05; done", "{SECRET}"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd="/",
        env={{"PATH": "/usr/bin:/bin", "LINNIX_SESSION": "{SECRET}"}},
    )
    key = await feed.watch(run.pid, "{SECRET}", is_run=True, is_root_judged=True)
    run.stdin.write(b"go\\n")
    run.stdin.flush()
    while not (findings := feed.snapshot().findings):
        await asyncio.sleep(0.05)
    [spin] = [view.key for view in await feed.process_tree() if view.comm.startswith("python")]
    print(json.dumps([key, spin, findings[0].id]), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    tree = await feed.process_tree()
    states = [str(finding.state) for finding in feed.snapshot().findings]
    print(json.dumps([[view.key for view in tree if not view.has_ended], states]), flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""

# Asks one question after the other, and prints each answer; then all that it was told unasked.
BOBS = """
import socket
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    lines = connection.makefile("rb")
    told = [lines.readline().decode()]

    def ask(number, method, params):
        request = {"id": number, "method": method, "params": params}
        connection.sendall(json.dumps(request).encode() + b"\\n")
        while "change" in (answer := json.loads(line := lines.readline())):
            told.append(line.decode())
        return answer.get("error", {}).get("message") or answer.get("result")

    answers = [ask(n, *question) for n, question in enumerate(json.loads(sys.argv[2]))]
    own = subprocess.Popen(["sh", "-c", "sleep 1; exec sleep 1000"], cwd="/")
    for number in range(1000, 2000):  # of a folder that is watched by now
        tree = ask(number, "process_tree", {})
        if any(view["argv"] == ["sleep", "1000"] for view in tree):
            break
        time.sleep(0.02)
    answers += [tree, ask(2000, "runs", {})]
    own.kill()
print(json.dumps([answers, told]))
"""


class Scene:
    """`keys`: of processes that are not bob's; `closed`: a file that he may not read."""

    def __init__(self, run, spin, finding, roots, closed):
        self.keys = [
            {"pid": pid, "start_ticks": start_ticks} for pid, start_ticks in (run, spin, roots)
        ]
        self.finding = finding
        self.closed = closed


PLAIN = {"dialect": "bcc", "name": "x.bpf.c"}
NOT_ALLOWED = "only root and members of the group linnix-ls-probes"

# For each method what bob asks, and what he gets for it.
CASES = {
    "watch": lambda scene: [
        ({"pid": key["pid"], "label": "x"}, f"process {key['pid']} belongs to another user")
        for key in scene.keys
    ],
    "unwatch": lambda scene: [(key, "is not watched") for key in scene.keys],
    "watch_tag": lambda scene: [({"value": SECRET}, None)],
    "unwatch_tag": lambda scene: [({"value": SECRET + "-2"}, None)],
    "ignore": lambda scene: [({"pid": key["pid"]}, None) for key in scene.keys],
    "watch_folders": lambda scene: [({"folders": ["/", "/proc/1/root", "/root"]}, None)],
    "allow_jvm_attach": lambda scene: [({"is_allowed": False}, None)],
    "use_thresholds": lambda scene: [({"thresholds": {"calm_s": 9}}, None)],
    "status": lambda scene: [({}, {"n_processes": 0})],
    "process_tree": lambda scene: [({}, [])],
    "runs": lambda scene: [({}, [])],
    "run": lambda scene: [(key, None) for key in scene.keys],
    "stack": lambda scene: [
        (key, {"threads": [], "problem": "it is not watched"}) for key in scene.keys
    ],
    "stop_process": lambda scene: [
        (key | {"tree": tree}, "is not in a watched tree")
        for key in scene.keys for tree in (False, True)
    ],
    "dismiss": lambda scene: [({"finding_id": scene.finding}, "there is no finding")],
    "record_inputs": lambda scene: [({}, None)],
    "probe_check": lambda scene: [
        (PLAIN | {"source": f'#include "{scene.closed}"\n{PROBE}'}, {"programs": []})
    ],
    "probe_load": lambda scene: [(PLAIN | {"source": PROBE, "ttl_s": 60}, NOT_ALLOWED)],
    "probe_replace": lambda scene: [
        ({"probe_id": "p1", "source": PROBE, "trial_s": 0}, NOT_ALLOWED)
    ],
    "probe_read": lambda scene: [({"probe_id": "p1", "since_event": 0}, "there is no probe p1")],
    "probe_unload": lambda scene: [({"probe_id": "p1"}, "there is no probe p1")],
    "probe_own": lambda scene: [({}, {})],
    "probe_own_replace": lambda scene: [({"files": {}, "trial_s": 0}, NOT_ALLOWED)],
    "probe_own_read": lambda scene: [({}, {"maps": [], "events": []})],
    "probe_knowledge": lambda scene: [({}, "")],
}  # fmt: skip


async def test_no_method_tells_or_does_anything_about_what_is_not_ones_own(folder):
    # A method that is new has a case here, or this fails.
    assert CASES.keys() == METHODS | PLAYGROUND_METHODS
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    secret = closed / "secret.h"
    secret.write_text(f'static char *secret = "{SECRET}";\n')
    async with agent_in(folder) as path, user(ALICE, ALICES, path) as alice:
        run, spin, finding = json.loads(await alice.stdout.readline())
        roots = await RemoteFeed.connect(path)
        handle = await roots.playground.load(Dialect.BCC, SECRET, PROBE, ttl_s=600)
        assert handle.id == "p1"
        with sleeping() as sleeper:
            sleeper_key = procfs.read_stat(sleeper.pid).key
            scene = Scene(run, spin, finding, sleeper_key, secret)
            asked = [
                (method, params, expected)
                for method, make in CASES.items() for params, expected in make(scene)
            ]  # fmt: skip
            questions = json.dumps([[method, params] for method, params, _ in asked])
            out = await run_as_nobody(BOBS, path, questions, uid=BOB)
            answers, told = json.loads(out.splitlines()[-1])
            for (method, params, expected), answer in zip(asked, answers, strict=False):
                said = f"{method} {params}: {answer}"
                if isinstance(expected, str):
                    assert expected in answer, said
                elif isinstance(expected, dict):
                    assert expected.items() <= answer.items(), said
                else:
                    assert answer == expected, said
            assert sleeper.poll() is None
        tree, runs = answers[-2:]
        assert {view["cwd"] for view in tree} == {"/"}
        assert ["sleep", "1000"] in [view["argv"] for view in tree]
        assert any("change" in line for line in told)
        for line in (*map(json.dumps, (tree, runs, answers)), *told):
            assert SECRET not in line.replace(str(asked), "")
            assert f'"uid":{ALICE}' not in line.replace(" ", "")
        for line in (*map(json.dumps, (tree, runs)), *told):
            for key in scene.keys:
                assert not re.search(rf'"pid": ?{key["pid"]}\b', line)
        # And none of it was of any consequence to them.
        alice.stdin.write(b"go on\n")
        living, states = json.loads(await alice.stdout.readline())
        assert run in living
        assert spin in living
        assert states[0] not in ("ended", "cleared")
        assert (await roots.playground.read("p1", 0)).problem is None
        await roots.close()


async def test_what_an_agent_keeps_is_closed_to_others(folder):
    script = """
closed = []
for place in (Path("/var/cache/linnix-ls"), Path(sys.argv[1]).with_suffix(".lock")):
    try:
        os.open(place, os.O_RDONLY)
    except PermissionError:
        closed.append(place.name)
print(json.dumps(closed))
"""
    async with agent_in(folder) as path:
        closed = json.loads(await run_as_nobody(script, path, uid=BOB))
    assert closed == ["linnix-ls", "agent.lock"]


# Its code says that it comes from a file: of another user, or one that nobody ever writes to.
NAMES_A_FILE = """
import subprocess
program = (
    "import sys" + chr(10)
    + "scope = {}" + chr(10)
    + "exec(compile(sys.argv[2], sys.argv[1], 'exec'), scope)" + chr(10)
    + "scope['spin']()" + chr(10)
)
async def main():
    feed = await RemoteFeed.connect(Path(sys.argv[1]))
    body = chr(10) * 4 + "def spin():" + chr(10) + "    while True:" + chr(10) + "        pass"
    run = subprocess.Popen(
        ["prlimit", "--cpu=90", "python3", "-S", "-c", program, sys.argv[2], body],
        cwd="/", stdin=subprocess.DEVNULL,
    )
    key = await feed.watch(run.pid, "run", is_run=True, is_root_judged=True)
    functions = {}
    while "spin" not in functions:
        stack = await feed.stack(key)
        functions = {f.function: f.is_user_code for thread in stack.threads for f in thread.frames}
    print(json.dumps(functions["spin"]))
    sys.stdout.flush()
    run.kill()
    os._exit(0)

asyncio.run(main())
"""


@pytest.mark.parametrize("what", ["a file of root's", "a pipe", "a file of their own"])
async def test_a_file_that_a_process_names_is_opened_with_its_users_rights(folder, what):
    text = "\n" * 4 + "def spin():\n    while True:\n        pass\n"
    place = folder / "closed" / "secret.py"
    place.parent.mkdir()
    if what == "a pipe":
        os.mkfifo(place)
    else:
        place.write_text(text)
    place.parent.chmod(0o700)
    if what == "a file of their own":
        os.chown(place, BOB, BOB)
        os.chown(place.parent, BOB, BOB)
    async with agent_in(folder) as path:
        out = await run_as_nobody(NAMES_A_FILE, path, place, "", uid=BOB)
    assert json.loads(out.splitlines()[-1]) == (what == "a file of their own")


async def test_an_agent_that_root_starts_keeps_what_the_unit_would_leave_it(folder):
    """It, and all it starts, has no more than that; with one thing set aside, for measuring."""

    def of(pid, field):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(re.search(rf"^{field}:\s*(\w+)$", status, re.MULTILINE)[1], 16)

    everything = of(os.getpid(), "CapBnd")
    async with agent_in(folder) as path:
        feed = await RemoteFeed.connect(path)
        children = procfs.children_of(feed.agent_pid)
        assert children
        for pid in (feed.agent_pid, *children):
            assert of(pid, "CapEff") == of(pid, "CapBnd") == AGENT & everything
            assert of(pid, "NoNewPrivs") == 1
            assert (of(pid, "CapInh"), of(pid, "CapAmb")) == (0, 0)
        assert of(feed.agent_pid, "CapPrm") == (AGENT | SYS_ADMIN) & everything
        assert {of(pid, "CapPrm") for pid in children} == {AGENT & everything}
        limits = Path(f"/proc/{feed.agent_pid}/limits").read_text()
        assert re.search(r"^Max core file size\s+0\s+0\s", limits, re.MULTILINE)
        await feed.close()
