"""How long after it is flagged a finding arrives, and how fast the server answers in a storm.

Plays an editor, with the real server, agent and probes. From the flagging to the diagnostic both
clocks are this machine's: what the detector takes is not in it (`bench.latency` has that).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.editor.client import PlainEditor, plain_editor
from bench.latency import SOURCES, pytest_on

ASK_EVERY_S = 0.02
GIVE_UP_S = 30.0


async def measure(n_rounds: int, n_asked: int) -> dict[str, Any]:
    """Seconds from flagged to arrived, and milliseconds of answers, idle and in a storm."""
    arrived_s: list[float] = []
    answers: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="linnix-editor-") as scratch:
        folder = Path(scratch).resolve()
        async with plain_editor() as editor:
            settings = {"tracer": "bcc", "agent_socket": f"{scratch}/agent.sock"}
            status = await editor.start(folder, settings)
            for number in range(n_rounds):
                for kind in SOURCES:
                    with pytest_on(file := _test_file(folder, kind, number)):
                        arrived_s.append(await _arrived_s(editor, file.as_uri()))
                    print(f"{kind} {number + 1}/{n_rounds}: {arrived_s[-1]:.3f} s", flush=True)
            answers["idle"] = await _ask(editor, file.as_uri(), n_asked)
            with pytest_on(file := _test_file(folder, "fork_storm", n_rounds)):
                await _arrived_s(editor, file.as_uri())
                answers["fork storm"] = await _ask(editor, file.as_uri(), n_asked)
            await editor.stop()
    return {**status, "arrived_s": arrived_s, "answers_ms": answers}


def _test_file(workspace: Path, kind: str, number: int) -> Path:
    folder = workspace / f"{kind}_{number}"
    folder.mkdir()
    file = folder / f"test_{kind}_{number}.py"
    # A storm as fast as it goes, which leaves no CPU idle, rather than a hundred times a second.
    file.write_text(SOURCES[kind].replace("next_start += 0.01", "next_start += 0"))
    return file


async def _arrived_s(editor: PlainEditor, uri: str) -> float:
    """From the flagging of the first finding in that file to its diagnostic."""
    async with asyncio.timeout(GIVE_UP_S):
        while True:
            arrived_s, params = await editor.published.get()
            if params["uri"] == uri and params["diagnostics"]:
                break
        finding_id = params["diagnostics"][0]["data"]["finding_id"]
        await editor.request("linnix/status")  # what was sent with it has arrived then
    flagged_at = editor.findings[finding_id]["flagged_at"]
    return arrived_s - datetime.fromisoformat(flagged_at).timestamp()


async def _ask(editor: PlainEditor, uri: str, n_asked: int) -> dict[str, list[float]]:
    """Milliseconds of hovers and code actions on the diagnostic of that file, by turns."""
    [line] = {
        each["location"]["line"]
        for each in editor.findings.values()
        if each["location"] and each["location"]["uri"] == uri
    }
    questions: dict[str, Callable[[str, int], Awaitable[Any]]] = {
        "hover": editor.hover,
        "code action": editor.code_actions,
    }
    for question in questions.values():  # the first one may import something
        assert await question(uri, line), "there is nothing to be told about the diagnostic"
    times_ms: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(n_asked):
        for name, question in questions.items():
            await asyncio.sleep(ASK_EVERY_S)
            began_s = time.perf_counter()
            await question(uri, line)
            times_ms[name].append((time.perf_counter() - began_s) * 1000)
    return times_ms
