"""Runs the corpus under `linnix-ls run` and says how often it is right.

    python -m bench.accuracy [--case ID]... [--runs N] [--corpus DIR] [--out DIR]
    python -m bench.accuracy --compare OLD.json NEW.json

The cases go through the same command that a user types, and nothing of a case.toml reaches it.
Run it on an otherwise quiet machine: a case loads a core or two for some ten seconds.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from bench import machine
from bench.scoring import (
    BENIGN,
    Case,
    Report,
    Score,
    SeenProcess,
    do_runs_differ,
    majority,
    reports_of,
    score,
    summarize,
)

SCHEMA = "linnix-accuracy/1"

# Often enough to see whoever lives long enough to start a runaway.
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class CaseRun:
    """One run of one case: what was reported, by which tracer, and what went wrong."""

    reports: tuple[Report, ...]
    tracer: str | None
    problem: str | None


def run_case(folder: Path, case: Case, venv: Path) -> CaseRun:
    """Run a case once under the tool and read what it reported."""
    with tempfile.TemporaryDirectory(prefix="linnix-accuracy-") as scratch:
        output = Path(scratch, "findings.json")
        tool = [str(machine.LINNIX_LS), "run", "--json", str(output), "--"]
        command = [
            sys.executable,
            str(folder.parents[1] / "run_case.py"),
            str(folder),
            f"--venv={venv}",
            f"--wrap={shlex.join(tool)}",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            start = json.loads(process.stdout.readline())
            seen: dict[int, SeenProcess] = {}
            while process.poll() is None:
                _look_below(start["pid"], seen)
                time.sleep(LOOK_EVERY_S)
            end = json.loads(process.stdout.readline())
        try:
            document = json.loads(output.read_text())
        except (OSError, ValueError) as error:
            last_line = "".join(end["log_tail"].strip().splitlines()[-1:])
            return CaseRun((), None, f"no findings document: {error}; {last_line}")
    began = datetime.fromisoformat(document["started_at"]).timestamp()
    reports = reports_of(
        document,
        case,
        workdir=start["workdir"],
        start_delay_s=max(0.0, began - start["wall"]),
        seen=list(seen.values()),
    )
    problem = None if end["reason"] == "exit" else f"the case was stopped: {end['reason']}"
    return CaseRun(reports, document["tracer"], problem)


def _look_below(pid: int, seen: dict[int, SeenProcess]) -> None:
    """Add the processes below `pid`, itself left out."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in children:
        try:
            cmdline = " ".join(child.cmdline())
            seen[child.pid] = SeenProcess(child.pid, child.ppid(), cmdline)
        except psutil.Error:
            continue


def measure(folders: list[Path], *, n_runs: int, n_jobs: int, venv: Path) -> dict[str, Any]:
    """Run the cases, print a line as each is done, and return the result as plain JSON."""
    about = machine.describe()
    cases = {folder.name: Case.read(folder) for folder in folders}

    def run_all(folder: Path) -> list[CaseRun]:
        case = cases[folder.name]
        runs = [run_case(folder, case, venv) for _ in range(n_runs)]
        print(_line(case, majority([score(case, run.reports) for run in runs])), flush=True)
        for problem in {run.problem for run in runs} - {None}:
            print(f"{'':24}{problem}", flush=True)
        return runs

    with ThreadPoolExecutor(n_jobs) as pool:
        runs_of = dict(zip(cases, pool.map(run_all, folders), strict=True))

    return {
        "schema": SCHEMA,
        **about,
        "tracers": sorted({run.tracer or "none" for runs in runs_of.values() for run in runs}),
        "n_runs": n_runs,
        **judge(cases, runs_of),
    }


def judge(cases: Mapping[str, Case], runs_of: Mapping[str, Sequence[CaseRun]]) -> dict[str, Any]:
    """Scores of all cases and in sum, as plain JSON. `runs_of` is by case id."""
    entries, judged, judged_grave = [], [], []
    for case_id, runs in runs_of.items():
        case = cases[case_id]
        scores = [score(case, run.reports) for run in runs]
        judged.append(majority(scores))
        judged_grave.append(majority([score(case, r.reports, only_grave=True) for r in runs]))
        entries.append(
            {
                "id": case_id,
                "label": case.label,
                "expected_cause": case.cause,
                "score": asdict(judged[-1]),
                "do_runs_differ": do_runs_differ(scores),
                "runs": [asdict(run) for run in runs],
            }
        )
    return {
        "summary": summarize(cases, judged),
        "summary_of_warnings": summarize(cases, judged_grave),
        "cases": entries,
    }


def _line(case: Case, judged: Score) -> str:
    if case.label == BENIGN:
        words = ", ".join(judged.false_reports)
        return f"{case.id:24}benign          " + (f"FALSE ALARM  {words}" if words else "quiet")
    parts = [f"{case.id:24}{case.label:16}{judged.detection or '':13}"]
    if judged.detection != "missed":
        cause = judged.cause if judged.is_cause_right else f"{judged.cause} (not {case.cause})"
        parts.append(f"{judged.place or '':7}{_seconds(judged.flagged_s):9}{cause}  {judged.said}")
    if judged.false_reports:
        parts.append(f"  also accused a stranger: {', '.join(judged.false_reports)}")
    return "".join(parts)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


