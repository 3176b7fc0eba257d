"""Which capability of the service is needed for what: the table in docs/privilege.md.

    python -m bench.capabilities            as root; two minutes for each row

Starts an agent with the capabilities of deploy/systemd/linnix-ls-agent.service, with mounts as
that unit has them, and then the same with each one left out; and looks what an ordinary user, with
a home folder that is closed to others, gets to know of runaways in it.
"""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from linnix_ls.feed.remote import RemoteFeed

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "deploy/systemd/linnix-ls-agent.service"
USER_ID = 61_234
PATIENCE_S = 25.0
SPINS = {
    "python": ("spin.py", "while True:\n    pass\n", ["/usr/bin/python3", "spin.py"]),
    "c": (
        "spin.c",
        "int main(void)\n{\n    volatile int n = 0;\n    for (;;)\n        n ^= 1;\n}\n",
        ["./spin"],
    ),
    "node": ("spin.js", "function spin() {\n  for (;;) {}\n}\nspin();\n", ["node", "spin.js"]),
    "java": (
        "Spin.java",
        "class Spin {\n  public static void main(String[] a) {\n    for (;;) {}\n  }\n}\n",
        ["java", "-cp", ".", "Spin"],
    ),
}
# As ProtectSystem=strict, ReadWritePaths=/tmp and ProtectKernelTunables leave them.
_MOUNTS = """
set -e
mount --make-rprivate /
mkdir -p "$CACHE"
mount --bind /tmp /tmp
mount --bind "$CACHE" "$CACHE"
mount -o remount,bind,ro /
mount -o remount,bind,ro /sys
mount --bind -o ro /proc/sys /proc/sys
exec setpriv --no-new-privs --bounding-set="$KEPT" "$@"
"""


def capabilities() -> list[str]:
    """Those of the unit, without CAP_, in small letters."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(UNIT)
    words = unit["Service"]["CapabilityBoundingSet"].split()
    return [word.removeprefix("CAP_").lower() for word in words]


@contextlib.contextmanager
def confined_agent(folder: Path, kept: Sequence[str]) -> Iterator[Path | None]:
    """An agent with these capabilities at a socket in `folder`; None when it cannot start."""
    path = folder / "agent.sock"
    read_fd, write_fd = os.pipe()
    bounding = ",".join(["-all", *(f"+{name}" for name in kept)])
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _MOUNTS, "sh", sys.executable, "-m",
         "linnix_ls.cli.main", "agent", "--socket", path, "--ready-fd", str(write_fd)],
        pass_fds=[write_fd],
        env={**os.environ, "KEPT": bounding, "CACHE": "/var/cache/linnix-ls"},
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    ) as agent:  # fmt: skip
        os.close(write_fd)
        with open(read_fd, "rb") as ready:
            is_ready = b"is_ready" in ready.readline()
        try:
            yield path if is_ready else None
        finally:
            agent.terminate()


def prepared_home(folder: Path) -> Path:
    """Closed to everybody but its owner, with all the programs in it."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    for name, text, _ in SPINS.values():
        (home / name).write_text(text)
    subprocess.run(["gcc", "-g", "-O0", "-o", "spin", "spin.c"], cwd=home, check=True)
    subprocess.run(["javac", "Spin.java"], cwd=home, check=True)
    for path in (home, *home.iterdir()):
        os.chown(path, USER_ID, USER_ID)
    return home


async def seen(path: Path, home: Path) -> dict[str, str]:
    """What the user learns of each program: its line, or what else is said."""
    feed = await RemoteFeed.connect(path)
    learnt = {}
    for name, (source, _, command) in SPINS.items():
        process = await asyncio.create_subprocess_exec(
            *command, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        key = await feed.watch(process.pid, name, is_run=True, is_root_judged=True)
        learnt[name] = "nothing"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await asyncio.sleep(0.2)
                    mine = [f for f in feed.snapshot().findings if f.process.key == key]
                    if mine:
                        place = mine[0].location
                        is_there = place and Path(place.path).name == source
                        learnt[name] = f"line {place.line}" if place and is_there else "no line"
                        if is_there:
                            break
        try:
            stopped = str(await feed.stop_process(key))
        except Exception as error:  # noqa: BLE001 - what it says is what is measured
            stopped = str(error)
        learnt.setdefault("stop", stopped)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    await feed.close()
    return learnt


def measure(kept: Sequence[str]) -> dict[str, str]:
    """With an agent of its own, by a child that is the user."""
    with tempfile.TemporaryDirectory(prefix="linnix-ls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        home = prepared_home(folder)
        with confined_agent(folder, kept) as path:
            if path is None:
                return {"agent": "does not start"}
            path.chmod(0o666)
            read_fd, write_fd = os.pipe()
            child = os.fork()
            if child == 0:
                os.setgroups([])
                os.setresgid(USER_ID, USER_ID, USER_ID)
                os.setresuid(USER_ID, USER_ID, USER_ID)
                try:
                    os.write(write_fd, json.dumps(asyncio.run(seen(path, home))).encode())
                finally:
                    os._exit(0)
            os.close(write_fd)
            with open(read_fd, "rb") as answer:
                learnt: dict[str, str] = json.loads(answer.read() or b"{}")
            os.waitpid(child, 0)
            return learnt


def main() -> None:
    """A row for all of them, and one for each that is left out."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        sys.exit("this needs root")
    everything = capabilities()
    chosen = sys.argv[1:] or ["", *everything]
    for left_out in chosen:
        row = measure([name for name in everything if name != left_out])
        told = ", ".join(f"{name}: {what}" for name, what in row.items())
        print(f"{'without ' + left_out if left_out else 'all':<26} {told}", flush=True)


if __name__ == "__main__":
    main()
