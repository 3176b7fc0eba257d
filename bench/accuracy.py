"""Runs the corpus under `linnix-ls run` and says how often it is right.

    python -m bench.accuracy [--case ID]... [--runs N] [--corpus DIR]... [--tracer NAME] [--out DIR]
    python -m bench.accuracy --resume RESULT.json
    python -m bench.accuracy --compare OLD.json NEW.json

The cases go through the same command that a user types, and nothing of a case.toml reaches it.
Run it on an otherwise quiet machine: a case loads a core or two for some ten seconds. The result
is saved after each case. Exit status 1: some run came to nothing, and is listed as a problem.
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
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from bench import machine
from bench.progress import Steps
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
CORPUS = Path(__file__).parent / "corpus"

# Often enough to see whoever lives long enough to start a runaway.
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class CaseRun:
    """One run of one case.

    Attributes:
        tracer: None if there is no findings document: then nothing was measured.
        problem: what went wrong with the measuring, in words.
    """

    reports: tuple[Report, ...]
    tracer: str | None
    problem: str | None
    n_lost: int = 0

    @property
    def is_measured(self) -> bool:
        return self.tracer is not None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> CaseRun:
        return cls(**{**raw, "reports": tuple(Report(**report) for report in raw["reports"])})


def run_case(folder: Path, case: Case, venv: Path, tracer: str) -> CaseRun:
    """Run a case once under the tool and read what it reported."""
    try:
        machine.wait_for_no_agent()
    except TimeoutError as error:
        return CaseRun((), None, str(error))
    with tempfile.TemporaryDirectory(prefix="linnix-accuracy-") as scratch:
        output = Path(scratch, "findings.json")
        tool = [str(machine.LINNIX_LS), "run", "--tracer", tracer, "--json", str(output), "--"]
        return run_under(tool, output, folder, case, venv)


def run_under(
    tool: Sequence[str],
    output: Path,
    folder: Path,
    case: Case,
    venv: Path,
    *,
    workdir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    is_agent_given: bool = False,
    grace_s: float = 5.0,
) -> CaseRun:
    """Run a case once, started through `tool`, which writes its findings document to `output`.

    Args:
        venv: what Python cases run in.
        workdir: where the case runs, to stay there; by default in a scratch copy.
        environment: by default our own.
        is_agent_given: one watches that the tool has not started.
        grace_s: for the tool, above what the case may take.
    """
    command = [
        *(sys.executable, str(CORPUS / "run_case.py"), str(folder), f"--venv={venv}"),
        f"--grace={grace_s}",
        *([f"--workdir={workdir}"] if workdir else []),
        f"--wrap={shlex.join(tool)}",
    ]
    seen: set[SeenProcess] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            start = json.loads(process.stdout.readline())
            while process.poll() is None:
                _look_below(start["pid"], seen)
                time.sleep(LOOK_EVERY_S)
            end = json.loads(process.stdout.readline())
        except json.JSONDecodeError:
            return CaseRun((), None, "run_case.py ended without a word")
        except BaseException:
            process.terminate()  # it cleans up after the case
            raise
    is_stopped = end["reason"] != "exit"
    stopped = f"the case was stopped: {end['reason']}" if is_stopped else None
    try:
        document = json.loads(output.read_text())
    except (OSError, ValueError):
        last_line = "".join(end["log_tail"].strip().splitlines()[-1:])
        return CaseRun(
            (), None, "; ".join(filter(None, ["no findings document", stopped, last_line]))
        )
    is_agent_known = is_agent_given or any(machine.AGENT_MODULE in s.cmdline for s in seen)
    if document["tracer"] == "bcc" and not is_agent_known:
        return CaseRun((), None, "another run's agent watched, which may be of another version")
    began = datetime.fromisoformat(document["started_at"]).timestamp()
    reports = reports_of(
        document,
        case,
        workdir=start["workdir"],
        start_delay_s=max(0.0, began - start["wall"]),
        seen=seen,
    )
    return CaseRun(reports, document["tracer"] or "none", stopped, document["events"]["lost"])


def _look_below(pid: int, seen: set[SeenProcess]) -> None:
    """Add the processes below `pid`, itself left out."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in children:
        try:
            seen.add(SeenProcess(child.pid, child.ppid(), " ".join(child.cmdline())))
        except psutil.Error:
            continue


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and how; it is kept with the result."""

    corpora: tuple[str, ...]
    cases: tuple[str, ...]
    n_runs: int
    tracer: str

    def folders(self) -> dict[str, Path]:
        """The cases' folders by id.

        Raises:
            ValueError: an id is unknown, or not unique.
        """
        folders: dict[str, Path] = {}
        for corpus in self.corpora:
            found = sorted(path.parent for path in Path(corpus).glob("**/case.toml"))
            if not found:
                raise ValueError(f"no case.toml anywhere in {corpus}")
            for folder in found:
                if folders.setdefault(folder.name, folder) != folder:
                    raise ValueError(f"two cases are called {folder.name}")
        unknown = set(self.cases) - folders.keys()
        if unknown:
            raise ValueError(f"no such case: {', '.join(sorted(unknown))}")
        return {
            name: folder for name, folder in folders.items() if name in self.cases or not self.cases
        }


def measure(
    options: Options, folder: Path, earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run the cases, print a line as each is done, and return the result as plain JSON.

    Args:
        folder: where it is saved after each case.
        earlier: a result that broke off, to be completed.
    """
    folders = options.folders()
    cases = {name: Case.read(path) for name, path in folders.items()}
    runs_of: dict[str, Sequence[CaseRun]] = {}
    if earlier:
        about = {name: earlier[name] for name in machine.describe()}
        done = {entry["id"]: entry for entry in earlier["cases"]}
        for name in cases.keys() & done.keys():
            runs = [CaseRun.from_json(run) for run in done[name]["runs"]]
            if not any(run.problem for run in runs):
                runs_of[name] = runs
    else:
        about = machine.describe()
    todo = [name for name in folders if name not in runs_of]

    def result() -> dict[str, Any]:
        measured = [run for runs in runs_of.values() for run in runs]
        return {
            "schema": SCHEMA,
            **about,
            "options": asdict(options),
            "is_complete": len(runs_of) == len(cases),
            "tracers": sorted({run.tracer for run in measured if run.tracer}),
            "n_runs": options.n_runs,
            **judge(cases, {name: runs_of[name] for name in cases if name in runs_of}),
        }

    venvs = {corpus: venv_of(Path(corpus)) for corpus in options.corpora}
    with Steps(len(todo) * options.n_runs) as steps:
        for name in todo:
            corpus = next(c for c in options.corpora if folders[name].is_relative_to(c))
            runs = []
            for n in range(options.n_runs):
                steps.begin(f"{name}, run {n + 1} of {options.n_runs}")
                runs.append(run_case(folders[name], cases[name], venvs[corpus], options.tracer))
            runs_of[name] = runs
            for line in _lines(cases[name], runs):
                steps.say(line)
            machine.save_json(machine.result_path("accuracy", about, folder), result())
    return result()


