"""A machine in QEMU that runs `guest` on a given kernel, and what it says of itself.

Its processor is emulated, so it is ten to fifty times slower than the host; it has the host's files
as its root, which it can read and not change (virtiofs of a read-only mount), and no network.
Not here: which kernels, and what is made of it (`__main__`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
INIT = Path(__file__).with_name("init")
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")

MEMORY_MB = 2048
# How long an instruction takes by the machine's own clock, which goes by instructions: one
# nanosecond, 2 to the power of this. That is the least, and real processors are faster. So what
# happens there does not depend on how fast emulation is here, nor on what else this machine does,
# and time limits hold as they do elsewhere. There is one processor, since QEMU emulates several in
# this way by turns, and they wait for each other.
SHIFT = 0
MIPS = 1000 >> SHIFT
LOOK_EVERY_S = 0.5


def run(
    kernel: Path,
    cases: Sequence[str],
    logs: Path,
    *,
    timeout_s: float,
    tell: Callable[[str], None],
    stop: threading.Event,
) -> dict[str, Any]:
    """Start the machine, and wait for its end; everything that it said.

    Args:
        kernel: a folder as deploy/kernels.sh makes them.
        cases: what is tried there, in this order (`guest`).
        logs: where its console and the like are kept.
        timeout_s: it is ended after that.
        tell: is given each line that it says.
        stop: when it is set, the machine is ended at once.
    """
    logs.mkdir(parents=True, exist_ok=True)
    said = logs / "said.jsonl"
    said.write_bytes(b"")
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linnix-kernels-")))
        _pack(kernel, work / "initramfs")
        share = work / "share.socket"
        sharing = _running(_share_command(work / "root", share), logs / "virtiofsd.log")
        server = stack.enter_context(sharing)
        while not share.exists():
            if server.poll() is not None:
                return read_facts("") | {"problem": "the host's files cannot be shared"}
            time.sleep(LOOK_EVERY_S)
        command = _machine_command(kernel, work / "initramfs", share, cases, logs)
        machine = stack.enter_context(_running(command, logs / "qemu.log"))
        is_ended = _follow(machine, said, timeout_s, tell, stop)
    facts = read_facts(said.read_text(errors="replace"))
    return facts if is_ended else facts | {"problem": f"not done after {timeout_s:.0f} s"}


def version() -> str:
    """QEMU's own."""
    said = subprocess.run(
        ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[3].partition("(")[0]


def read_facts(said: str) -> dict[str, Any]:
    """Lines of JSON as `guest` says them, in one; results of cases come as a list."""
    facts: dict[str, Any] = {"results": []}
    for line in said.splitlines():
        try:
            fact = json.loads(line)
        except ValueError:
            continue  # the machine ended in the middle of it, or it is a traceback
        if "result" in fact:
            facts["results"].append(fact["result"])
        else:
            facts |= fact
    return facts


def _pack(kernel: Path, initramfs: Path) -> None:
    """The first file system of the machine: busybox, modules and `init`."""
    with tempfile.TemporaryDirectory(prefix="linnix-kernels-") as folder:
        tree = Path(folder)
        for name in ("bin", "proc", "sys", "dev"):
            (tree / name).mkdir()
        shutil.copy(shutil.which("busybox") or "/bin/busybox", tree / "bin/busybox")
        shutil.copy(INIT, tree / "init")
        (tree / "init").chmod(0o755)
        shutil.copytree(kernel / "modules", tree / "modules")
        names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
        with initramfs.open("wb") as packed:
            subprocess.run(
                ["busybox", "cpio", "-o", "-H", "newc"],
                input=names.encode(),
                stdout=packed,
                stderr=subprocess.DEVNULL,
                cwd=tree,
                check=True,
            )


def _share_command(root: Path, socket: Path) -> list[str]:
    """What gives the host's files to the machine: from a mount namespace of its own, where they
    are seen without what is mounted in them (but for this checkout) and cannot be changed."""
    root.mkdir()
    server = next(filter(os.path.exists, VIRTIOFSD), "virtiofsd")
    script = """
        mount --bind / "$1"
        [ -e "$1$2/pyproject.toml" ] || mount --bind "$2" "$1$2"
        mount -o remount,bind,ro "$1"
        exec "$3" --socket-path="$4" -o "source=$1" -o cache=always
    """
    return [
        *("unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "share"),
        *(str(root), str(CHECKOUT), server, str(socket)),
    ]


def _machine_command(
    kernel: Path, initramfs: Path, share: Path, cases: Sequence[str], logs: Path
) -> list[str]:
    words = {
        "console": "ttyS0",
        "panic": "-1",  # with -no-reboot that is the end of it
        "mitigations": "off",  # there is nothing to protect, and emulation is slow
        "tsc": "reliable",  # other clocks are devices, and emulated ones are slow
        "CHECKOUT": CHECKOUT,
        "PYTHON": sys.executable,
        "CASES": ",".join(cases),
    }
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-no-reboot", "-accel", "tcg", "-icount", f"shift={SHIFT}"),
        # Without erms, that is: who clears or copies memory believes in it, and emulation goes byte
        # by byte. And without the fifth level of page tables, which is a walk for nothing here.
        *("-cpu", "max,erms=off,la57=off"),
        *("-m", str(MEMORY_MB), "-machine", "q35,memory-backend=memory"),
        *("-object", f"memory-backend-memfd,id=memory,size={MEMORY_MB}M,share=on"),
        *("-chardev", f"socket,id=share,path={share}"),
        *("-device", "vhost-user-fs-pci,chardev=share,tag=host"),
        *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(initramfs)),
        *("-append", " ".join(f"{name}={value}" for name, value in words.items())),
        *("-serial", f"file:{logs / 'console.log'}", "-serial", f"file:{logs / 'said.jsonl'}"),
    ]


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program with a session of its own, all of which is ended at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            # When we are killed it goes with us.
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _follow(
    machine: subprocess.Popen[bytes],
    said: Path,
    timeout_s: float,
    tell: Callable[[str], None],
    stop: threading.Event,
) -> bool:
    """Tell each line as it comes; whether the machine ended by itself."""
    give_up_s = time.monotonic() + timeout_s
    with said.open(errors="replace") as lines:
        while True:
            is_over = machine.poll() is not None
            for line in lines:
                tell(line.rstrip())
            if is_over or time.monotonic() > give_up_s or stop.wait(LOOK_EVERY_S):
                return is_over
