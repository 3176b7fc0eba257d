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
    )


def test_silence_on_a_runaway_is_missed():
    judged = score(SPIN, [])
    assert (judged.detection, judged.place, judged.cause) == ("missed", None, None)


def test_another_kind_counts_as_detected_and_is_listed_apart():
    judged = score(SPIN, [report(label="stuck")])
    assert judged.detection == "wrong kind"
    assert judged.flagged_s is None


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


def document(**process):
    finding = {
        "kind": "cpu_spin",
        "cause": "busy_poll",
        "severity": "warning",
        "process": {"pid": 20, "argv": ["python3", "-m", "other"]} | process,
        "ancestry": [],
        "location": {"path": "/tmp/work/pump.py", "line": 11},
        "flagged_s": 1.5,
    }
    return {"findings": [finding | {"ancestry": process.pop("ancestry", [])}]}


def read(document, seen=()):
    return reports_of(document, SPIN, workdir="/tmp/work", start_delay_s=0.5, seen=seen)[0]


def test_findings_are_read_in_the_words_of_the_corpus():
    assert read(document(argv=["python3", "-m", "pump"])) == report(line=11, flagged_s=2.0)


def test_a_place_outside_the_case_is_no_place():
    elsewhere = document()
    elsewhere["findings"][0]["location"]["path"] = "/usr/lib/python3/queue.py"
    assert read(elsewhere).file is None


def test_descendants_of_the_culprit_are_no_strangers():
    assert not read(document(ancestry=[{"pid": 3, "argv": ["python3", "-m", "pump"]}])).is_stranger


def test_what_started_the_culprit_is_no_stranger():
    seen = (SeenProcess(20, 1, "python3 -m other"), SeenProcess(30, 20, "python3 -m pump"))
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
    assert json.loads(json.dumps(summary)) == summary


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