def venv_of(corpus: Path) -> Path:
    """For its Python cases; of a corpus that does not say what they need, as for our own."""
    own = corpus / "requirements.txt"
    return machine.venv_with(own if own.exists() else CORPUS / "requirements.txt")


def judge(cases: Mapping[str, Case], runs_of: Mapping[str, Sequence[CaseRun]]) -> dict[str, Any]:
    """Scores of all cases and in sum, as plain JSON. `runs_of` is by case id.

    Runs that measured nothing are no misses: they do not count at all, and are listed.
    """
    entries, judged, judged_grave = [], [], []
    for case_id, runs in runs_of.items():
        case = cases[case_id]
        measured = [run for run in runs if run.is_measured]
        scores = [score(case, run.reports) for run in measured]
        if scores:
            judged.append(majority(scores))
            grave = [score(case, run.reports, only_grave=True) for run in measured]
            judged_grave.append(majority(grave))
        entries.append(
            {
                "id": case_id,
                "label": case.label,
                "expected_cause": case.cause,
                "score": asdict(judged[-1]) if scores else None,
                "do_runs_differ": bool(scores) and do_runs_differ(scores),
                "apart": _listed_apart(case, measured),
                "runs": [asdict(run) for run in runs],
            }
        )
    return {
        "summary": summarize(cases, judged),
        "summary_of_warnings": summarize(cases, judged_grave),
        "cases": entries,
        "problems": [
            f"{case_id}, run {n}: {run.problem}"
            for case_id, runs in runs_of.items()
            for n, run in enumerate(runs, 1)
            if run.problem
        ],
    }


def _listed_apart(case: Case, runs: Sequence[CaseRun]) -> list[str]:
    """What was said in any run that is false, of another kind, or too late, in words."""
    said: list[str] = []
    for report in (report for run in runs for report in run.reports):
        if case.label == BENIGN:
            what = "false alarm"
        elif report.is_stranger:
            what = "accused a stranger"
        elif report.is_late:
            what = "after the end"
        elif report.label not in case.accepted:
            what = "another kind"
        else:
            continue
        place = f" at {report.file}:{report.line}" if report.file else ""
        said.append(f"{what}: {report}{place}, {report.accused}")
    return [f"{line} ({said.count(line)}×)" for line in dict.fromkeys(said)]


def _lines(case: Case, runs: Sequence[CaseRun]) -> list[str]:
    """The case's result for who watches the measurement."""
    scores = [score(case, run.reports) for run in runs if run.is_measured]
    lines = [_line(case, majority(scores))] if scores else [f"{case.id:24}NOT MEASURED"]
    if scores and do_runs_differ(scores):
        lines.append(f"{'':24}runs differ")
    return lines + [f"{'':24}{run.problem}" for run in runs if run.problem]


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


def _counts(value: Mapping[str, int] | None) -> str:
    return ", ".join(f"{n} {name}" for name, n in (value or {}).items()) or "-"


