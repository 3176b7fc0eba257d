import json
from pathlib import Path

import pytest

from bench.scoring import (
    Case,
    Place,
    Report,
    Score,
    SeenProcess,
    do_runs_differ,
    majority,
    reports_of,
    score,
    summarize,
)

CORPUS = Path(__file__).parents[2] / "bench/corpus/runaway"

SPIN = Case(
    id="spin",
    label="cpu-spin",
    accepted=frozenset({"cpu-spin", "memory-runaway"}),
    cause="busy-poll",
    culprit=Place("pump.py", 10, 20),
    near=(Place("tests/test_pump.py", 5, 5),),
    culprit_process="-m pump",
    expect_within_s=6,
    onset_s=0.5,
)
SERVER = Case(
    id="server",
    label="leaked-child",
    accepted=frozenset({"leaked-child"}),
    cause="orphan-server",
    culprit=Place("pump.py", 10, 20),
    near=(),
    culprit_process="-m pump",
    expect_within_s=6,
    onset_s=0.5,
    linger_s=3,
)
CALM = Case("calm", "benign", frozenset({"benign"}), "none", None, (), "", None)


def report(**changed):
    fields = {
        "label": "cpu-spin",
        "cause": "busy-poll",
        "severity": "warning",
        "file": "pump.py",
        "line": 12,
        "flagged_s": 3.0,
        "is_stranger": False,
        "after_onset_s": 2.5,
    }
    return Report(**(fields | changed))


def test_the_right_report_is_exact_and_in_time():
    assert score(SPIN, [report()]) == Score(
        case_id="spin",
        detection="detected",
        false_reports=(),
        cause="busy-poll",
        is_cause_right=True,
        place="exact",
        said="pump.py:12",
        flagged_s=3.0,
        is_in_time=True,
        after_onset_s=2.5,
    )


def test_silence_on_a_runaway_is_missed():
    judged = score(SPIN, [])
    assert (judged.detection, judged.place, judged.cause) == ("missed", None, None)


def test_another_kind_counts_as_detected_and_is_listed_apart():
    judged = score(SPIN, [report(label="stuck")])
    assert judged.detection == "wrong kind"
    assert judged.flagged_s is None
    assert judged.wrong_kinds == ("stuck/busy-poll warning",)


def test_another_kind_beside_the_right_one_is_listed_and_changes_nothing():
    judged = score(SPIN, [report(), report(label="stuck", flagged_s=1.0)])
    assert (judged.detection, judged.flagged_s) == ("detected", 3.0)
    assert judged.wrong_kinds == ("stuck/busy-poll warning",)


def test_what_comes_after_the_end_finds_nothing_but_may_be_a_false_alarm():
    assert score(SPIN, [report(is_late=True)]).detection == "missed"
    assert score(CALM, [report(is_late=True)]).false_reports


def test_an_accepted_label_is_right_as_well():
    assert score(SPIN, [report(label="memory-runaway")]).detection == "detected"


@pytest.mark.parametrize(
    ("file", "line", "place"),
    [
        ("pump.py", 10, "exact"),
        ("pump.py", 20, "exact"),
        ("pump.py", 21, "near"),
        ("tests/test_pump.py", 5, "near"),
        ("tests/test_pump.py", 6, "miss"),
        (None, None, "miss"),
    ],
)
def test_places_are_exact_near_or_missed(file, line, place):
    assert score(SPIN, [report(file=file, line=line)]).place == place


def test_the_best_report_is_judged_and_the_first_right_one_timed():
    judged = score(SPIN, [report(line=99, flagged_s=2.0), report(flagged_s=4.0)])
    assert (judged.place, judged.flagged_s) == ("exact", 2.0)


def test_late_reports_are_detected_but_not_in_time():
    judged = score(SPIN, [report(flagged_s=6.1)])
    assert (judged.detection, judged.is_in_time) == ("detected", False)


def test_any_report_on_a_benign_case_is_false():
    judged = score(CALM, [report(severity="hint")])
    assert judged.detection is None
    assert judged.false_reports == ("cpu-spin/busy-poll hint",)


def test_hints_do_not_count_among_warnings():
    assert score(CALM, [report(severity="hint")], only_grave=True).false_reports == ()


def test_accusing_a_stranger_is_false_and_finds_nothing():
    judged = score(SPIN, [report(is_stranger=True)])
    assert (judged.detection, len(judged.false_reports)) == ("missed", 1)


def document(*, duration_s=9.0, ancestry=(), path="/tmp/work/pump.py", **process):
    finding = {
        "kind": "cpu_spin",
        "cause": "busy_poll",
        "severity": "warning",
        "process": {"pid": 20, "argv": ["python3", "-m", "other"]} | process,
        "ancestry": ancestry,
        "location": {"path": path, "line": 11},
        "flagged_s": 1.5,
    }
    return {"findings": [finding], "duration_s": duration_s}


