"""An hour of mixed load on one agent: whether anything of it grows.

    python -m bench.soak [--minutes N | --quick] [--seed N] [--cores SHARE] [--loads NAME,…]

The agent has a socket, a folder for temporary files and a cache of its own; beside it an editor's
server and a client stay for the whole time. In each round a storm comes first, whose cost is
measured, and then all other loads at once: clients of two users that leave or are killed in the
midst of a storm, editors that are told of a runaway and closed or killed, Neovim, a case of the
corpus, somebody who plays with probes. Then nothing runs, and what the processes that stay hold on
to is counted. The first round counts as warming up. The result is saved after each one. Exit
status 1: something is not flat, or was left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import machine
from bench.holdings import (
    BPF_KINDS,
    BpfId,
    Holdings,
    all_bpf,
    count,
    holdings_of,
    keys_of_hashes,
    with_variable,
)
from bench.latency import Editor
from bench.playing import PROBES_A_ROUND
from bench.soak import loads
from bench.soak.page import SCHEMA, markdown, plot
from bench.soak.verdict import judge
from linnix_ls import procfs
from linnix_ls.feed.remote import RemoteFeed

STORM_SIZE = 2000
QUICK_MINUTES = 1.0
LOOK_EVERY_S = 5.0
MAX_COMPLAINTS = 200  # lines
PID_MAP_ENTRIES = 1024  # the smaller ones are of a few suspects, and of users
# What was killed is noticed, what was begun is ended, and a second look at a suspect is over.
SETTLED_WITHIN_S = 30.0
REST_S = 3.0


class Soak:
    """One agent, those who stay with it, and what is seen of them.

    Attributes:
        looks: every few seconds, whatever runs.
        rests: after each round, when nothing runs.
    """

    def __init__(
        self, folder: Path, seed: int, names: Sequence[str], storm_size: int, n_probes: int
    ) -> None:
        self._folder = folder
        self._names = names
        self._sizes = storm_size, n_probes
        self._chance = random.Random(seed)
        self._mark = f"{os.getpid()}-{seed}"
        self._began_s = time.monotonic()
        self._bpf_seen: set[BpfId] = set()
        self.looks: list[dict[str, Any]] = []
        self.rests: list[dict[str, Any]] = []
        self.left: list[str] = []
        self.n_rounds = 0

    def environment(self, who: str) -> dict[str, str]:
        """Of theirs, with folders of their own."""
        own = {loads.MARK: self._mark}
        for variable, name in (("TMPDIR", "tmp"), ("XDG_CACHE_HOME", "cache")):
            own[variable] = str(self._folder / who / name)
            Path(own[variable]).mkdir(parents=True, exist_ok=True)
        return os.environ | own

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """The agent and those who stay; afterwards, what they have left."""
        self._folder.chmod(0o755)  # other users' clients come, too
        read_fd, write_fd = os.pipe()
        socket = self._folder / "agent.sock"
        self._errors = (self._folder / "errors").open("wb")
        self._agent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "linnix_ls.cli.main", "agent", "--socket", str(socket)),
            *("--ready-fd", str(write_fd), "--exit-when-idle", "30"),  # should we be killed
            pass_fds=[write_fd],
            env=self.environment("agent"),
            stderr=self._errors,
        )
        os.close(write_fd)
        with os.fdopen(read_fd) as ready:
            await asyncio.to_thread(ready.readline)
        feed = await RemoteFeed.connect(socket, hello_timeout_s=60)
        clients = self.environment("clients")
        project = self._folder / "project"
        project.mkdir()
        self._editor = Editor(project)
        self.scene = loads.Scene(
            socket, self._folder / "clients", clients, feed, self._agent_cpu_s, *self._sizes
        )
        await self._editor.start(self.scene.settings(), clients)
        looking = asyncio.create_task(self._look_on())
        try:
            yield
        finally:
            looking.cancel()
            await self._editor.stop()
            await feed.close()
            with contextlib.suppress(ProcessLookupError):
                self._agent.terminate()
            await self._agent.wait()
            self._errors.close()
            await self._see_what_is_left(socket)

    async def round(self, cores: float | None) -> None:
        """All loads at once, and a rest that begins when nothing of them runs any more."""
        self.n_rounds += 1
        began_s, before_s = time.monotonic(), self._cpu_s()
        alone, together = (
            [name for name in self._names if (name == loads.ALONE) is is_alone]
            for is_alone in (True, False)
        )
        for names in (alone, together):
            chances = [random.Random(self._chance.random()) for _ in names]
            await asyncio.gather(*map(self._run, names, chances))
        await self._settle()
        if cores is not None:  # leave the machine to others for as long as it takes
            busy_s = self._cpu_s() - before_s
            await asyncio.sleep(max(0.0, busy_s / cores - (time.monotonic() - began_s)))
        self.rests.append(self._look())

    async def _run(self, name: str, chance: random.Random) -> None:
        await loads.run(name, self.scene, chance)

    async def _settle(self) -> None:
        """Until those that stay are alone, or it has to be called a leak."""
        give_up_s = time.monotonic() + SETTLED_WITHIN_S
        await asyncio.sleep(REST_S)
        while time.monotonic() < give_up_s:
            if len(self._processes()) <= self._n_expected():
                return
            await asyncio.sleep(1)

    def _n_expected(self) -> int:
        """Agent, probes, server; or as many as there were at the first rest."""
        return int(self.rests[0]["n_processes"]) if self.rests else 3

    async def _look_on(self) -> None:
        while True:
            self.looks.append(self._look())
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self) -> dict[str, Any]:
        roles = {
            role: holdings for role, pid in self._roles().items() if (holdings := holdings_of(pid))
        }
        for holdings in roles.values():
            self._bpf_seen |= holdings.bpf
        return {
            "at_s": round(time.monotonic() - self._began_s, 1),
            "roles": {role: _plain(holdings) for role, holdings in roles.items()},
            "n_processes": len(self._processes()),
            "n_files": len(self._files()),
            "n_stale_entries": self._n_stale_entries(),
            "n_children": len(procfs.children_of(self._agent.pid)),
            "bpf_of_all": {kind: count(all_bpf(), kind) for kind in BPF_KINDS},
            "load": os.getloadavg()[0],
        }

    def _roles(self) -> dict[str, int]:
        """Of those that stay: the shipped probes' process may be another after an exchange."""
        roles = {"agent": self._agent.pid}
        server = self._editor.server_pid
        if server is not None:
            roles["server"] = server
        for pid in procfs.children_of(self._agent.pid):
            if "linnix_ls.tracer.bcc_worker" in procfs.read_argv(pid):
                roles["probes"] = pid
        return roles

    def _n_stale_entries(self) -> int:
        """In the probes' maps, about processes that have gone: nobody will take them out."""
        probes = self._roles().get("probes")
        if probes is None:
            return 0
        with contextlib.suppress(OSError):  # it has been exchanged just now
            keys = [*keys_of_hashes(probes, min_entries=PID_MAP_ENTRIES)]
            pids = [int.from_bytes(key[:4], sys.byteorder) for key in keys]
            return sum(procfs.read_stat(pid) is None for pid in pids)
        return 0

    def _processes(self) -> dict[int, str]:
        return with_variable(loads.MARK, self._mark)

    def _files(self) -> set[str]:
        """Of the agent's folders all, of its clients' those that are ours."""
        agents = (self._folder / "agent").rglob("*")
        clients = (self._folder / "clients").rglob("linnix*")
        return {str(path) for path in (*agents, *clients)}

    def _agent_cpu_s(self) -> float:
        roles = self._roles()
        held = [holdings_of(roles[role]) for role in ("agent", "probes") if role in roles]
        return sum(holdings.cpu_s for holdings in held if holdings)

    def _cpu_s(self) -> float:
        """Of all that belongs to this: us, what has ended, and those that stay."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in used) + self._agent_cpu_s()

    async def _see_what_is_left(self, socket: Path) -> None:
        give_up_s = time.monotonic() + SETTLED_WITHIN_S
        while True:
            bpf = sorted(self._bpf_seen & all_bpf())
            processes = self._processes()
            if not (bpf or processes) or time.monotonic() > give_up_s:
                break
            await asyncio.sleep(0.5)
        self.left += [f"{kind[:-1]} {number} in the kernel" for kind, number in bpf]
        self.left += [f"process {pid}: {called}" for pid, called in processes.items()]
        self.left += [f"file {path}" for path in sorted(self._temporary())]
        if socket.exists():
            self.left.append("the agent's socket")

    def complaints(self) -> list[str]:
        """What the agent has printed: a bug of ours each."""
        return (self._folder / "errors").read_text(errors="replace").splitlines()[-MAX_COMPLAINTS:]

    def _temporary(self) -> set[str]:
        folders = (
            (self._folder / "agent/tmp").rglob("*"),
            (self._folder / "clients").rglob("linnix-*"),
        )
        return {str(path) for folder in folders for path in folder}


def _plain(holdings: Holdings) -> dict[str, Any]:
    plain = asdict(holdings)
    bpf = plain.pop("bpf")
    return plain | {f"n_{kind}": count(bpf, kind) for kind in BPF_KINDS}


async def measure(
    minutes: float,
    seed: int,
    *,
    names: Sequence[str] = tuple(loads.ALL),
    cores: float | None = None,
    storm_size: int = STORM_SIZE,
    n_probes: int = PROBES_A_ROUND,
    out: Path | None = None,
) -> dict[str, Any]:
    """The result as plain JSON; saved into `out` after each round."""
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="linnix-soak-") as folder:
        soak = Soak(Path(folder), seed, names, storm_size, n_probes)

        def result() -> dict[str, Any]:
            so_far = {
                "schema": SCHEMA,
                **about,
                "minutes": minutes,
                "seed": seed,
                "loads": list(names),
                "cores": cores,
                "n_rounds": soak.n_rounds,
                "done": dict(sorted(soak.scene.done.items())),
                "problems": soak.scene.problems,
                "left": soak.left,
                "complaints": soak.complaints(),
                "cpu_us_per_process": soak.scene.cpu_us_per_process,
                "rests": soak.rests[1:],
                "looks": soak.looks,
            }
            return so_far | {"not_flat": judge(so_far)}

        async with soak.at_work():
            ends_s = time.monotonic() + minutes * 60
            while time.monotonic() < ends_s or len(soak.rests) < 3:
                await soak.round(cores)
                print(_line(soak, minutes), flush=True)
                if out is not None:
                    so_far = result()
                    machine.save_json(machine.result_path("soak", so_far, out), so_far)
        return result()


def _line(soak: Soak, minutes: float) -> str:
    rest = soak.rests[-1]
    held = ", ".join(
        f"{role} {each['heap_bytes'] / 1e6:.1f} MB {each['n_fds']} fds {each['n_threads']} threads"
        for role, each in rest["roles"].items()
    )
    return (
        f"{rest['at_s'] / 60:.1f} of {minutes:g} min, round {soak.n_rounds}: {held};"
        f" {rest['n_processes']} processes, {rest['n_files']} files;"
        f" problems: {len(soak.scene.problems)}, lines of complaints: {len(soak.complaints())}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cores", type=float, metavar="SHARE", help="use no more, on average")
    parser.add_argument("--loads", metavar="NAME,…", default=",".join(loads.ALL))
    parser.add_argument("--out", metavar="DIR", type=Path, default=machine.RESULTS)
    args = parser.parse_args()
    machine.end_tidily()
    minutes = QUICK_MINUTES if args.quick else args.minutes
    names = args.loads.split(",")
    result = asyncio.run(measure(minutes, args.seed, names=names, cores=args.cores, out=args.out))
    page = markdown(result)
    print("\n" + page)
    machine.save("soak", result, page, args.out, plot)
    sys.exit(bool(result["not_flat"]))


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[2])
    main()