_FIGURES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "n_runaway": ("runaway cases", str),
    "n_benign": ("benign cases", str),
    "n_detected": ("detected", str),
    "n_wrong_kind": ("of these, as another kind", str),
    "n_missed": ("missed", str),
    "n_false_positives": ("false positives", str),
    "false_positives_by_severity": ("of these, by severity", _counts),
    "precision": ("precision", _percent),
    "recall": ("recall", _percent),
    "cause_accuracy": ("cause right", _percent),
    "line_exact": ("line exact", _percent),
    "line_near": ("line near", _percent),
    "median_flagged_s": ("median time to flag", _seconds),
    "median_after_onset_s": ("median after onset", _seconds),
    "in_time": ("in time", _percent),
}


def markdown(result: Mapping[str, Any]) -> str:
    """The result as a page."""
    by_label = result["summary"]["by_label"]
    head = ["", "all", "warnings and above", *by_label]
    columns = [result["summary"], result["summary_of_warnings"], *by_label.values()]
    rows = [
        [name, *(write(column.get(figure)) for column in columns)]
        for figure, (name, write) in _FIGURES.items()
    ]
    cases = [_case_row(entry) for entry in result["cases"]]
    differing = [entry["id"] for entry in result["cases"] if entry["do_runs_differ"]]
    about = (
        f"linnix-ls {result['tool']['version']}, tracer {' and '.join(result['tracers'])},"
        f" {result['measured_at']}: {result['n_cpus']} CPUs, kernel {result['kernel']},"
        f" Python {result['python']}, load before {result['load']};"
        f" {result['n_runs']} run(s) a case. The rules are those of bench/corpus/README.md."
        " Time to flag counts from the case's start, the tool's own start included;"
        " after onset, from when the case's trouble begins by its own clock."
    )
    apart = [f"{entry['id']}: {line}" for entry in result["cases"] for line in entry["apart"]]
    n_lost = sum(run["n_lost"] for entry in result["cases"] for run in entry["runs"])
    return "\n".join(
        [
            f"# {title(result)}",
            "",
            about,
            "",
            machine.table(head, rows),
            machine.table(
                ["case", "label", "detection", "place", "said", "cause", "flagged", "in time"],
                cases,
            ),
            f"Runs differ in: {', '.join(differing) or 'no case'}. Events lost: {n_lost}.",
            "",
            *_list("Said in some run, and false, of another kind, or too late", apart),
            *_list("Problems: runs that came to nothing, or were cut short", result["problems"]),
        ]
    )


def title(result: Mapping[str, Any]) -> str:
    """What was measured: a result of the same title is one of the same."""
    corpora = [_name(Path(corpus)) for corpus in result["options"]["corpora"]]
    words = f"Accuracy on {' and '.join(corpora)}"
    return words + (", degraded (psutil)" if result["tracers"] == ["psutil"] else "")


def _name(corpus: Path) -> str:
    """As it is known in this project; of another place, no more than its name."""
    project = CORPUS.parents[1]
    return str(corpus.relative_to(project)) if corpus.is_relative_to(project) else corpus.name


def _list(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"{heading}:", "", *(f"- {line}" for line in lines), ""] if lines else []


def _case_row(entry: Mapping[str, Any]) -> list[str]:
    if entry["score"] is None:
        return [entry["id"], entry["label"], "NOT MEASURED", "-", "-", "-", "-", "-"]
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
        [name, write(old["summary"].get(figure)), write(new["summary"].get(figure))]
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


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.accuracy", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--corpus",
        action="append",
        type=Path,
        metavar="DIR",
        help="a folder of cases; repeatable (default: bench/corpus)",
    )
    parser.add_argument("--case", action="append", metavar="ID", help="only this one; repeatable")
    parser.add_argument(
        "--runs", type=int, default=3, metavar="N", help="a case; the majority counts (default: 3)"
    )
    parser.add_argument("--tracer", choices=("auto", "bcc", "psutil"), default="auto")
    parser.add_argument("--out", type=Path, default=machine.RESULTS, metavar="DIR")
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="RESULT",
        help="go on with one that broke off, with its options; what had a problem is run again",
    )
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"))
    given = parser.parse_args(list(arguments) if arguments is not None else None)
    if given.compare:
        old, new = (json.loads(path.read_text()) for path in given.compare)
        print(compare(old, new), end="")
        return 0
    earlier = json.loads(given.resume.read_text()) if given.resume else None
    options = Options(
        corpora=tuple(str(corpus.resolve()) for corpus in given.corpus or [CORPUS]),
        cases=tuple(given.case or ()),
        n_runs=given.runs,
        tracer=given.tracer,
    )
    if earlier:
        options = Options(**{name: _frozen(value) for name, value in earlier["options"].items()})
    try:
        options.folders()
    except ValueError as error:
        parser.error(str(error))
    machine.end_tidily()
    folder = given.resume.parent if given.resume else given.out
    try:
        result = measure(options, folder, earlier)
    except KeyboardInterrupt:
        print("stopped; what is done is kept: --resume goes on with it", file=sys.stderr)
        return 130
    page = markdown(result)
    print("\n" + page)
    machine.save("accuracy", result, page, folder)
    return int(bool(result["problems"]))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
