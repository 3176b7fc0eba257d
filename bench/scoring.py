"""Compares what was reported with a case's label: the rules of bench/corpus/README.md.

Pure: cases and findings documents in, scores out. Running things is the business of `accuracy`.
"""

from __future__ import annotations

import os.path
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from statistics import median
from typing import Any

BENIGN = "benign"
LEAKED_CHILD = "leaked-child"
SEVERITIES = ("error", "warning", "information", "hint")
GRAVE = frozenset({"error", "warning"})

# From best to worst. A wrong kind counts as detected and is listed apart.
DETECTIONS = ("detected", "wrong kind", "missed")
PLACES = ("exact", "near", "miss")

MAX_COMMAND = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Lines of a file, inclusive; `file` is relative to the case's folder."""

    file: str
    first: int
    last: int

    def holds(self, file: str, line: int) -> bool:
        return file == self.file and self.first <= line <= self.last


@dataclass(frozen=True, slots=True)
class Case:
    """What a case.toml says, as far as scoring needs it.

    Attributes:
        onset_s, expect_within_s: None for benign cases.
        linger_s: for how long a left-over child lives on after the run.
    """

    id: str
    label: str
    accepted: frozenset[str]
    cause: str
    culprit: Place | None
    near: tuple[Place, ...]
    culprit_process: str
    expect_within_s: float | None
    onset_s: float | None = None
    linger_s: float = 0.5

    @classmethod
    def read(cls, folder: Path) -> Case:
        raw = tomllib.loads((folder / "case.toml").read_text())
        culprit = raw.get("culprit")
        return cls(
            id=raw["id"],
            label=raw["label"],
            accepted=frozenset({raw["label"], *raw.get("accept_labels", [])}),
            cause=raw["cause"],
            culprit=_culprit_place(raw, folder) if culprit else None,
            near=tuple(Place(also["file"], *also["lines"]) for also in culprit.get("also", []))
            if culprit
            else (),
            culprit_process=culprit["process"] if culprit else "",
            expect_within_s=raw.get("expect_within_s"),
            onset_s=raw.get("onset_s"),
            linger_s=raw.get("linger_s", 0.5),
        )


def _culprit_place(raw: Mapping[str, Any], folder: Path) -> Place:
    culprit = raw["culprit"]
    if raw["cause"] == "compile-blowup":  # only the compiler knows the line
        return Place(culprit["file"], 1, len((folder / culprit["file"]).read_text().splitlines()))
    return Place(culprit["file"], *culprit["lines"])


@dataclass(frozen=True, slots=True)
class SeenProcess:
    """A process below the watched command, as it was seen in /proc at some moment."""

    pid: int
    ppid: int
    cmdline: str


@dataclass(frozen=True, slots=True)
class Report:
    """One finding in the corpus's words.

    Attributes:
        file: relative to the case's folder; None without a place in it.
        flagged_s: after the case's start, the tool's own start included.
        is_stranger: accuses a process that neither is the culprit, nor descends from it, nor
            started it.
        after_onset_s: after the trouble began, by the case's own clock: how long the tool took to
            start does not count. None where there is no onset.
        is_late: came after the case's end, when it is of no use any more.
        accused: the process's command line.
    """

    label: str
    cause: str
    severity: str
    file: str | None
    line: int | None
    flagged_s: float
    is_stranger: bool
    after_onset_s: float | None = None
    is_late: bool = False
    accused: str = ""

    def __str__(self) -> str:
        return f"{self.label}/{self.cause} {self.severity}"


def reports_of(
    document: Mapping[str, Any],
    case: Case,
    *,
    workdir: str,
    start_delay_s: float,
    seen: Iterable[SeenProcess],
) -> tuple[Report, ...]:
    """Read a findings document (linnix-findings/1).

    Args:
        workdir: where the case ran.
        start_delay_s: from the case's start to the start of its command below the tool.
        seen: processes below the command, as often as they were seen.
    """
    starters = _starters_of_culprits(case, seen)
    is_left_behind = case.label == LEAKED_CHILD
    ended_s = document["duration_s"] + (case.linger_s if is_left_behind else 0)
    reports = []
    for finding in document["findings"]:
        location = finding["location"]
        reports.append(
            Report(
                label=finding["kind"].replace("_", "-"),
                cause=finding["cause"].replace("_", "-"),
                severity=finding["severity"],
                file=_relative(location["path"], workdir) if location else None,
                line=location["line"] if location else None,
                flagged_s=finding["flagged_s"] + start_delay_s,
                is_stranger=not _is_related(finding, case, starters),
                after_onset_s=None if case.onset_s is None else finding["flagged_s"] - case.onset_s,
                is_late=finding["flagged_s"] > ended_s,
                accused=" ".join(finding["process"]["argv"])[:MAX_COMMAND],
            )
        )
    return tuple(reports)


