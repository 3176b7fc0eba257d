"""How long from the start of a runaway in a test to its diagnostic in the editor.

    python -m bench.latency [--rounds N] [--quick] [--out DIR]

Plays an editor: starts the real server on stdio, opens a workspace, starts pytest as a terminal
in it would, and takes the time from the moment that the test begins to run away (the test writes
it down: CLOCK_MONOTONIC is the same for all processes) until it is flagged, and from there to
`publishDiagnostics` on that file. Once while the machine has nothing else to do, and once while
two processes for each CPU, that nobody watches, want all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from lsprotocol import types
from pygls import uris
from pygls.lsp.client import LanguageClient

from bench import machine, plots

SCHEMA = "linnix-latency/2"
NS_PER_S = 1_000_000_000

# The most that is aimed at, median of ten on a quiet machine.
TARGET_S = {"cpu_spin": 3.0, "fork_storm": 1.5}
GIVE_UP_S = 20.0

# Each round is a file of its own, so that no diagnostic of the last one can be taken for its own.
# SIGALRM ends a test whose bench has died.
_HEAD = """\
import signal
import subprocess
import time


def begin():
    signal.alarm(60)
    with open("began", "w") as file:
        file.write(str(time.monotonic_ns()))

"""
SOURCES = {
    "cpu_spin": _HEAD
    + """
def first_result(results):
    while True:
        for result in results:
            return result


def test_results_come():
    begin()
    first_result([])
""",
    "fork_storm": _HEAD
    + """
def keep_running(command):
    next_start = time.monotonic()
    while True:
        subprocess.run(command)
        next_start += 0.01
        time.sleep(max(0, next_start - time.monotonic()))


def test_helper_runs():
    begin()
    keep_running(["false"])
