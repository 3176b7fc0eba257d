"""What the tests of faults share: a world whose leavings are counted, agents, editors, runaways.

All that a test starts inherits a word in its environment and a folder for temporary files, so that
what is left of it is told from what others do on this machine meanwhile.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import platform
import re
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from linnix_ls import procfs
from linnix_ls.tracer.kernel_headers import find_bpftool
from tests.lsp.client import Client

LINNIX_LS = (sys.executable, "-m", "linnix_ls.cli.main")
PATIENCE_S = 60
_WORD = b"TEST_OF_FAULTS"
_SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 0)
_KINDS = {"prog_id": 11, "map_id": 12, "link_id": 31}  # the command that gives the next higher id


async def until(is_reached, what="it does not come about"):
    end_s = time.monotonic() + PATIENCE_S
    while not (reached := is_reached()):
        assert time.monotonic() < end_s, what
        await asyncio.sleep(0.05)
    return reached


class World:
    """What belongs to one test.

    Attributes:
        folder: for its sockets and sources.
        temporary: where its programs make their temporary files.
    """

    def __init__(self, folder, monkeypatch):
        self.word = secrets.token_hex(8)
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir()
        self._held = {kind: set() for kind in _KINDS}
        monkeypatch.setenv(_WORD.decode(), self.word)
        monkeypatch.setenv("TMPDIR", str(self.temporary))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))

    @property
    def socket(self):
        return self.folder / "agent.sock"

    def processes(self):
        """All living ones that a test has started, directly or not."""
        return [
            pid
            for pid in procfs.all_pids()
            if pid != os.getpid() and procfs.read_variable(pid, _WORD) == self.word.encode()
        ]

    def running(self, *words):
        """Those of them with these words on their command lines."""
        return [pid for pid in self.processes() if {*words} <= {*procfs.read_argv(pid)}]

    def worker_of(self, agent):
        [worker] = [
            pid for pid in procfs.children_of(agent)
            if "linnix_ls.tracer.bcc_worker" in procfs.read_argv(pid)
        ]  # fmt: skip
        return worker

    def watched_by(self, agent):
        """The processes that its probes watch, by the word of the kernel."""
        held = self._held_by(self.worker_of(agent))["map_id"]
        [number] = [
            each["id"] for each in bpftool("map", "show")
            if each["id"] in held and each.get("name") == "watched"
        ]  # fmt: skip
        entries = bpftool("map", "dump", "id", str(number))
        keys = [bytes(int(byte, 16) for byte in entry["key"]) for entry in entries]
        return {int.from_bytes(key, sys.byteorder) for key in keys}

    def note(self):
        """Remember what of eBPF our processes hold now: it must be gone at the end."""
        for pid in self.processes():
            for kind, numbers in self._held_by(pid).items():
                self._held[kind] |= numbers
        return sum(map(len, self._held.values()))

    @staticmethod
    def _held_by(pid):
        """Of each kind, by what the kernel numbers it."""
        held = {kind: set() for kind in _KINDS}
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fdinfo"):
                with contextlib.suppress(OSError):
                    info = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
                    for kind, number in re.findall(r"^(\w+_id):\s*(\d+)", info, re.MULTILINE):
                        held.get(kind, set()).add(int(number))
        return held

    def left(self):
        """What there is that must not be: in the kernel, of processes, and on the disk."""
        return {
            "processes": [(pid, procfs.read_argv(pid)) for pid in self.processes()],
            "zombies": [pid for pid in procfs.children_of(os.getpid()) if has_ended(pid)],
            "kernel": [
                (kind, number)
                for kind, command in _KINDS.items()
                for number in self._held[kind] & ids(command)
            ],
            "files": [str(path) for path in self.temporary.iterdir()],
            # A lock is what agents know one another by, and stays; a socket only of a killed one.
            "sockets": [str(path) for path in self.folder.glob("*.sock")],
        }

    async def is_clean(self):
        """Nothing is left; what is being cleared up has the time for it."""
        end_s = time.monotonic() + PATIENCE_S
        while any((left := self.left()).values()) and time.monotonic() < end_s:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert not any(left.values()), left

    def end(self):
        """Whatever came of the test: nothing of it disturbs the next one."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def has_ended(pid):
    """And nobody has asked how."""
    stat = procfs.read_stat(pid)
    return stat is not None and stat.has_ended