def _relative(path: str, workdir: str) -> str | None:
    pure = PurePath(os.path.normpath(path))
    return str(pure.relative_to(workdir)) if pure.is_relative_to(workdir) else None


def _starters_of_culprits(case: Case, seen: Iterable[SeenProcess]) -> frozenset[int]:
    """The culprits, and all that they descend from."""
    seen = tuple(seen)
    parents: defaultdict[int, set[int]] = defaultdict(set)  # of an orphan: before and after
    for process in seen:
        parents[process.pid].add(process.ppid)
    todo = [process.pid for process in seen if case.culprit_process in process.cmdline]
    starters: set[int] = set()
    while todo:
        pid = todo.pop()
        if pid in parents and pid not in starters:
            starters.add(pid)
            todo += parents[pid]
    return frozenset(starters)


def _is_related(finding: Mapping[str, Any], case: Case, starters: frozenset[int]) -> bool:
    process = finding["process"]
    lineage = [process, *finding["ancestry"]]
    return process["pid"] in starters or any(
        case.culprit_process in " ".join(one["argv"]) for one in lineage
    )


@dataclass(frozen=True, slots=True)
class Score:
    """One case, one run (or the majority of several).

    Attributes:
        detection: of DETECTIONS; None for benign cases.
        false_reports: reports on a benign case, or of a stranger, as "label/cause severity".
        wrong_kinds: reports of another kind, whether or not there is a right one, as above.
        cause: the best report's; None when nothing was detected.
        place: of PLACES; None when nothing was detected.
        flagged_s, after_onset_s: of the first right report.
    """

    case_id: str
    detection: str | None
    false_reports: tuple[str, ...]
    cause: str | None
    is_cause_right: bool | None
    place: str | None
    said: str | None
    flagged_s: float | None
    is_in_time: bool | None
    after_onset_s: float | None = None
    wrong_kinds: tuple[str, ...] = ()


def score(case: Case, reports: Iterable[Report], *, only_grave: bool = False) -> Score:
    """Judge one run. `only_grave` leaves out what is less than a warning."""
    reports = [r for r in reports if not only_grave or r.severity in GRAVE]
    false = [r for r in reports if case.label == BENIGN or r.is_stranger]
    candidates = [r for r in reports if r not in false and not r.is_late]
    right = [r for r in candidates if r.label in case.accepted]
    detection = None
    if case.label != BENIGN:
        detection = "detected" if right else "wrong kind" if candidates else "missed"
    best = min(
        right or candidates,
        key=lambda r: (PLACES.index(place_of(case, r)), r.cause != case.cause, r.flagged_s),
        default=None,
    )
    first = min(right, key=lambda r: r.flagged_s, default=None)
    return Score(
        case_id=case.id,
        detection=detection,
        false_reports=tuple(str(r) for r in false),
        cause=best.cause if best else None,
        is_cause_right=best.cause == case.cause if best else None,
        place=place_of(case, best) if best else None,
        said=f"{best.file or '?'}:{best.line}" if best and best.line else None,
        flagged_s=first.flagged_s if first else None,
        is_in_time=None
        if first is None or case.expect_within_s is None
        else first.flagged_s <= case.expect_within_s,
        after_onset_s=first.after_onset_s if first else None,
        wrong_kinds=tuple(str(r) for r in candidates if r not in right),
    )


def place_of(case: Case, report: Report) -> str:
    """How well a report's place fits: one of PLACES."""
    if case.culprit is None or report.file is None or report.line is None:
        return "miss"
    if case.culprit.holds(report.file, report.line):
        return "exact"
    if report.file == case.culprit.file or any(
        place.holds(report.file, report.line) for place in case.near
    ):
        return "near"
    return "miss"


