"""Whether the language server answers as fast while a model works for it.

    python -m bench.explain.hover --model NAME_OR_GGUF [--rounds N] [--out DIR]

Plays an editor: has as many tests run away as there are rounds, one after another, and stops each
as soon as it has its diagnostic. Then it hovers over the lines, turn by turn while the server has
nothing else to do and while a model writes about one of them (`linnix.explain`). Both figures come
from one server, so a slow machine makes both slow.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from lsprotocol import types
from pygls import uris

from bench import machine
from bench.latency import SOURCES, Editor, pytest_on

SCHEMA = "linnix-hover/1"
HOVER_EVERY_S = 0.02
N_HOVERS_IDLE = 100
GIVE_UP_S = 30.0
TARGET_P95_MS = 10.0


async def measure(model: str, n_rounds: int) -> dict[str, Any]:
    """Milliseconds of all hovers, by what the server had to do; as plain JSON."""
    about = machine.describe()
    times_ms: dict[str, list[float]] = {"idle": [], "model works": []}
    with tempfile.TemporaryDirectory(prefix="linnix-hover-") as scratch:
        editor = Editor(Path(scratch).resolve())
        status = await editor.start(
            {"explain": {"source": "llama", "model": model, "when": "asked"}}
        )
        shown = [await _run_away(editor, number) for number in range(n_rounds)]
        for number, diagnostic in enumerate(shown):
            times_ms["idle"] += [await _hover_ms(editor, diagnostic) for _ in range(N_HOVERS_IDLE)]
            asking = asyncio.ensure_future(_explain(editor, diagnostic))
            while not asking.done():
                times_ms["model works"].append(await _hover_ms(editor, diagnostic))
            print(f"{number + 1}/{n_rounds}: {asking.result()}", flush=True)
        notes = (await editor.client.protocol.send_request_async("linnix/status", {})).explain.notes
        await editor.stop()
    return {
        "schema": SCHEMA,
        **about,
        **status,
        "model": model,
        "n_rounds": n_rounds,
        "n_asked": notes.asked,
        "n_shown": notes.shown,
        "target_p95_ms": TARGET_P95_MS,
        "hovers": {name: _figures(times) for name, times in times_ms.items()},
    }


async def _run_away(editor: Editor, number: int) -> tuple[str, types.Diagnostic]:
    """The URI and the diagnostic of a test that spins; it has ended by then."""
    folder = editor.workspace / f"hover_{number}"
    folder.mkdir()
    file = folder / f"test_hover_{number}.py"
    file.write_text(SOURCES["cpu_spin"])
    with pytest_on(file):
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                _, params = await editor.published.get()
                if uris.to_fs_path(params.uri) == str(file) and params.diagnostics:
                    return params.uri, params.diagnostics[0]


async def _hover_ms(editor: Editor, shown: tuple[str, types.Diagnostic]) -> float:
    uri, diagnostic = shown
    await asyncio.sleep(HOVER_EVERY_S)
    began_s = time.perf_counter()
    answer = await editor.client.text_document_hover_async(
        types.HoverParams(
            text_document=types.TextDocumentIdentifier(uri=uri), position=diagnostic.range.start
        )
    )
    took_ms = (time.perf_counter() - began_s) * 1000
    assert answer is not None, "there is no hover over the diagnostic"
    return took_ms


async def _explain(editor: Editor, shown: tuple[str, types.Diagnostic]) -> str:
    """What came of it, in words."""
    told: Any = shown[1].data
    argument = {"finding_id": told["finding_id"], "quiet": True}
    began_s = time.perf_counter()
    answer: Any = await editor.client.workspace_execute_command_async(
        types.ExecuteCommandParams(command="linnix.explain", arguments=[argument])
    )
    took = f"{time.perf_counter() - began_s:.1f} s"
    return f"{answer['note_problem'] or 'a note was written'} ({took})"


def _figures(times_ms: list[float]) -> dict[str, Any]:
    return {
        "n": len(times_ms),
        "median_ms": median(times_ms),
        "p95_ms": quantiles(times_ms, n=20)[-1],
        "max_ms": max(times_ms),
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    rows = [
        [
            name,
            str(figures["n"]),
            *(f"{figures[key]:.1f} ms" for key in ("median_ms", "p95_ms", "max_ms")),
        ]
        for name, figures in result["hovers"].items()
    ]
    return (
        "# Hovers while a model works\n\n"
        f"linnix-ls {result['tool']['version']}, model {Path(result['model']).stem},"
        f" {result['measured_at']}: {result['n_cpus']} CPUs, kernel {result['kernel']}, load before"
        f" {result['load']}; {result['n_rounds']} rounds on one server, by turns. At most"
        f" {result['target_p95_ms']:.0f} ms (p95) are allowed.\n\n"
        + machine.table(["the server is", "hovers", "median", "p95", "max"], rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.explain.hover", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    result = asyncio.run(measure(options.model, options.rounds))
    page = markdown(result)
    print("\n" + page)
    machine.save("hover", result, page, options.out)


if __name__ == "__main__":
    main()