def read(document, seen=(), case=SPIN):
    return reports_of(document, case, workdir="/tmp/work", start_delay_s=0.5, seen=seen)[0]


def test_findings_are_read_in_the_words_of_the_corpus():
    assert read(document(argv=["python3", "-m", "pump"])) == report(
        line=11, flagged_s=2.0, after_onset_s=1.0, accused="python3 -m pump"
    )


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/tmp/work/pump.py", "pump.py"),
        ("/tmp/work/tests/../pump.py", "pump.py"),
        ("/tmp/work/../other/pump.py", None),
        ("/usr/lib/python3/queue.py", None),
    ],
)
def test_a_place_outside_the_case_is_no_place(path, file):
    assert read(document(path=path)).file == file


@pytest.mark.parametrize(
    ("case", "duration_s", "is_late"),
    [(SPIN, 1.6, False), (SPIN, 1.4, True), (SERVER, 1.4, False), (SERVER, -1.6, True)],
)
def test_only_left_over_children_may_be_told_of_after_the_end(case, duration_s, is_late):
    assert read(document(duration_s=duration_s), case=case).is_late == is_late


def test_descendants_of_the_culprit_are_no_strangers():
    assert not read(document(ancestry=[{"pid": 3, "argv": ["python3", "-m", "pump"]}])).is_stranger


def test_what_started_the_culprit_is_no_stranger():
    seen = (SeenProcess(20, 1, "python3 -m other"), SeenProcess(30, 20, "python3 -m pump"))
    assert not read(document(), seen).is_stranger


def test_what_started_the_culprit_is_no_stranger_though_the_culprit_became_an_orphan_later():
    seen = (
        SeenProcess(20, 1, "python3 -m other"),
        SeenProcess(30, 20, "python3 -m pump"),
        SeenProcess(30, 1, "python3 -m pump"),
    )
    assert not read(document(), seen).is_stranger


def test_siblings_of_the_culprit_are_strangers():
    seen = (SeenProcess(20, 1, "python3 -m other"), SeenProcess(30, 1, "python3 -m pump"))
    assert read(document(), seen).is_stranger


def test_the_majority_of_runs_decides_and_the_median_is_its_time():
    found = [score(SPIN, [report(flagged_s=t)]) for t in (2.0, 5.0)]
    judged = majority([score(SPIN, []), *found])
    assert (judged.detection, judged.flagged_s, judged.place) == ("detected", 3.5, "exact")


def test_of_a_tie_the_worse_counts():
    judged = majority([score(SPIN, [report()]), score(SPIN, [])])
    assert (judged.detection, judged.place) == ("missed", None)
    tie = [score(CALM, [report()]), score(CALM, [])]
    assert majority(tie).false_reports == ("cpu-spin/busy-poll warning",)


def test_one_false_alarm_in_three_runs_is_outvoted_but_the_runs_differ():
    runs = [score(CALM, [report()]), score(CALM, []), score(CALM, [])]
    assert majority(runs).false_reports == ()
    assert do_runs_differ(runs)
    assert not do_runs_differ(runs[1:])


def test_the_summary_counts_as_the_corpus_says():
    cases = {"spin": SPIN, "calm": CALM}
    summary = summarize(cases, [score(SPIN, [report(line=99)]), score(CALM, [report()])])
    assert summary["precision"] == 0.5
    assert summary["recall"] == 1.0
    assert (summary["line_exact"], summary["line_near"]) == (0.0, 1.0)
    assert summary["by_label"]["cpu-spin"]["n_false_positives"] == 1
    assert summary["median_after_onset_s"] == 2.5
    assert json.loads(json.dumps(summary)) == summary


def test_false_positives_are_counted_by_their_worst_severity():
    calm = score(CALM, [report(severity="hint"), report()])
    accuser = score(SPIN, [report(is_stranger=True, severity="hint")])
    summary = summarize({"spin": SPIN, "calm": CALM}, [calm, accuser])
    assert summary["n_false_positives"] == 2
    assert summary["false_positives_by_severity"] == {"warning": 1, "hint": 1}


def test_a_summary_of_nothing_has_no_shares():
    assert summarize({}, [])["precision"] is None


def test_every_case_of_the_corpus_can_be_read():
    cases = [Case.read(path.parent) for path in sorted(CORPUS.glob("*/case.toml"))]
    assert len(cases) > 30
    for case in cases:
        assert case.label == "benign" or (CORPUS / case.id / case.culprit.file).exists()


def test_the_whole_source_counts_for_a_compiler_that_spins():
    case = Case.read(CORPUS / "cpp-shape-visitor")
    n_lines = len((CORPUS / case.id / case.culprit.file).read_text().splitlines())
    assert (case.culprit.first, case.culprit.last) == (1, n_lines)