""",
}


@contextmanager
def pytest_on(file: Path) -> Iterator[None]:
    """pytest on one file, in a session of its own; killed at the end with what is below it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file.name],
        cwd=file.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one runaway, the line that was said and the two parts of the time until then."""

    flagged_after_s: float
    published_after_s: float
    line: int

    @property
    def seconds(self) -> float:
        return self.flagged_after_s + self.published_after_s


class Editor:
    """A client of the server that remembers when each file got which diagnostics."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.published: asyncio.Queue[tuple[int, types.PublishDiagnosticsParams]] = asyncio.Queue()
        self._flagged_at: dict[str, str] = {}  # by the finding's id, as the server says it
        self.client = LanguageClient("linnix-latency", "1")

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def publish(params: types.PublishDiagnosticsParams) -> None:
            self.published.put_nowait((time.monotonic_ns(), params))

        @self.client.feature("linnix/didChangeFindings")
        def change(params: Any) -> None:
            self._flagged_at |= {each.id: each.flagged_at for each in params.findings}

        @self.client.feature("linnix/didChangeStatus")
        @self.client.feature("linnix/probesChanged")
        def ignore(_params: object) -> None:
            pass

    async def start(
        self,
        options: dict[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Start the server, with these settings, and wait until it watches; its status."""
        await self.client.start_io(str(machine.LINNIX_LS), env=environment)
        folder = types.WorkspaceFolder(uri=self.workspace.as_uri(), name="latency")
        await self.client.initialize_async(
            types.InitializeParams(
                capabilities=types.ClientCapabilities(),
                process_id=os.getpid(),
                initialization_options=options,
                workspace_folders=[folder],
            )
        )
        self.client.initialized(types.InitializedParams())
        until = time.monotonic() + 60
        while time.monotonic() < until:
            status = await self.client.protocol.send_request_async("linnix/status", {})
            if status.state == "watching":
                return {"tracer": status.tracer, "degraded": status.degraded}
            await asyncio.sleep(0.1)
        raise TimeoutError(f"the server does not watch after a minute: {status}")

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()

    @property
    def server_pid(self) -> int | None:
        """Of its process, from its start on."""
        server = self.client._server  # noqa: SLF001 - pygls shows it nowhere else
        return server.pid if server else None

    async def kill(self) -> None:
        """End the server without taking leave."""
        assert self.server_pid is not None
        os.kill(self.server_pid, signal.SIGKILL)
        await self.client.stop()

    async def time_to_diagnostic(
        self, kind: str, number: int, *, give_up_s: float = GIVE_UP_S
    ) -> Measured | None:
        """From the beginning of the runaway; None if no diagnostic came."""
        folder = self.workspace / f"{kind}_{number}"
        folder.mkdir()
        file = folder / f"test_{kind}_{number}.py"
        file.write_text(SOURCES[kind])
        with pytest_on(file):
            try:
                async with asyncio.timeout(give_up_s):
                    at_ns, diagnostic = await self._diagnostic_on(file, kind)
            except TimeoutError:
                return None
            # What was sent with it has arrived when this is answered.
            await self.client.protocol.send_request_async("linnix/status", {})
        began_ns = int((folder / "began").read_text())
        wall_offset_s = time.time() - time.monotonic()
        flagged_at = datetime.fromisoformat(self._flagged_at[diagnostic.data["finding_id"]])
        flagged_s = flagged_at.timestamp() - wall_offset_s
        return Measured(
            flagged_after_s=flagged_s - began_ns / NS_PER_S,
            published_after_s=at_ns / NS_PER_S - flagged_s,
            line=diagnostic.range.start.line + 1,
        )

    async def _diagnostic_on(self, file: Path, kind: str) -> tuple[int, Any]:
        while True:
            at_ns, params = await self.published.get()
            path = uris.to_fs_path(params.uri)
            for diagnostic in params.diagnostics if path == str(file) else ():
                if diagnostic.source == "linnix" and diagnostic.code == kind:
                    return at_ns, diagnostic


async def measure(n_rounds: int) -> dict[str, Any]:
    """All rounds of all kinds, each time on one server; the result as plain JSON."""
    about = machine.describe()
    status: dict[str, Any] = {}
    meanwhile: dict[str, Any] = {}
    for what, while_it in (("nothing else runs", nullcontext()), ("CPUs full", machine.busy())):
        with while_it, tempfile.TemporaryDirectory(prefix="linnix-latency-") as scratch:
            print(what)
            editor = Editor(Path(scratch).resolve())
            status = await editor.start()
            print(f"watching by {status['tracer']}; degraded: {status['degraded'] or 'no'}")
            meanwhile[what] = await _measure_kinds(editor, n_rounds)
            await editor.stop()
        machine.wait_for_no_agent()
    return {"schema": SCHEMA, **about, **status, "n_rounds": n_rounds, "meanwhile": meanwhile}


async def _measure_kinds(editor: Editor, n_rounds: int) -> dict[str, Any]:
    kinds: dict[str, Any] = {}
    for kind in SOURCES:
        rounds = []
        for number in range(n_rounds):
            measured = await editor.time_to_diagnostic(kind, number)
            rounds.append(measured)
            said = f"{measured.seconds:.2f} s, line {measured.line}" if measured else "nothing came"
            print(f"{kind} {number + 1}/{n_rounds}: {said}", flush=True)
        kinds[kind] = figures(kind, rounds)
    return kinds


def figures(kind: str, rounds: list[Measured | None]) -> dict[str, Any]:
    """Of one kind; rounds in which nothing came are counted, and in none of the medians."""
    came = [measured for measured in rounds if measured]
    seconds = [measured.seconds for measured in came]

    def middle(values: list[float]) -> float | None:
        return round(median(values), 3) if values else None

    return {
        "seconds": [round(measured.seconds, 3) if measured else None for measured in rounds],
        "lines": [measured.line if measured else None for measured in rounds],
        "n_missed": rounds.count(None),
        "min_s": min(seconds, default=None),
        "median_s": middle(seconds),
        "max_s": max(seconds, default=None),
        "flagged_after_s": middle([measured.flagged_after_s for measured in came]),
        "published_after_s": middle([measured.published_after_s for measured in came]),
        "target_s": TARGET_S[kind],
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f} s"

    names = ("flagged_after_s", "published_after_s", "min_s", "median_s", "max_s")
    rows = [
        [
            kind,
            meanwhile,
            *(seconds(of_kind[name]) for name in names),
            str(of_kind["n_missed"]),
            f"{of_kind['target_s']:.1f} s",
        ]
        for meanwhile, kinds in result["meanwhile"].items()
        for kind, of_kind in kinds.items()
    ]
    head = ["kind", "meanwhile", "until flagged", "until published", "min", "median", "max"]
    return (
        "# Time from the start of a runaway to its diagnostic\n\n"
        f"linnix-ls {result['tool']['version']}, tracer {result['tracer']},"
        f" {result['measured_at']}: {result['n_cpus']} CPUs, kernel {result['kernel']},"
        f" Python {result['python']}, load before {result['load']}; {result['n_rounds']} rounds.\n"
        "A pytest test spins, or starts a failing command 100 times a second. Full means two"
        " processes for each CPU that want all of it. Flagged: by the agent, published: from then"
        " to the editor (medians).\n\n" + machine.table([*head, "missed", "at most (median)"], rows)
    )


def plot(result: dict[str, Any], path: Path) -> Path:
    """Medians, from the fastest to the slowest, a panel for each kind."""
    conditions = result["meanwhile"]
    panels = [
        plots.Panel(
            kind, [_bar(meanwhile, kinds[kind]) for meanwhile, kinds in conditions.items()], most_s
        )
        for kind, most_s in TARGET_S.items()
    ]
    return plots.bars(path, "From the start of a runaway to its diagnostic", "s", panels)


def _bar(meanwhile: str, of_kind: dict[str, Any]) -> plots.Bar:
    middle, least, most = (of_kind[name] for name in ("median_s", "min_s", "max_s"))
    return plots.Bar(meanwhile, middle, least, most, is_ours=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.latency", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, metavar="N", help="of each; 10")
    parser.add_argument("--quick", action="store_true", help="two rounds of each")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    machine.end_tidily()
    result = asyncio.run(measure(options.rounds or (2 if options.quick else 10)))
    page = markdown(result)
    print("\n" + page)
    machine.save("latency", result, page, options.out, plot)


if __name__ == "__main__":
    main()
