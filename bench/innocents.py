"""Runs real test suites, builds and computations under `linnix-ls run`: none may be accused.

    python -m bench.innocents [--only NAME]... [--tracer NAME] [--out DIR]

What runs is in `works`; it is fetched and made when it is first needed. The result is saved after
each, with the findings documents and what the commands printed beside it. Exit status 1: there
was a warning, or something could not be prepared or did not end well.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import machine
from bench.progress import Steps
from bench.scoring import GRAVE, SEVERITIES
from bench.works import WORKS, CannotPrepare, Work, prepared

SCHEMA = "linnix-innocents/1"
ALL = frozenset(work.name for work in WORKS)
MAX_RUN_S = 900
LOOK_EVERY_S = 0.5

# A run of tests or a build inside one of ours would believe to be a part of it.
_OURS = ("PYTEST_", "PYTHON", "VIRTUAL_ENV", "npm_", "MAKE", "CARGO_TARGET")


def watch(work: Work, folder: Path, tracer: str, documents: Path) -> dict[str, Any]:
    """Run one under the tool; what came of it, as plain JSON.

    Args:
        folder: what was prepared for it.
        documents: where its findings document and its output are kept.
    """
    machine.wait_for_no_agent()
    documents.mkdir(parents=True, exist_ok=True)
    output, log = documents / f"{work.name}.json", documents / f"{work.name}.log"
    tool = [str(machine.LINNIX_LS), "run", "--tracer", tracer, "--json", str(output), "--"]
    with (
        tempfile.TemporaryDirectory(
            prefix="linnix-innocent-", ignore_cleanup_errors=True
        ) as scratch,
        open(log, "wb") as said,
    ):
        workdir = Path(scratch, "work")
        shutil.copytree(folder / "work", workdir, symlinks=True)
        temporary = Path(scratch, "temporary")
        temporary.mkdir()
        process = subprocess.Popen(
            [*tool, *(word.replace("{prepared}", str(folder)) for word in work.command)],
            cwd=workdir,
            env=_environment(work, folder) | {"TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        give_up_s = time.monotonic() + MAX_RUN_S
        has_own_agent = is_stopped = False
        try:
            while process.poll() is None:
                has_own_agent = has_own_agent or machine.has_own_agent(process.pid)
                if time.monotonic() > give_up_s:
                    is_stopped = True
                    break
                time.sleep(LOOK_EVERY_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    last_line = last_words(log.read_text(errors="replace"))
    try:
        document = json.loads(output.read_text())
    except (OSError, ValueError):
        reason = f"stopped after {MAX_RUN_S} s" if is_stopped else "no findings document"
        return _failed(work, f"{reason}: {last_line}")
    if document["tracer"] == "bcc" and not has_own_agent:
        return _failed(work, "another run's agent watched, which may be of another version")
    return entry(work, document, last_line)


def last_words(said: str) -> str:
    """The last line of the command's own: the tool prints into the same."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("linnix:")]
    return lines[-1].strip() if lines else ""


