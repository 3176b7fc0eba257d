"""What the agent is kept busy with: each load comes, does what users do, and goes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import machine
from bench.accuracy import CORPUS
from bench.latency import Editor
from bench.soak.client import storm
from linnix_ls.feed.remote import RemoteFeed

NOBODY = 65534
# The one variable by which all that belongs to this measurement is known.
MARK = "LINNIX_SOAK"
NEOVIM_PLUGIN = Path(__file__).parents[2] / "editors/neovim"
LIMIT_S = 180.0


@dataclass
class Scene:
    """What the loads share.

    Attributes:
        socket: the agent's.
        folder: for what they write; each makes its own in there, and takes it away.
        environment: of all that is started.
        feed: a client that stays, for what is counted exactly.
        agent_cpu_s: what the agent's processes have used so far.
        done: how often each thing was done.
        problems: what should not have come of it, in words.
        cpu_us_per_process: of the agent, one figure a storm.
    """

    socket: Path
    folder: Path
    environment: Mapping[str, str]
    feed: RemoteFeed
    agent_cpu_s: Callable[[], float]
    storm_size: int
    n_probes: int
    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    cpu_us_per_process: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def scratch(self) -> Any:
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            yield Path(name)

    def settings(self) -> dict[str, Any]:
        return {"tracer": "bcc", "agent_socket": str(self.socket)}

    def count(self, told: Mapping[str, int]) -> None:
        """A storm: all of its processes were told of, or said to be lost."""
        self.done["processes of storms"] += told["started"]
        self.done["events lost, and said so"] += told["lost"]
        if told["told"] < told["started"] and not told["lost"]:
            self.problems.append(f"a storm of {told['started']}: told of {told['told']}, none lost")


Load = Callable[[Scene, random.Random], Awaitable[None]]


async def counted_storm(scene: Scene, _chance: random.Random) -> None:
    """By the client that stays; what the agent takes for it is measured."""
    before_s = scene.agent_cpu_s()
    told = await storm(scene.feed, scene.storm_size)
    scene.count(told)
    scene.cpu_us_per_process.append((scene.agent_cpu_s() - before_s) / told["started"] * 1e6)


async def passing_client(scene: Scene, chance: random.Random) -> None:
    """Root's or another user's; it leaves when its storm is over, or is killed in the midst."""
    user = chance.choice((os.geteuid(), NOBODY))
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.soak.client"),
        *(str(scene.socket), str(user), str(scene.storm_size)),
        env=scene.environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert client.stdout is not None
    try:
        await client.stdout.readline()
        if chance.random() < 0.5:
            client.kill()
            scene.done["clients killed in a storm"] += 1
            return
        scene.count(json.loads(await client.stdout.readline()))
        scene.done["clients of nobody" if user == NOBODY else "clients of root"] += 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(client.pid, signal.SIGKILL)  # the storm lives on, without its client
        await client.wait()


async def editor(scene: Scene, chance: random.Random) -> None:
    """A server on stdio, a test that runs away in its workspace, the diagnostic; then the editor
    is closed, or killed with its server."""
    with scene.scratch() as workspace:
        client = Editor(workspace)
        await client.start(scene.settings(), scene.environment)
        kind = chance.choice(("cpu_spin", "fork_storm"))
        if await client.time_to_diagnostic(kind, 0, give_up_s=50) is None:
            scene.problems.append(f"an editor was told of no {kind}")
        scene.done[f"diagnostics: {kind}"] += 1
        if chance.random() < 0.5:
            await client.kill()
            scene.done["editors killed"] += 1
        else:
            await client.stop()
            scene.done["editors closed"] += 1


_NEOVIM = """
vim.opt.runtimepath:append('{plugin}')
local settings = {{ tracer = 'bcc', agent_socket = '{socket}' }}
require('linnix').setup({{ cmd = {{ '{server}' }}, settings = settings }})
vim.cmd('edit test_spin.py')
vim.wait(30000, function() return require('linnix').statusline() == 'linnix' end, 50)
local test = vim.fn.jobstart({{ '{python}', 'test_spin.py' }})
local told = vim.wait(20000, function() return #vim.diagnostic.get() > 0 end, 50)
vim.fn.jobstop(test)
vim.cmd(told and 'qall!' or 'cquit!')
"""


async def neovim(scene: Scene, _chance: random.Random) -> None:
    """Neovim, headless, with the plugin; it is quit while its server runs."""
    with scene.scratch() as workspace:
        (workspace / "test_spin.py").write_text("while True:\n    pass\n")
        init = workspace / "init.lua"
        init.write_text(
            _NEOVIM.format(
                plugin=NEOVIM_PLUGIN,
                server=machine.LINNIX_LS,
                socket=scene.socket,
                python=sys.executable,
            )
        )
        process = await asyncio.create_subprocess_exec(
            *("nvim", "--headless", "-u", "NONE", "-c", f"luafile {init}"),
            cwd=workspace,
            env=scene.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode:
            scene.problems.append(f"Neovim was told of nothing: {said.decode()[-200:]}")
        scene.done["Neovims"] += 1


async def case(scene: Scene, chance: random.Random) -> None:
    """A case of the corpus under `linnix-ls run`."""
    folder = chance.choice(sorted((CORPUS / "runaway").iterdir()))
    venv = await asyncio.to_thread(machine.venv_with, CORPUS / "requirements.txt")
    with scene.scratch() as scratch:
        output = scratch / "findings.json"
        tool = [str(machine.LINNIX_LS), "run", "--tracer", "bcc", "--agent-socket"]
        tool += [str(scene.socket), "--json", str(output), "--"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CORPUS / "run_case.py"), str(folder)),
            *(f"--venv={venv}", f"--wrap={shlex.join(tool)}"),
            env=scene.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()  # it ends what the case has started
                await process.wait()
        try:
            document = json.loads(output.read_text())
        except (OSError, ValueError):
            scene.problems.append(f"no findings document of {folder.name}")
            return
        scene.done["cases of the corpus"] += 1
        scene.done["findings in them"] += len(document["findings"])
        scene.done["events lost, and said so"] += document["events"]["lost"]


async def playing(scene: Scene, chance: random.Random) -> None:
    """A round of `bench.playing`: probes loaded, exchanged, refused; the own ones edited."""
    player = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.playing", "--player"),
        *(str(scene.socket), str(chance.randrange(1 << 16)), str(scene.n_probes)),
        env=scene.environment,
        stdout=subprocess.PIPE,
    )
    assert player.stdout is not None
    try:
        scene.done.update(
            {f"probes: {what}": n for what, n in json.loads(await player.stdout.readline()).items()}
        )
        if chance.random() < 0.75:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(player.wait(), 5)
    finally:
        if player.returncode is None:
            player.kill()
            scene.done["players killed"] += 1
        await player.wait()


ALONE = "storm"  # what it costs is measured
ALL: dict[str, Load] = {
    ALONE: counted_storm,
    "client": passing_client,
    "editor": editor,
    "case": case,
    "playing": playing,
    "neovim": neovim,
}
if shutil.which("nvim") is None:
    del ALL["neovim"]


async def run(name: str, scene: Scene, chance: random.Random) -> None:
    """One load, to its end; what goes wrong is a problem of the measurement and no end of it."""
    try:
        async with asyncio.timeout(LIMIT_S):
            await ALL[name](scene, chance)
    except TimeoutError:
        scene.problems.append(f"{name}: not done after {LIMIT_S:.0f} s")
    except Exception as error:  # noqa: BLE001 - of whatever it is made of
        scene.problems.append(f"{name}: {type(error).__name__}: {error}")