def bpftool(*words):
    return json.loads(subprocess.check_output([find_bpftool(), "-j", *words]))


def ids(command):
    """Of all that the kernel has of a kind."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = (ctypes.c_uint32 * 3)()
    found = set()
    while libc.syscall(_SYS_BPF, command, ctypes.byref(attributes), ctypes.sizeof(attributes)) == 0:
        found.add(int(attributes[1]))
        attributes[0] = attributes[1]
    return found


@contextlib.asynccontextmanager
async def an_agent(socket, *options, prefix=(), python=sys.executable, **popen):
    """A running one, as a service would be."""
    read_fd, write_fd = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *prefix, python, "-m", "linnix_ls.cli.main",
        *("agent", "--socket", socket, "--ready-fd", str(write_fd), *options),
        pass_fds=[write_fd], stderr=subprocess.PIPE, **popen,
    )  # fmt: skip
    os.close(write_fd)
    try:
        process.outcome = json.loads(await asyncio.to_thread(os.read, read_fd, 10_000))
        os.close(read_fd)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        process.said = (await asyncio.wait_for(process.communicate(), PATIENCE_S))[1].decode()


@contextlib.asynccontextmanager
async def an_editor(world, *, tracer="bcc", socket=None, prefix=(), **settings):
    """A client on stdio of a language server of its own."""
    server = await asyncio.create_subprocess_exec(
        *prefix,
        *LINNIX_LS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    client = Client(server.stdout, server.stdin)
    client.server = server
    try:
        options = {"tracer": tracer, "agent_socket": str(socket or world.socket), **settings}
        await client.initialize(initializationOptions=options)
        await client.told("linnix/didChangeStatus", lambda s: s["state"] == "watching")
        yield client
    finally:
        server.stdin.close()
        await asyncio.wait_for(server.wait(), PATIENCE_S)
        await client.reading


class Runaway:
    """A program that waits for a word, and then spins.

    Attributes:
        root: what is to be watched.
        source: where it spins, from line 3 on.
    """

    SOURCE = "import sys\n\nwhile True:\n    sys.intern('x')\n"

    def __init__(self, folder, name="spin.py"):
        self.source = folder / name
        self.source.write_text(self.SOURCE)
        self.root = subprocess.Popen(
            ["sh", "-c", f"read go; nice -n 5 {sys.executable} {name}; read end"],
            stdin=subprocess.PIPE,
            cwd=folder,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def begin(self):
        self.root.stdin.write(b"go\n")
        self.root.stdin.flush()

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.root.pid, signal.SIGKILL)
        self.root.stdin.close()
        self.root.wait()


@contextlib.contextmanager
def no_more_descriptors(pid, but=0):
    """It can open nothing, or so many, until the end of the block."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    folder = Path(f"/proc/{pid}/fd")
    listed = os.listdir(folder)
    taken = {int(number) for number in listed if os.path.lexists(folder / number)}
    free = sorted(set(range(len(taken) + 1 + but)) - taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[but], before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def told_states(client, finding_id, since=0):
    """In which states a client has been told of a finding, in order."""
    return [
        finding["state"]
        for method, params in client.notified[since:]
        if method == "linnix/didChangeFindings"
        for finding in params["findings"]
        if finding["id"] == finding_id
    ]


def temporary_folder():
    """Short, for sockets, and open to other users."""
    return tempfile.TemporaryDirectory(prefix="linnix-faults-")
