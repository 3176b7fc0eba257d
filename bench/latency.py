"""How long from the start of a runaway in a test to its diagnostic in the editor.

    python -m bench.latency [--rounds N] [--out DIR]

Plays an editor: starts the real server on stdio, opens a workspace, starts pytest as a terminal
in it would, and takes the time from the moment that the test begins to run away (the test writes
it down: CLOCK_MONOTONIC is the same for all processes) to `publishDiagnostics` on that file.
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
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from lsprotocol import types
from pygls import uris
from pygls.lsp.client import LanguageClient

from bench import machine

SCHEMA = "linnix-latency/1"
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


class Editor:
    """A client of the server that remembers when each file got which diagnostics."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.published: asyncio.Queue[tuple[int, types.PublishDiagnosticsParams]] = asyncio.Queue()
        self.client = LanguageClient("linnix-latency", "1")

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def publish(params: types.PublishDiagnosticsParams) -> None:
            self.published.put_nowait((time.monotonic_ns(), params))

        @self.client.feature("linnix/didChangeFindings")
        @self.client.feature("linnix/didChangeStatus")
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
    ) -> tuple[float, int] | None:
        """Seconds from the beginning of the runaway, and the line said; None if none came."""
        folder = self.workspace / f"{kind}_{number}"
        folder.mkdir()
        file = folder / f"test_{kind}_{number}.py"
        file.write_text(SOURCES[kind])
        with pytest_on(file):
            try:
                async with asyncio.timeout(give_up_s):
                    at_ns, line = await self._diagnostic_on(file, kind)
            except TimeoutError:
                return None
        began_ns = int((folder / "began").read_text())
        return (at_ns - began_ns) / NS_PER_S, line

    async def _diagnostic_on(self, file: Path, kind: str) -> tuple[int, int]:
        while True:
            at_ns, params = await self.published.get()
            path = uris.to_fs_path(params.uri)
            for diagnostic in params.diagnostics if path == str(file) else ():
                if diagnostic.source == "linnix" and diagnostic.code == kind:
                    return at_ns, diagnostic.range.start.line + 1


async def measure(n_rounds: int) -> dict[str, Any]:
    """All rounds of all kinds on one server; the result as plain JSON."""
    about = machine.describe()
    kinds: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="linnix-latency-") as scratch:
        editor = Editor(Path(scratch).resolve())
        status = await editor.start()
        print(f"watching by {status['tracer']}; degraded: {status['degraded'] or 'no'}")
        for kind in SOURCES:
            rounds = []
            for number in range(n_rounds):
                measured = await editor.time_to_diagnostic(kind, number)
                rounds.append(measured)
                said = f"{measured[0]:.2f} s, line {measured[1]}" if measured else "nothing came"
                print(f"{kind} {number + 1}/{n_rounds}: {said}", flush=True)
            kinds[kind] = _figures(kind, rounds)
        await editor.stop()
    return {"schema": SCHEMA, **about, **status, "n_rounds": n_rounds, "kinds": kinds}


def _figures(kind: str, rounds: list[tuple[float, int] | None]) -> dict[str, Any]:
    times = [measured[0] for measured in rounds if measured]
    return {
        "seconds": [round(measured[0], 3) if measured else None for measured in rounds],
        "lines": [measured[1] if measured else None for measured in rounds],
        "n_missed": rounds.count(None),
        "min_s": min(times, default=None),
        "median_s": median(times) if times else None,
        "max_s": max(times, default=None),
        "target_s": TARGET_S[kind],
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f} s"

    rows = [
        [
            kind,
            *(seconds(figures[name]) for name in ("min_s", "median_s", "max_s")),
            str(figures["n_missed"]),
            f"{figures['target_s']:.1f} s",
        ]
        for kind, figures in result["kinds"].items()
    ]
    return (
        "# Time from the start of a runaway to its diagnostic\n\n"
        f"linnix-ls {result['tool']['version']}, tracer {result['tracer']},"
        f" {result['measured_at']}: {result['n_cpus']} CPUs, kernel {result['kernel']},"
        f" Python {result['python']}, load before {result['load']}; {result['n_rounds']} rounds.\n"
        "A pytest test spins, or starts a failing command 100 times a second.\n\n"
        + machine.table(["kind", "min", "median", "max", "missed", "at most (median)"], rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.latency", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    result = asyncio.run(measure(options.rounds))
    page = markdown(result)
    print("\n" + page)
    machine.save("latency", result, page, options.out)


if __name__ == "__main__":
    main()