def majority(scores: Sequence[Score]) -> Score:
    """What most runs of a case say, field by field; of a tie, the worse."""

    def most(values: Sequence[Any], order: Sequence[Any]) -> Any:
        """`order` is from best to worst."""
        counts = Counter(values)
        return max(counts, key=lambda value: (counts[value], order.index(value)))

    detection = most([s.detection for s in scores], [None, *DETECTIONS])
    agreeing = [s for s in scores if s.detection == detection]
    has_false = 2 * sum(bool(s.false_reports) for s in scores) >= len(scores)
    place = most([s.place for s in agreeing], [*PLACES, None])
    typical = next(s for s in agreeing if s.place == place)
    return Score(
        case_id=scores[0].case_id,
        detection=detection,
        false_reports=max((s.false_reports for s in scores), key=len) if has_false else (),
        cause=most([s.cause for s in agreeing], [s.cause for s in agreeing]),
        is_cause_right=most([s.is_cause_right for s in agreeing], [True, None, False]),
        place=place,
        said=typical.said,
        flagged_s=_median(s.flagged_s for s in agreeing),
        is_in_time=most([s.is_in_time for s in agreeing], [True, None, False]),
        after_onset_s=_median(s.after_onset_s for s in agreeing),
        wrong_kinds=max((s.wrong_kinds for s in agreeing), key=len),
    )


def do_runs_differ(scores: Sequence[Score]) -> bool:
    """Whether runs of one case disagree about what it is (not just about when)."""
    return len({(s.detection, bool(s.false_reports), s.cause, s.place) for s in scores}) > 1


def summarize(cases: Mapping[str, Case], scores: Iterable[Score]) -> dict[str, Any]:
    """Figures in sum and for each label, as plain JSON. Shares are None where there is nothing
    to take a share of."""
    scores = list(scores)
    labels = {cases[s.case_id].label for s in scores} - {BENIGN}
    by_label = {label: _figures(cases, scores, label) for label in sorted(labels)}
    return _figures(cases, scores, None) | {"by_label": by_label}


def _figures(
    cases: Mapping[str, Case], scores: Sequence[Score], label: str | None
) -> dict[str, Any]:
    """`label`: only its cases, and only false reports of it; None for all."""
    runaway = [s for s in scores if cases[s.case_id].label != BENIGN]
    if label:
        runaway = [s for s in runaway if cases[s.case_id].label == label]
    benign = [s for s in scores if cases[s.case_id].label == BENIGN]
    found = [s for s in runaway if s.detection != "missed"]
    # A benign case is one false positive however much is said of it; a stranger is one each.
    false = [_worst(reports) for s in benign if (reports := _false_reports(s, label))]
    for accuser in scores:
        if cases[accuser.case_id].label != BENIGN:
            false += [_worst([report]) for report in _false_reports(accuser, label)]
    n_false = len(false)
    return {
        "n_runaway": len(runaway),
        "n_benign": len(benign),
        "n_detected": len(found),
        "n_wrong_kind": sum(s.detection == "wrong kind" for s in found),
        "n_missed": len(runaway) - len(found),
        "n_false_positives": n_false,
        "false_positives_by_severity": {
            severity: false.count(severity) for severity in SEVERITIES if severity in false
        },
        "precision": _share(len(found), len(found) + n_false),
        "recall": _share(len(found), len(runaway)),
        "cause_accuracy": _share(sum(s.is_cause_right is True for s in found), len(found)),
        "line_exact": _share(sum(s.place == "exact" for s in found), len(found)),
        "line_near": _share(sum(s.place == "near" for s in found), len(found)),
        "median_flagged_s": _median(s.flagged_s for s in found),
        "median_after_onset_s": _median(s.after_onset_s for s in found),
        "in_time": _share(sum(s.is_in_time is True for s in found), len(found)),
    }


def _false_reports(score: Score, label: str | None) -> list[str]:
    return [r for r in score.false_reports if label is None or r.startswith(f"{label}/")]


def _worst(false_reports: Iterable[str]) -> str:
    return min((report.split()[-1] for report in false_reports), key=SEVERITIES.index)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
