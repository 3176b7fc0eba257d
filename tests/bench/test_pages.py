import json

from bench.accuracy import CaseRun, compare, judge, markdown
from bench.latency import _figures
from bench.latency import markdown as latency_markdown
from bench.publish import page
from bench.scoring import Case, Place, Report

ABOUT = {
    "tool": {"name": "linnix-ls", "version": "0.1.0"},
    "measured_at": "2026-01-31T12:00:00+00:00",
    "n_cpus": 2,
    "kernel": "6.1",
    "python": "3.11.2",
    "load": 0.1,
}
CASES = {
    "spin": Case(
        "spin", "cpu-spin", frozenset({"cpu-spin"}), "busy-poll", Place("a.py", 1, 9), (), "a.py", 6
    ),
    "calm": Case("calm", "benign", frozenset({"benign"}), "none", None, (), "", None),
}
SPIN = Report("cpu-spin", "busy-poll", "warning", "a.py", 3, 2.5, is_stranger=False)
LOOP = Report("cpu-spin", "pure-loop", "hint", "a.py", 30, 2.5, is_stranger=False)


def result(spin, calm=()):
    runs = {
        "spin": [CaseRun(tuple(spin), "bcc", None)],
        "calm": [CaseRun(tuple(calm), "bcc", None)],
    }
    return {**ABOUT, "tracers": ["bcc"], "n_runs": 1, **judge(CASES, runs)}


def row(page, name):
    line = next(line for line in page.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_page_shows_each_case_and_the_sum():
    page = markdown(result([SPIN], [LOOP]))
    assert row(page, "spin")[1:] == [
        "cpu-spin", "detected", "exact", "a.py:3", "busy-poll", "2.5 s", "yes",
    ]  # fmt: skip
    assert "FALSE ALARM (cpu-spin/pure-loop hint)" in row(page, "calm")
    assert row(page, "precision")[1:3] == ["50%", "100%"]  # hints are no warnings


def test_a_wrong_cause_is_shown_with_the_right_one():
    assert "pure-loop (not busy-poll)" in row(markdown(result([LOOP])), "spin")


def test_results_survive_json():
    before = result([SPIN], [LOOP])
    assert markdown(json.loads(json.dumps(before))) == markdown(before)


def test_comparing_lists_the_cases_that_changed():
    page = compare(result([SPIN]), result([LOOP]))
    assert row(page, "line exact")[1:] == ["100%", "0%"]
    assert row(page, "spin")[1].startswith("detected exact")
    assert row(page, "spin")[2].startswith("detected near")
    assert "| calm" not in page


def test_comparing_a_result_with_itself_finds_nothing():
    assert "No case changed." in compare(result([SPIN]), result([SPIN]))


def test_latency_rounds_without_a_diagnostic_are_counted_not_averaged():
    figures = _figures("cpu_spin", [(1.0, 5), None, (2.0, 5)])
    assert (figures["median_s"], figures["n_missed"]) == (1.5, 1)
    page = latency_markdown(
        {**ABOUT, "tracer": "bcc", "n_rounds": 3, "kinds": {"cpu_spin": figures}}
    )
    assert row(page, "cpu_spin") == ["cpu_spin", "1.00 s", "1.50 s", "2.00 s", "1", "3.0 s"]


def test_latency_that_measured_nothing_says_so():
    assert _figures("cpu_spin", [None])["median_s"] is None


def test_the_published_page_holds_both_results():
    latency = {
        **ABOUT,
        "tracer": "bcc",
        "n_rounds": 1,
        "kinds": {"cpu_spin": _figures("cpu_spin", [(1.0, 5)])},
    }
    headings = [line for line in page(latency, result([SPIN])).splitlines() if line.startswith("#")]
    assert headings == [
        "# Benchmarks",
        "## Time from the start of a runaway to its diagnostic",
        "## Accuracy on bench/corpus",
    ]
