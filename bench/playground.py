"""How long from saving a probe to its diagnostics, and what completion in it takes.

    python -m bench.playground [--rounds N] [--out DIR]

Plays an editor, with the real server and an agent of its own: opens a copy of the product's
lifecycle.bpf.c, which is checked within the whole program that it is a part of, and saves it with
a pointer that is not checked and without, by turns. From didSave to publishDiagnostics. Completion
is asked for after each of the characters that a person types. What a check consists of is taken
apart by the worker's own steps, each in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import machine
from bench.editor.client import PlainEditor, plain_editor
from linnix_ls.config import cache_dir
from linnix_ls.playground.dialect import Dialect
from linnix_ls.playground.documents import whole_of
from linnix_ls.playground.service import make_request
from linnix_ls.tracer.bpf_source import PROBE_FILES, bpf_dir

SCHEMA = "linnix-probe-checks/1"
# What is aimed at.
TARGET_S = 1.0
TARGET_COMPLETION_MS = 10.0
GIVE_UP_S = 60.0

_CHECKED = "    if (!event)\n        return 0;\n"
_UNCHECKED = "    u8 *seen = watched_uids.lookup(&uid);\n    event->is_watched = *seen;\n"
_TYPED = "\n    u64 now = bpf_get_current_pid_tgid"

_PARTS = """
import json, os, sys, time
began = time.monotonic()
from linnix_ls.playground import check_worker
imported = time.monotonic()
bcc = check_worker.import_bcc()
loaded = time.monotonic()
request = json.load(sys.stdin)
with check_worker._kernel_types(request, is_whole=False) as flags:
    chosen = time.monotonic()
module = check_worker._trial_module(bcc, request)
compiled = time.monotonic()
lib = bcc.libbcc.lib
for name, kind in check_worker.bcc_programs(module, lib, request["contexts"]):
    code = module.dump_func(name.encode())
    license = lib.bpf_module_license(module.module)
    check_worker.bpf_syscall.load(kind, code, license, name.encode(), check_worker.LOG_BYTES)
ended = time.monotonic()
print(json.dumps({"modules of ours": imported - began, "BCC's binding": loaded - imported,
    "choosing types": chosen - loaded, "compiling": compiled - chosen,
    "verifier": ended - compiled}), flush=True)
os._exit(0)
"""


async def measure(n_rounds: int) -> dict[str, Any]:
    """The result as plain JSON."""
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="linnix-playground-") as scratch:
        folder = Path(scratch).resolve()
        for name in ("events.h", *PROBE_FILES):
            (folder / name).write_text((bpf_dir() / name).read_text())
        file = folder / "lifecycle.bpf.c"
        good = file.read_text()
        assert good.count(_CHECKED) == 1, "the probe is not what it was: change the bench, too"
        async with plain_editor() as editor:
            status = await editor.start(
                folder, {"tracer": "bcc", "agent_socket": f"{scratch}/agent.sock"}
            )
            uri = file.as_uri()
            document = {"uri": uri, "languageId": "c", "version": 0, "text": good}
            editor.notify("textDocument/didOpen", {"textDocument": document})
            texts = {"refused": good.replace(_CHECKED, _CHECKED + _UNCHECKED), "accepted": good}
            saves: dict[str, list[float]] = {kind: [] for kind in texts}
            for number in range(2 * n_rounds):
                kind = "accepted" if number % 2 else "refused"
                saves[kind].append(await _save_s(editor, uri, number + 1, texts[kind]))
                print(f"{kind} {number // 2 + 1}/{n_rounds}: {saves[kind][-1]:.2f} s", flush=True)
            completion = await _completions_ms(editor, uri, 2 * n_rounds + 1, good)
            await editor.stop()
    return {
        "schema": SCHEMA,
        **about,
        **status,
        "n_rounds": n_rounds,
        "save_s": {kind: _figures(each) for kind, each in saves.items()},
        "completion_ms": _figures(completion),
        "parts_s": await asyncio.to_thread(_parts, n_rounds),
    }


async def _diagnostics(editor: PlainEditor, uri: str) -> tuple[float, list[dict[str, Any]]]:
    async with asyncio.timeout(GIVE_UP_S):
        while True:
            at_s, params = await editor.published.get()
            if params["uri"] == uri:
                return at_s, params["diagnostics"]


async def _save_s(editor: PlainEditor, uri: str, version: int, text: str) -> float:
    _change(editor, uri, version, text)
    began_s = time.time()
    editor.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
    while True:
        at_s, diagnostics = await _diagnostics(editor, uri)
        if bool(diagnostics) == (_UNCHECKED in text):  # else of the text before
            return at_s - began_s


def _change(editor: PlainEditor, uri: str, version: int, text: str) -> None:
    document = {"uri": uri, "version": version}
    changes = [{"text": text}]
    editor.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})


async def _completions_ms(editor: PlainEditor, uri: str, version: int, text: str) -> list[float]:
    """One character after another is typed, and after each is asked."""
    start = text.index(_CHECKED)
    line = text.count("\n", 0, start) + 1
    taken = []
    for n_typed in range(1, len(_TYPED)):
        typed = _TYPED[: n_typed + 1]
        document = text[:start].rstrip("\n") + typed + "\n" + text[start:]
        _change(editor, uri, version + n_typed, document)
        at = {"line": line - 1, "character": len(typed) - 1}
        began_s = time.monotonic()
        await editor.request(
            "textDocument/completion", {"textDocument": {"uri": uri}, "position": at}
        )
        taken.append((time.monotonic() - began_s) * 1000)
    return taken


def _parts(n_rounds: int) -> dict[str, float]:
    """Medians of what the worker takes for each step, in an unconfined process."""
    path = str(bpf_dir() / "lifecycle.bpf.c")
    whole = whole_of(path, Path(path).read_text(), lambda _path: None)
    assert whole
    request = asyncio.run(make_request(cache_dir(), Dialect.BCC, whole.text))
    rounds = []
    for _ in range(n_rounds):
        with tempfile.TemporaryFile() as said:  # the worker reads what compilers said
            ran = subprocess.run(
                [sys.executable, "-c", _PARTS],
                input=json.dumps(asdict(request)),
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                check=True,
            )
        rounds.append(json.loads(ran.stdout))
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def _figures(values: list[float]) -> dict[str, Any]:
    return {
        "median": statistics.median(values),
        "p95": sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)],
        "all": values,
    }


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    rows = [
        [f"save to diagnostics, {kind}", f"{each['median']:.2f} s", f"{each['p95']:.2f} s", "1.0 s"]
        for kind, each in result["save_s"].items()
    ]
    completion = result["completion_ms"]
    rows.append(
        [
            "completion",
            f"{completion['median']:.1f} ms",
            f"{completion['p95']:.1f} ms",
            "10 ms (p95)",
        ]
    )
    parts = [[name, f"{seconds:.3f} s"] for name, seconds in result["parts_s"].items()]
    return (
        "# Checking and completing the product's own probe\n\n"
        f"linnix-ls {result['tool']['version']}, tracer {result['tracer']},"
        f" {result['measured_at']}: {result['n_cpus']} CPUs, kernel {result['kernel']},"
        f" Python {result['python']}, load before {result['load']}; {result['n_rounds']}"
        " rounds.\n\n"
        + machine.table(["what", "median", "p95", "at most"], rows)
        + "\nOf a check, in the worker:\n\n"
        + machine.table(["step", "median"], parts)
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.playground", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args()
    result = asyncio.run(measure(options.rounds))
    page = markdown(result)
    print("\n" + page)
    machine.save("playground", result, page, options.out)


if __name__ == "__main__":
    main()