_FIGURES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "n_runaway": ("runaway cases", str),
    "n_benign": ("benign cases", str),
    "n_detected": ("detected", str),
    "n_wrong_kind": ("of these, as another kind", str),
    "n_missed": ("missed", str),
    "n_false_positives": ("false positives", str),
    "precision": ("precision", _percent),
    "recall": ("recall", _percent),
    "cause_accuracy": ("cause right", _percent),
    "line_exact": ("line exact", _percent),
    "line_near": ("line near", _percent),
    "median_flagged_s": ("median time to flag", _seconds),
    "in_time": ("in time", _percent),
}


def markdown(result: Mapping[str, Any]) -> str:
    """The result as a page."""
    by_label = result["summary"]["by_label"]
    head = ["", "all", "warnings and above", *by_label]
    columns = [result["summary"], result["summary_of_warnings"], *by_label.values()]
    rows = [
        [name, *(write(column[figure]) for column in columns)]
        for figure, (name, write) in _FIGURES.items()
    ]
    cases = [_case_row(entry) for entry in result["cases"]]
    differing = [entry["id"] for entry in result["cases"] if entry["do_runs_differ"]]
    about = (
        f"linnix-ls {result['tool']['version']}, tracer {' and '.join(result['tracers'])},"
        f" {result['measured_at']}: {result['n_cpus']} CPUs, kernel {result['kernel']},"
        f" Python {result['python']}, load before {result['load']};"
        f" {result['n_runs']} run(s) a case. The rules are those of bench/corpus/README.md."
    )
    return "\n".join(
        [
            "# Accuracy on bench/corpus",
            "",
            about,
            "",
            machine.table(head, rows),
            machine.table(
                ["case", "label", "detection", "place", "said", "cause", "flagged", "in time"],
                cases,
            ),
            f"Runs differ in: {', '.join(differing) or 'no case'}.",
            "",
        ]
    )


def _case_row(entry: Mapping[str, Any]) -> list[str]:
    judged = Score(**entry["score"])
    detection = judged.detection or ("FALSE ALARM" if judged.false_reports else "quiet")
    cause = judged.cause or "-"
    if judged.is_cause_right is False:
        cause += f" (not {entry['expected_cause']})"
    if judged.false_reports:
        detection += f" ({', '.join(judged.false_reports)})"
    in_time = {True: "yes", False: "no", None: "-"}[judged.is_in_time]
    return [
        entry["id"],
        entry["label"],
        detection,
        judged.place or "-",
        judged.said or "-",
        cause,
        _seconds(judged.flagged_s),
        in_time,
    ]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What changed from one result to another, as a page."""
    rows = [
        [name, write(old["summary"][figure]), write(new["summary"][figure])]
        for figure, (name, write) in _FIGURES.items()
    ]
    before = {entry["id"]: _case_row(entry) for entry in old["cases"]}
    after = {entry["id"]: _case_row(entry) for entry in new["cases"]}
    changed = [
        [case_id, " ".join(before[case_id][2:6]), " ".join(after[case_id][2:6])]
        for case_id in before.keys() & after.keys()
        if _verdict(before[case_id]) != _verdict(after[case_id])
    ]
    only = sorted(before.keys() ^ after.keys())
    page = machine.table(["", "old", "new"], rows) + "\n"
    page += (
        machine.table(["case", "old", "new"], sorted(changed)) if changed else "No case changed.\n"
    )
    return page + (f"\nOnly in one of them: {', '.join(only)}.\n" if only else "")


def _verdict(row: list[str]) -> tuple[str, ...]:
    """What makes a case's result another one: not by how many milliseconds it came sooner."""
    return (row[2], row[3], row[5], row[7])


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.accuracy", description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=Path(__file__).parent / "corpus")
    parser.add_argument("--case", action="append", metavar="ID", help="only this one; repeatable")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="a case; majority counts")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="cases at once; spoils times"
    )
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"))
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    if options.compare:
        old, new = (json.loads(path.read_text()) for path in options.compare)
        print(compare(old, new), end="")
        return
    folders = sorted(path.parent for path in (options.corpus / "runaway").glob("*/case.toml"))
    if options.case:
        unknown = set(options.case) - {folder.name for folder in folders}
        if unknown:
            parser.error(f"no such case: {', '.join(sorted(unknown))}")
        folders = [folder for folder in folders if folder.name in options.case]
    venv = machine.venv_with(options.corpus / "requirements.txt")
    result = measure(folders, n_runs=options.runs, n_jobs=options.jobs, venv=venv)
    page = markdown(result)
    print("\n" + page)
    machine.save("accuracy", result, page, options.out)


if __name__ == "__main__":
    main()