def _environment(work: Work, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    added = {
        name: value.replace("{prepared}", str(folder)) for name, value in work.environment.items()
    }
    return kept | added


def entry(work: Work, document: Mapping[str, Any], last_line: str) -> dict[str, Any]:
    """What a findings document says of a run."""
    exit_code = document["exit_code"]
    return {
        "name": work.name,
        "about": work.about,
        "duration_s": document["duration_s"],
        "exit_code": exit_code,
        "n_processes": document["events"]["processes"],
        "n_lost": document["events"]["lost"],
        "tracer": document["tracer"] or "none",
        "findings": [_in_words(finding) for finding in document["findings"]],
        "severities": dict(Counter(finding["severity"] for finding in document["findings"])),
        "problem": f"ended with {exit_code}: {last_line}" if exit_code else None,
    }


def _failed(work: Work, problem: str) -> dict[str, Any]:
    return {"name": work.name, "about": work.about, "problem": problem}


def _in_words(finding: Mapping[str, Any]) -> str:
    location = finding["location"]
    place = f"{location['path']}:{location['line']}" if location else "no place"
    argv = " ".join(finding["process"]["argv"])[:120]
    return (
        f"{finding['severity']} {finding['kind']}/{finding['cause']} at {place}"
        f" after {finding['flagged_s']:.1f} s, {argv}"
    )


def measure(works: Sequence[Work], tracer: str, folder: Path) -> dict[str, Any]:
    """Prepare and run them, say how each went, and return the result as plain JSON."""
    about = machine.describe()
    path = machine.result_path("innocents", about, folder)
    entries: list[dict[str, Any]] = []
    result: dict[str, Any] = {"schema": SCHEMA, **about, "innocents": entries}
    with Steps(2 * len(works)) as steps:
        for work in works:
            steps.begin(f"{work.name}: prepare")
            made = _prepare(work)
            steps.begin(f"{work.name}: run")
            entries.append(
                watch(work, made, tracer, path.with_suffix(""))
                if isinstance(made, Path)
                else _failed(work, made)
            )
            result |= {"is_complete": len(entries) == len(works)}
            name, _, *cells = _row(entries[-1])
            steps.say(f"{name:30}" + "".join(f"{cell:10}" for cell in cells))
            for line in entries[-1].get("findings", []):
                steps.say(f"    {line}")
            machine.save_json(path, result)
    return result


def _prepare(work: Work) -> Path | str:
    """Its folder, or why there is none."""
    try:
        return prepared(work)
    except CannotPrepare as error:
        return f"cannot be prepared: {error}"


def problems(result: Mapping[str, Any]) -> list[str]:
    """Why this is no proof of innocence, in words."""
    found = []
    for one in result["innocents"]:
        if one["problem"]:
            found.append(f"{one['name']}: {one['problem']}")
        if GRAVE & one.get("severities", {}).keys():
            found.append(f"{one['name']}: accused, though innocent")
    return found


def markdown(result: Mapping[str, Any]) -> str:
    """The result as a page."""
    tracers = sorted({one["tracer"] for one in result["innocents"] if "tracer" in one})
    head = ["innocent", "what it is", "time", "exit", "processes", "lost", "findings"]
    about = (
        f"linnix-ls {result['tool']['version']}, tracer {' and '.join(tracers)},"
        f" {result['measured_at']}: {result['n_cpus']} CPUs, kernel {result['kernel']},"
        f" load before {result['load']}. Each is to run to its end without a warning."
    )
    said = [
        f"{one['name']}: {line}" for one in result["innocents"] for line in one.get("findings", [])
    ]
    lines = [
        "# Innocents",
        "",
        about,
        "",
        machine.table(head, [_row(one) for one in result["innocents"]]),
    ]
    for heading, listed in (("Findings", said), ("Problems", problems(result))):
        lines += [f"{heading}: {'' if listed else 'none.'}".strip(), ""]
        lines += [*(f"- {line}" for line in listed), ""] if listed else []
    return "\n".join(lines)


def _row(one: Mapping[str, Any]) -> list[str]:
    if "tracer" not in one:
        return [one["name"], one["about"], "-", "-", "-", "-", "NOT MEASURED"]
    severities = [f"{one['severities'][s]} {s}" for s in SEVERITIES if s in one["severities"]]
    return [
        one["name"],
        one["about"],
        f"{one['duration_s']:.1f} s",
        str(one["exit_code"]),
        str(one["n_processes"]),
        str(one["n_lost"]),
        ", ".join(severities) or "none",
    ]


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.innocents", description=__doc__.split("\n")[0])
    names = [work.name for work in WORKS]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--tracer", choices=("auto", "bcc", "psutil"), default="auto")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    machine.end_tidily()
    works = [work for work in WORKS if work.name in (options.only or names)]
    try:
        result = measure(works, options.tracer, options.out)
    except (KeyboardInterrupt, TimeoutError) as error:
        print(f"stopped {error}; what is done is kept", file=sys.stderr)
        return 1
    page = markdown(result)
    print("\n" + page)
    machine.save("innocents", result, page, options.out)
    return int(bool(problems(result)))


if __name__ == "__main__":
    sys.exit(main())
